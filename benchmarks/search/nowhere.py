"""Searches where there is nothing to find, beside those on the models themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.groundtruth.catalogue import PROGRAMS, truth
from benchmarks.search.rows import counted, kept, markdown
from benchmarks.search.truths import WAYS, experiment, named
from scrubbing import controls
from scrubbing.search import own_outputs, search

SEEDS = range(410, 413)
"""Of models and of controls. What counts in a control by own outputs was settled on seeds 310 to 312."""
SUPPORTED = ("tight", "wider or finer than needed", "redundant")
"""Words of hypotheses that are enough."""
KINDS = {
    "fresh-weights": "re-initialised weights",
    "shuffled-labels": "shuffled labels",
    "own-outputs": "re-initialised weights, labelled with their own outputs",
}


@dataclass(frozen=True)
class There:
    """What a search in a control came to."""

    name: str
    word: str
    claimed: float | None
    """Bits; None where there was nothing to explain."""
    unspecific: bool
    """Whether that makes a result on the model itself not specific."""


@dataclass(frozen=True)
class Beside:
    """A search on a model, and the same search where there is nothing to find."""

    model: str
    word: str
    claimed: float | None
    controls: list[There]


def searched(number: int, way: str) -> Beside:
    """One search with its controls, which have the budget that it took itself."""
    seed = SEEDS[(number + number // len(PROGRAMS)) % len(SEEDS)]
    made = truth(list(PROGRAMS)[number % len(PROGRAMS)], seed)
    chosen = controls[f"fresh-weights-{1 + number % 5}"], controls["shuffled-labels"], own_outputs(seed + number)
    scope = made.tight[0].scope
    asked: dict[str, Any] = {**WAYS[way], "scope": scope, "random": 0, "controls": chosen, "seed": seed + number}
    record = search(experiment(made), named(made), **asked).record
    size = record.found[0].size
    there = [There(one.name, one.word, one.claimed, one in record.unspecific) for one in record.controls]
    return Beside(made.name, record.word, None if size is None else size.claimed, there)


def searches(number: int, way: str, folder: Path | None) -> list[Beside]:
    """So many."""
    return [kept(folder, f"nowhere {i} {way}", Beside, lambda i=i: searched(i, way)) for i in range(number)]


def table(found: Mapping[str, Sequence[Beside]]) -> str:
    """A row for each way of searching and each control."""
    heads = ["proposals by", "control", "searches", "nothing to explain", "other verdicts there", "supported there",
             "not specific"]  # fmt: skip
    rows: list[list[str]] = []
    for way, some in found.items():
        for kind, name in KINDS.items():
            there = [one for beside in some for one in beside.controls if one.name.startswith(kind)]
            words = [one.word for one in there if one.claimed is not None]
            cells = [way, name, str(len(there)), str(len(there) - len(words)), counted(words) or "–"]
            cells += [str(sum(word in SUPPORTED for word in words)), str(sum(one.unspecific for one in there))]
            rows.append(cells)
    told = "; ".join(f"by {way}: {counted([one.word for one in some])}" for way, some in found.items())
    return f"{markdown(heads, rows)}\n\nOn the models themselves, {told}."
