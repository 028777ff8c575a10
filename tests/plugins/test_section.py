"""A section of the report from outside: one file, one registration, public names only; in every outlet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.parens.task import our_data, task
from scrubbing import Experiment, Result
from scrubbing.report import Entry, Fact, Facts, Section, Table, sections
from tests.warm import python


def hard_and_easy(entry: Entry) -> Section | None:
    """Where the losses lie: quartiles of the scrubbed loss, which need values per input, and how long it took."""
    seconds = entry.record.provenance.seconds
    blocks: list[Any] = [Facts([Fact("wall clock", f"{seconds:.1f} s", "of this run", name="clock", value=seconds)])]
    if entry.inputs is not None:
        rows = [[f"{share:.0%}", f"{loss:.2f} <b>"] for share, loss in _quartiles(entry).items()]
        blocks.append(Table("Quartiles of the scrubbed loss", ["share of inputs", "below"], rows))
    return Section("hard", "Hard and easy inputs", blocks)


def _quartiles(entry: Entry) -> dict[float, float]:
    assert entry.inputs is not None
    losses = sorted(entry.inputs["loss.scrubbed"].tolist())
    return {share: losses[int(share * (len(losses) - 1))] for share in (0.25, 0.5, 0.75)}


@pytest.fixture(autouse=True)
def registered() -> None:
    sections.add("hard", hard_and_easy)


@pytest.fixture(scope="module")
def result() -> Result:
    experiment = Experiment(task.model(), our_data(500), task.loss(), references=60, draws=2, baselines=False)
    return experiment.run(task.rung("signs"))


def printed(view: Any) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(view)
    return console.file.getvalue()  # pyright: ignore


def test_it_is_in_terminal_page_markdown_notebook_and_frame(result: Result) -> None:
    from scrubbing.report import fragment, markdown, page, record_view, to_frame

    entry = Entry(result.record(), result.inputs())
    for text in (printed(record_view(entry)), page([entry]), markdown([entry]), fragment(entry)):
        assert "Hard and easy inputs" in text
        assert "wall clock" in text and "Quartiles of the scrubbed loss" in text
        assert "50%" in text
        assert text.count("<b>") == text.count("</b>") or "<html" not in text  # never markup of the page
    assert to_frame([entry])["clock"][0] == entry.record.provenance.seconds


def test_without_values_per_input_the_rest_of_it_is_shown(result: Result) -> None:
    from scrubbing.report import record_view

    text = printed(record_view(result.record()))
    assert "wall clock" in text and "Quartiles" not in text


def test_one_that_has_nothing_to_say_is_left_out(result: Result) -> None:
    from scrubbing.report import view

    sections.add("silent", lambda entry: None)
    names = [section.name for section in view(Entry(result.record()))]
    assert "hard" in names and "silent" not in names and names[-1] == "provenance"


def test_a_file_that_registers_one_is_all_it_takes(tmp_path: Path, result: Result) -> None:
    """In a process of its own, as an analyst writes it."""
    from scrubbing.records import save

    save(result.record(), tmp_path / "one.json", result.inputs())
    (tmp_path / "mine.py").write_text(
        "from scrubbing.records.store import load\n"
        "from scrubbing.report import Fact, Facts, Section, sections\n"
        "from scrubbing.report.page import page\n"
        "\n"
        '@sections("ours")\n'
        "def ours(entry):\n"
        '    return Section("ours", "Said by us", [Facts([Fact("seed", str(entry.record.choices.seed))])])\n'
        "\n"
        'print(page([load("one.json")]).count("Said by us"))\n'
    )
    done = python("mine.py", cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("1\n", "")
