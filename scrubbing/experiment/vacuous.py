"""What a hypothesis keeps so much of that a good score says little: notes that need the data, beside the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.features import Feature
from scrubbing.experiment.jobs import Job
from scrubbing.hypothesis.treeify import PlacedClaim
from scrubbing.records.schema import Note

_COPIES, _ONLY_COPIES = 0.5, 0.999
"""Shares of draws that return an equal input, from which a claim is hardly tested, and exchanges nothing."""
Codes = NDArray[np.int64]


def vacuous(job: Job, predicted: NDArray[Any] | None) -> list[Note]:
    """Notes on claims that keep the whole input, draw copies, or agree on the answer itself; and on claiming it all.

    Args:
        job: the scrub of the hypothesis.
        predicted: the model's own most likely prediction of each reference, `[n]`; None where there is not just one.
    """
    leaves = [region for region in job.tree.regions[1:] if not region.children]
    found = [*_copies(job, leaves), *_answers(job, leaves, predicted)]
    if leaves and not _leaves_out(job):
        found.append(Note.of("everything-claimed"))
    return found


def _leaves_out(job: Job) -> bool:
    """Whether any path, or any part of a node, is left unclaimed."""
    cells = (cell for cells in job.tree.cells.values() for cell in cells if cell.reader is None)
    entries = (entry for cell in cells for entry in cell.entries if entry.mixed is None)
    return any(all(hit.part is not None for hit in entry.claimed) for entry in entries)


def _copies(job: Job, leaves: list[PlacedClaim]) -> Iterator[Note]:
    """Claims whose node holds the input of the claim above it, itself or a copy: nothing is exchanged there."""
    for region in leaves:
        feature = job.contexts.of(region.index).feature
        if feature is None:
            yield Note.of("claim-keeps-input", **_claim(region))
        elif feature.per == "input":
            share, itself = _returned(job, feature)
            for code, least in (("claim-draws-only-copies", _ONLY_COPIES), ("claim-draws-copies", _COPIES)):
                if share >= least:
                    if itself < least:  # an input of its own for every value is counted in the draws, and said of them
                        yield Note.of(code, **_claim(region), share=share)
                    break


def _returned(job: Job, feature: Feature) -> tuple[float, float]:
    """How likely a uniform draw among the inputs that agree is to return an equal input, and the input itself."""
    group = groups(feature, job.data).group.astype(np.int64)
    size, equal = groups(feature, job.data).size[group], _joint(group, _content(job))
    return float(np.mean(np.bincount(equal)[equal] / size)), float(np.mean(1 / size))


def _content(job: Job) -> Codes:
    """A number for each different input, its label left out, `[n]`."""
    label, data = getattr(job.subject.loss, "label", None), job.data

    def numbered() -> Codes:
        # Two different inputs get one number with a chance of n^2 / 2^65, and nothing but a note hangs on it.
        rng, total = np.random.default_rng(0), np.zeros(len(data), dtype=np.uint64)
        for column in (np.asarray(data[name]).reshape(len(data), -1) for name in data if name != label):
            if column.dtype.kind not in "biuf":
                column = np.unique(column, return_inverse=True)[1].reshape(column.shape)
            bits = np.ascontiguousarray(column, dtype=np.float64).view(np.uint64)
            total += (bits * rng.integers(0, 2**64, column.shape[1], dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
        return np.unique(total, return_inverse=True)[1].ravel()

    return data.remember(("content of inputs", label), numbered)


def _joint(first: Codes, second: Codes) -> Codes:
    """A number for each combination of two."""
    return np.unique(first * (second.max(initial=0) + 1) + second, return_inverse=True)[1].ravel()


def _answers(job: Job, leaves: list[PlacedClaim], predicted: NDArray[Any] | None) -> Iterator[Note]:
    """Claims whose feature is the label, or the model's own prediction.

    Where claims that settle the answer are all that the output reads, every draw has it, and nothing can fail.
    """
    data, named = job.data, set[int]()
    answers: list[tuple[str, str, NDArray[Any], Any]] = []
    label = getattr(job.subject.loss, "label", None)
    if isinstance(label, str) and label in data and np.ndim(data[label]) == 1 and data[label].dtype.kind in "biu":
        answers.append(("feature-is-label", "claim-is-label", data[label], slice(None)))
    if predicted is not None:
        answers.append(("output-by-own-value", "claim-is-output", predicted, job.reference.rows))
    for whole, part, answer, rows in answers:
        settling = {
            region.index: same for region in leaves if (same := _settles(job, region, answer, rows)) is not None
        }
        if settling and _read_wholly(job, set(settling)):
            yield Note.of(whole)
            return
        for region in (region for region in leaves if settling.get(region.index) and region.index not in named):
            named.add(region.index)
            yield Note.of(part, **_claim(region), feature=region.claim.variable.agrees_on().name)


def _settles(job: Job, region: PlacedClaim, answer: NDArray[Any], rows: Any) -> bool | None:
    """Whether inputs that agree on the claim's feature have one answer: True where they are all with this answer, False
    where others have it too, and None where they have several, or there is just one.
    """
    feature = job.contexts.of(region.index).feature
    if feature is None or feature.per != "input":
        return None
    group = groups(feature, job.data).group.astype(np.int64)[rows]
    code = np.unique(answer, return_inverse=True)[1].ravel()
    kinds, both = len(np.unique(group)), len(np.unique(_joint(group, code)))
    return None if code.max(initial=0) == 0 or both > kinds else kinds == code.max() + 1


def _read_wholly(job: Job, regions: set[int]) -> bool:
    """Whether the output reads nothing but what these claims hold, undivided."""
    tree = job.tree
    start = tree.start(0, tree.graph.output)
    read = [cell for (copy, _), cells in tree.cells.items() if copy == start for cell in cells]
    return bool(read) and all(
        all(any(hit.part is None and hit.region in regions for hit in entry.claimed) for entry in cell.entries)
        if cell.reader is None
        else cell.reader in regions
        for cell in read
    )


def _claim(region: PlacedClaim) -> dict[str, str]:
    return {"what": region.claim.what, "variable": region.claim.variable.name}
