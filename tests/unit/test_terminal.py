"""Records in a terminal of 80 columns: nothing that identifies a number may be cut off."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from scrubbing import RunRecord
from scrubbing.records.schema import Choices, MeasureValue, Note, Number, Provenance, Recovered
from scrubbing.report.terminal import ladder_view, plain, section_view
from scrubbing.report.view import Fact, Section, Table


def number(value: float) -> Number:
    return Number(value=value, se=0.123, low=value - 0.1, high=value + 0.1)


def record(name: str, scrubbed: float, claimed: float) -> RunRecord:
    """A record with numbers as wide as they get, worse than the constant model."""
    losses = {"model": 0.0, "scrubbed": scrubbed, "null": 5.12, "constant": 0.569, "mean rest": 2.559}
    fractions = {"null": 0.291, "constant": -5.379, "mean claimed": claimed}
    return RunRecord(
        hypothesis=name,
        claim="",
        scope=None,
        stored=None,
        choices=Choices(references=100, draws=1, seed=0, ablation=None, loss="", dtype="", device=""),
        losses={key: number(value) for key, value in losses.items()},
        recovered=[
            Recovered(baseline=key, meaning="", fraction=number(value), lost=number(0.0))
            for key, value in fractions.items()
        ],
        measures=[
            MeasureValue(name="accuracy", meaning="", unit="share", value=number(0.602)),
            MeasureValue(name="changed", meaning="", unit="share", value=number(0.4)),
        ],
        strata=[],
        claims=[],
        exchanged=True,
        notes=[Note.of("worse-than-constant", scrubbed=scrubbed, constant=0.569, sure=True)],
        provenance=Provenance(
            model="",
            model_fingerprint="",
            data="",
            data_fingerprint="",
            inputs_in_scope=1,
            versions={},
            seconds=0.0,
            when="",
        ),
    )


def printed(renderable: object, width: int) -> str:
    written = StringIO()
    Console(file=written, width=width).print(renderable)
    assert max(map(len, written.getvalue().splitlines())) <= width
    return written.getvalue()


@pytest.mark.parametrize(("width", "fraction"), [(80, ["-537.9"]), (120, ["-537.9", "[-547.9,", "-527.9]"])])
def test_a_ladder_keeps_names_and_numbers(width: int, fraction: list[str]) -> None:
    """Intervals go first, from the right, and it is said."""
    records = [record("parens/original-roles", 3.629, -110_792.71), record("parens/two-tests", 1.2, 0.961)]
    text = printed(ladder_view(records, "parens"), width)
    assert "…" not in text
    first, second = (line for line in text.splitlines() if line.startswith(("original-roles", "two-tests")))
    assert first.split()[:5] == ["original-roles", "!", "3.629", "[3.529,", "3.729]"]
    assert first.split()[5 : 5 + len(fraction)] == fraction
    assert second.split()[:3] == ["two-tests", "!", "1.200"]
    assert ("For want of room without intervals: % of constant" in " ".join(text.split())) == (width == 80)


@pytest.mark.parametrize("width", [30, 40, 50])
def test_what_does_not_fit_at_all_is_left_out_by_name(width: int) -> None:
    text = " ".join(printed(ladder_view([record("parens/original-roles", 3.629, 0.5)], "parens"), width).split())
    assert "left out:" in text and "bits" in text.partition("left out:")[2]
    assert "3.629" in text


def test_data_is_never_markup_nor_moves_the_cursor() -> None:
    nasty = "[/INST] [bold]:smile: \x1b[2J\x07 \u202e"
    table = Table(nasty, [nasty, "b"], [[Fact(nasty, nasty), nasty]], nasty)
    text = printed(section_view(Section("s", nasty, [table])), 200)
    assert "[/INST] [bold]:smile:" in text
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert plain("a\tb\nc").plain == "a\tb\nc"
