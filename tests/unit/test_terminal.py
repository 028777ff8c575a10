"""Records in a terminal of 80 columns: nothing that identifies a number may be cut off."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from scrubbing import RunRecord
from scrubbing.records.schema import Choices, Number, Provenance, Recovered
from scrubbing.report.terminal import ladder_view


def number(value: float) -> Number:
    return Number(value=value, se=0.123, low=value - 0.1, high=value + 0.1)


def record(name: str, claimed: float) -> RunRecord:
    """A record with numbers as wide as they get, worse than the constant model."""
    losses = {"model": 0.0, "scrubbed": 3.629, "null": 5.12, "constant": 0.569, "mean rest": 2.559}
    fractions = {"null": 0.291, "constant": -5.379, "mean claimed": claimed}
    return RunRecord(
        hypothesis=name,
        claim="",
        scope=None,
        tree="",
        stored=None,
        choices=Choices(references=1, draws=1, seed=0, ablation=None, loss="", dtype="", device=""),
        losses={key: number(value) for key, value in losses.items()},
        recovered=[
            Recovered(baseline=key, meaning="", fraction=number(value), nats=number(0.0))
            for key, value in fractions.items()
        ],
        accuracy=number(0.602),
        kl=number(1.0),
        changed=number(0.4),
        strata=[],
        claims=[],
        notes=[],
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


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_ladder_keeps_names_and_numbers(width: int) -> None:
    written = StringIO()
    records = [record("parens/original-roles", -110_792.71), record("parens/two-tests", 0.961)]
    Console(file=written, width=width).print(ladder_view(records, "parens"))
    text = written.getvalue()
    assert "…" not in text
    first, second = (line for line in text.splitlines() if line.startswith(("original-roles", "two-tests")))
    assert first.split() == [
        "original-roles", "3.629", "(0.123)", "29.1", "[19.1,", "39.1]", "-537.9", "<", "-1000", "2.559", "60.2", "!",
    ]  # fmt: skip
    assert second.split()[7] == "96.1"
    assert max(map(len, text.splitlines())) <= width
