"""Records side by side: each with its own inputs, on a baseline that can be trusted, with all that must be said."""

from __future__ import annotations

import io
import re
from html import unescape

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import NUMERICS, Equivalent, Note
from scrubbing.records.store import save
from scrubbing.report.frames import to_frame
from scrubbing.report.markdown import markdown
from scrubbing.report.page import page
from scrubbing.report.plot import plot
from scrubbing.report.terminal import ladder_view, record_view
from scrubbing.report.view import Entry, said
from scrubbing.report.view.several import trusted


def printed(view, width=200):
    console = Console(file=io.StringIO(), width=width)
    console.print(view)
    return " ".join(console.file.getvalue().split())


def with_seed(record, seed):
    return record.model_copy(update={"choices": record.choices.model_copy(update={"seed": seed}), "worst": []})


def table(scrubbed, text):
    n = len(scrubbed)
    columns = {"id": np.arange(n), "text": np.array([text] * n), "weight": np.ones(n), "counted": np.ones(n)}
    return InputTable({**columns, "loss.model": np.full(n, 0.5), "loss.scrubbed": np.asarray(scrubbed, dtype=float)})


@pytest.fixture
def twins(full):
    """Two runs of one hypothesis with other seeds, and each its own inputs."""
    return [
        Entry(with_seed(full, 0), table([1.0, 2.0], "of the first")),
        Entry(with_seed(full, 1), table([3.0, 1.5, 2.5], "of the second")),
    ]


def test_two_records_of_one_hypothesis_keep_their_own_inputs_on_a_page(twins):
    text = page(twins)
    articles = re.findall(r"<article .*?</article>", text, re.S)
    assert ["of the first" in one for one in articles] == [True, False]
    assert ["of the second" in one for one in articles] == [False, True]
    assert ["all, 2 inputs" in one for one in articles] == [True, False]
    assert ["all, 3 inputs" in one for one in articles] == [False, True]
    assert "every-field (seed 0)" in text and "every-field (seed 1)" in text
    assert "2 records of parens/every-field" in text


def test_and_in_a_figure(twins, tmp_path):
    one, other, both = (tmp_path / f"{name}.svg" for name in ("one", "other", "both"))
    for path, entries in ((one, twins[:1]), (other, twins[1:]), (both, twins)):
        plot(entries, path, "inputs")
    assert "every-field (seed 0)" in both.read_text() and "every-field (seed 1)" in both.read_text()
    points = [path.read_text().count("<use") for path in (one, other, both)]
    assert points[0] != points[1]


def test_and_from_the_command_line(twins, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, entry in enumerate(twins):
        save(entry.record.model_copy(update={"inputs": None}), f"{i}.json", entry.inputs)
    found = CliRunner().invoke(app, ["report", "0.json", "1.json", "--out", "page.html"])
    assert found.exit_code == 0, found.output
    articles = re.findall(r"<article .*?</article>", (tmp_path / "page.html").read_text(), re.S)
    assert ["of the second" in one for one in articles] == [False, True]


def test_inputs_by_name_of_a_hypothesis_are_a_thing_of_the_past(full, inputs):
    with pytest.warns(DeprecationWarning, match="in the order of the records"):
        old = page([full], {full.hypothesis: inputs})
    assert old == page([full], [inputs])


def test_the_overview_shows_a_baseline_that_the_notes_trust(old, full):
    """28 % of the null is 561 % below the constant model: the chart is of the constant, and so is the list."""
    assert trusted(old) == "constant"
    text = page(old)
    assert re.search(r"Loss recovered of constant, %", text)
    assert "Loss recovered of null, %" not in text.partition("<article")[0]
    heads = re.search(r"hypothesis +loss +(% of \w+)", printed(ladder_view(old, "ladder")))
    assert heads and heads[1] == "% of constant"


def test_without_a_better_constant_the_zero_is_trusted(old):
    losses = {**old[0].losses, "constant": old[0].losses["null"]}
    assert trusted([old[0].model_copy(update={"losses": losses})]) == "null"
    del losses["constant"]
    assert trusted([old[0].model_copy(update={"losses": losses})]) == "null"


@pytest.mark.parametrize(
    ("code", "values", "words"),
    [
        ("few-references", {"units": 7}, "Only 7 independent references"),
        ("one-class", {}, "same label"),
        ("model-loses-to-constant", {"model": 1.0, "constant": 0.5, "sure": True}, "The model itself is worse"),
    ],
)
def test_what_holds_for_a_row_is_said_beside_it(code, values, words, full, old, tmp_path):
    marked = full.model_copy(update={"notes": [Note.of(code, **values)]})
    records = [marked, *old]
    figure = plot(records, tmp_path / "one.svg", width="double").read_text()
    frame = to_frame(records)["unlike"][0]
    for text in (printed(ladder_view(records, "ladder")), page(records), markdown(records), figure, frame):
        assert words in " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_draws_of_an_older_numbering_are_said_to_be(full):
    before = full.model_copy(update={"choices": full.choices.model_copy(update={"numerics": NUMERICS - 1})})
    for text in (printed(record_view(before)), page([before]), markdown([before])):
        assert f"older numbering ({NUMERICS - 1}; this version draws by {NUMERICS})" in " ".join(text.split())
    now = full.model_copy(update={"choices": full.choices.model_copy(update={"numerics": NUMERICS})})
    assert not any("numbering" in line for line in said(now))


def test_the_temperature_may_say_nothing(full, tmp_path, monkeypatch):
    """`scrub report` and `scrub gate --out` raised TypeError here."""
    monkeypatch.chdir(tmp_path)
    again = full.recalibrated.model_copy(update={"temperature": None})
    save(full.model_copy(update={"recalibrated": again, "inputs": None}), "one.json")
    for out in ("page.html", "summary.md"):
        found = CliRunner().invoke(app, ["report", "one.json", "--out", out])
        assert found.exit_code == 0, found.output
        assert "ignoring the logits" in (tmp_path / out).read_text()


def test_the_interval_of_a_training_equivalent_is_written_once(full):
    for text in (printed(record_view(full)), page([full]), markdown([full])):
        assert unescape(text).count("[2,700,000, 3,500,000]") == 1


@pytest.mark.parametrize(
    ("beyond", "end", "words"),
    [("first", 0.5, "less than 0.5 %"), ("last", 90.0, "more than 90 %"), ("last", None, "more than the last")],
)
def test_beyond_the_series(beyond, end, words, full):
    worth = Equivalent(what="this model", unit="% of its training", amount=None, beyond=beyond, end=end)
    record = full.model_copy(update={"equivalent": worth})
    assert words in printed(record_view(record))


def test_a_share_that_was_never_seen_says_what_could_be(full):
    none = full.measure("changed").model_copy(
        update={"value": full.measure("changed").value.model_copy(update={"value": 0.0, "low": 0.0, "high": 0.0})}
    )
    record = full.model_copy(update={"measures": [none]})
    assert "none of 300: at most 1.0 %" in printed(record_view(record))


def test_slices_that_only_one_record_has(full, old):
    """They were looked up by their place in the first record."""
    for records in ([full, *old], [*old, full]):
        assert "second of a repeated bigram" in printed(ladder_view(records, "ladder"))
