"""Reports as text: the page's source, Markdown, the notebook's fragment, tables and figures."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import groupby, pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from scrubbing.records.inputs import InputTable
from scrubbing.records.worst import worst
from scrubbing.report import drawing, pictures
from scrubbing.report.frames import to_frame
from scrubbing.report.markdown import CHARACTERS, EDGES, escaped, markdown, mermaid
from scrubbing.report.page import fragment, page
from scrubbing.report.plot import plot
from scrubbing.report.view import Entry, Grid, Twig, view
from scrubbing.report.view.single import agreement
from tests.report.conftest import Verdict

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balanced(HTMLParser):
    """Fails where a tag is closed that was not opened last, and finds the text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(text):
    reader = Balanced()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def twig(*below, what="a0.h0"):
    return Twig("l", (), below, what, "v")


def test_markup_in_a_record_stays_text(full, old, inputs, history, verdicts):
    whole = page([full, *old], [inputs, None, None], history, verdicts)
    for text in (whole, page([full]), fragment(full)):
        read = parsed(text)
        assert full.claim in read.text
        assert read.tags.count("script") == (text is whole)  # which lists inputs, and has ours
        assert not re.search(r"<[^>]*\son\w+=", text)


def test_a_page_asks_nobody_for_anything(full, inputs, history, verdicts):
    text = page([full], [inputs], history, verdicts)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://|url\((?!#)|@import|src=", text)


def test_no_script_but_ours_may_run(full, inputs):
    text = page([full], [inputs])
    (policy,) = re.findall(r"script-src ([^\"]*)", text)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert policy == f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
    assert "script-src" not in page([full])


def test_equal_records_give_equal_pages(full, inputs, history, verdicts):
    given = ([full], [inputs], history, verdicts)
    assert page(*given) == page(*given)


def test_records_of_any_age_have_every_report(old, tmp_path):
    for record in old:
        assert record.claim in parsed(page([record])).text
        assert record.hypothesis in parsed(fragment(record)).text
        assert record.hypothesis in markdown([record])
    assert list(to_frame(old)["hypothesis"]) == [record.hypothesis for record in old]
    assert plot(old, tmp_path / "old.svg").exists()


@pytest.mark.parametrize("which", ["full", "old"])
def test_markdown_as_stored(which, full, old, verdicts, snapshot):
    text = markdown([full], verdicts) if which == "full" else markdown(old)
    assert text == snapshot


def test_nothing_in_markdown_is_markup_by_accident(full):
    without = re.sub(r"&#\d+;", "", escaped("<b> | ` * [x](y) ~ $a$ \\ # @me _e_"))
    assert re.search(r"[<>|`*\[\]~$\\#@_]", without) is None
    assert escaped("count_ok") == "count_ok"
    assert escaped("two\nlines") == "two lines"
    for is_table, lines in groupby(markdown([full]).splitlines(), lambda line: line.startswith("|")):
        assert not is_table or len({line.count("|") for line in lines}) == 1
    assert escaped("1. a") != "1. a" and escaped("- a") != "- a" and escaped("-0.5") == "-0.5"
    assert "\x1b" not in escaped("\x1b[2J")


def test_a_fence_is_longer_than_any_in_the_tree(full):
    nasty = full.model_copy(update={"branches": [], "claims_text": "```\n````x\n<b>"})
    assert "`````text\n```\n````x\n<b>\n`````" in markdown([nasty])


def test_a_summary_is_cut_between_blocks_and_says_so(full, old, verdicts):
    whole = markdown([full, *old], verdicts)
    size = len(whole.encode())
    assert markdown([full, *old], verdicts, limit=size) == whole
    lengths = set()
    for limit in (*range(200, size, 700), size - 1):
        cut = markdown([full, *old], verdicts, limit=limit)
        lengths.add(len(cut))
        assert len(cut.encode()) <= limit
        assert "HTML page" in cut
        assert cut.count("<details>") == cut.count("</details>")
        assert cut.count("```") % 2 == 0
    assert len(lengths) > 3


def test_failures_come_first(full, old, verdicts):
    lines = markdown([full, *old], list(reversed(verdicts))).splitlines()
    order = [found[1] for line in lines if (found := re.match(r"\S \*\*(fail|inconclusive|pass)\*\*", line))]
    assert "**fail**" in lines[0]
    assert order == ["fail", "inconclusive", "pass"]


def test_mermaid_draws_the_tree_within_its_limits():
    text = mermaid([twig(twig(twig(), what='a "|" b'), twig(), what="logits")])
    assert re.findall(r"c\d+ --> c\d+", text) == ["c1 --> c0", "c2 --> c1", "c3 --> c0"]
    assert text.count('"') == 8
    assert mermaid([]) is None
    assert mermaid([twig(*[twig()] * EDGES)]) is not None
    assert mermaid([twig(*[twig()] * (EDGES + 1))]) is None
    assert mermaid([twig(twig(what="a" * CHARACTERS))]) is None


def test_a_frame_has_a_row_per_record(full, old):
    frame = to_frame([full, *old])
    assert len(frame) == 3
    assert frame["loss.scrubbed.high"][0] == full.losses["scrubbed"].high
    assert frame["recovered.constant"][1] == old[0].recovered_of("constant").fraction.value
    assert np.isnan(frame["recovered.mean rest"][0])
    assert frame["bits"][0] == full.size.bits
    assert np.isnan(frame["bits"][1])


@pytest.mark.parametrize("kind", ["recovered", "losses", "inputs"])
@pytest.mark.parametrize("width", ["single", "double"])
def test_figures_keep_text_and_do_not_change(kind, width, full, old, inputs, tmp_path):
    paths = [tmp_path / name for name in ("a.svg", "b.svg", "a.pdf", "b.pdf")]
    for path in paths:
        assert plot([full, *old], path, kind, width, [inputs, None, None]) == path
    a, b, pdf, again = (path.read_bytes() for path in paths)
    assert (a, pdf) == (b, again)
    root = ElementTree.fromstring(a)
    points = {"single": 89, "double": 183}[width] / 25.4 * 72
    assert float(root.attrib["width"].removesuffix("pt")) == pytest.approx(points)
    texts = " ".join("".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "every-field" in texts
    assert ("mean claimed" in texts) == (kind != "inputs")
    assert b"CreationDate" not in pdf


def test_plotting_and_paging_load_no_torch():
    code = "import sys; from scrubbing.report import frames, markdown, page, plot; "
    code += "sys.exit(bool({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def table(model, scrubbed, **more):
    n = len(model)
    columns = {"id": np.arange(n), "loss.model": np.array(model), "loss.scrubbed": np.array(scrubbed), **more}
    return InputTable(columns)


def test_a_scatter_is_thinned_and_keeps_both_extremes():
    random = np.random.default_rng(0)
    model = random.uniform(1, 2, 5_000)
    scrubbed = model + random.normal(0, 0.1, 5_000)
    scrubbed[17], scrubbed[18] = 9.0, 0.5
    found = drawing.scatter(table(model, scrubbed))
    assert len(found.points) == drawing.POINTS
    assert found.total == 5_000
    places = {found.axis.at(9.0), found.axis.at(0.5)}
    assert places <= {y for _, y in found.points}


def test_tiny_losses_get_logarithmic_axes():
    found = drawing.scatter(table([1e-6] * 9, [1e-5] * 8 + [5.0]))
    assert found.axis.log
    assert found.axis.ticks[0] == (0.0, "≤ 0.001")
    assert not drawing.scatter(table([1.0] * 9, [2.0] * 9)).axis.log
    assert drawing.scatter(table([1.0], [2.0], weight=np.zeros(1))) is None


def test_right_and_worst_by_hand():
    right = {"model_right": np.array([1, 1, 0, 1.0]), "measure.accuracy": np.array([1, 0.25, 0.5, 1])}
    more = {"weight": np.array([1, 1, 1, 0]), "text": np.array(["a", "b", "c", "d"])}
    given = table([0, 0, 1, 9], [1, 5, 2, 9], **right, **more)
    assert agreement(given) == [[1.25, 0.75], [0.5, 0.5]]
    assert [(one.id, one.text) for one in worst(given, 2)] == [(1, "b"), (0, "a")]
    half = {"model_right": np.array([0.5]), "measure.accuracy": np.array([1.0])}
    assert agreement(table([0], [0], **half)) is None


@pytest.mark.parametrize("high", [0.004, 0.7, 1.0, 5.3, 100, 1234])
def test_ticks_are_round_few_and_in_place(high):
    axis = drawing.Axis(0.0, high)
    assert 3 <= len(axis.ticks) <= 8
    for at, text in axis.ticks:
        assert at == pytest.approx(100 * float(text) / high, abs=0.01)


def test_variables_lie_above_what_they_are_computed_from(full):
    graph = pictures.interpretation(full.variables)
    y = {box.name: box.y for box in graph.boxes}
    assert y["balanced"] < y["count"] == y["horizon"] < y["depth"]
    assert len(graph.arrows) == 4
    boxes = sorted((box.y, box.x, box.x + box.width) for box in graph.boxes)
    assert all(a[2] < b[1] for a, b in pairwise(boxes) if a[0] == b[0])
    assert max(end for *_, end in boxes) <= graph.width


def test_the_grid_starts_at_the_output(full):
    (grid,) = [block for section in view(Entry(full)) for block in section.blocks if isinstance(block, Grid)]
    assert [name for name, _ in grid.rows] == ["output", "layer 2", "layer 1", "layer 0", "input"]
    assert sum(len(nodes) for _, nodes in grid.rows) == len(full.nodes)


def test_history_says_what_else_changed(full, history):
    text = parsed(page([full], history=history)).text
    assert text.index("2026-01-05 10:00") < text.index("2026-02-05 10:00")
    assert text.index("2026-02-05 10:00") < text.index("weights changed") < text.index("this record")


def test_an_empty_verdict_is_no_verdict(full, verdicts):
    assert "data-verdict=" not in page([full]) and "data-verdict=" not in page([full], verdicts=verdicts[1:])
    assert 'data-verdict="fail"' in page([full], verdicts=verdicts)


def test_a_reason_that_details_say_is_said_once(full):
    told = "Recovered 0.1, floor 0.9."
    said = {
        "both": Verdict(full.hypothesis, "fail", f"{told} No snapshot.", (f"fail: {told}", "fail: No snapshot.")),
        "more": Verdict(full.hypothesis, "fail", f"{told} And so on.", (f"fail: {told}",)),
    }
    assert markdown([full], [said["both"]]).count("0.1, floor") == 1
    assert "And so on." in markdown([full], [said["more"]])
