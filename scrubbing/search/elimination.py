"""In which order slots are given up, by what is lost without them: what gates propose, near the knee, is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing.search.gated import SHIFTED, Gated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURED = 320
"""Inputs on which losses are measured, at most; half of them with one other input for all nodes."""
LOOKED_AT = 8
"""Gates of which it is measured, each time that one is given up, what would be lost without them."""
FIRST = 1_000_000
"""Number of the first draw of inputs; those before are for gates."""
SHIFTS = 10
"""Batches on which gradients say how far outputs would shift, each with all gates at another level."""
IDLE, TOO_MUCH = (0.0003, 0.003), 0.3
"""Shares of the gap: what may be lost by what is given up in groups, first and then; where more is, all else stays."""


def reordered(gated: Gated, price: Floats, passes: int) -> Floats:
    """Prices of gates, of which those of slots are exchanged so that what loses least is the first to go.

    Gates are sampled and close together, so where each of several loses a fraction of a percent their prices say little
    about which should go first. Those without which outputs would hardly shift either are given up in groups. Then
    gates are given up one at a time, each time the one of some without which least is lost; those are looked at that
    lost least when they were last looked at, on the same inputs with the same others.

    Source: ours; it is backward elimination (Marill and Green 1963).

    Args:
        gated: the model.
        price: at which each gate closes, `[gates]`.
        passes: forward passes that may be made.
    """
    until = gated.examples + passes
    slots = np.flatnonzero([isinstance(gate.what, str) for gate in gated.gates.gates])
    if gated.examples + 3 * SHIFTS * gated.size + gated.room > until:
        return price
    # At open gates alone a sure model hardly shifts with any: in between, as integrated attribution looks, it does.
    shift = np.mean([gated.shifts(gated.batch(FIRST - 1 - i), 1 - i / SHIFTS) for i in range(SHIFTS)], axis=0)
    rank = np.maximum(*(np.argsort(np.argsort(one[slots], kind="stable")) for one in (price, shift)))
    order: list[int] = slots[np.argsort(rank, kind="stable")].tolist()
    gone, seen, lost = list[int](), dict[int, float](), 0.0
    for nothing in IDLE:
        _idle(gated, [one for one in order if one not in gone], gone, seen, nothing, until)
    left = [one for one in order if one not in gone]
    estimate = {one: SHIFTED * float(shift[one]) for one in order} | seen
    while len(left) > 1 and lost <= TOO_MUCH:
        some = sorted(left, key=lambda one: estimate[one])[:LOOKED_AT]
        if gated.examples + len(some) * _inputs(gated) > until:
            break
        losses = _without(gated, [[*gone, one] for one in some], len(gone))
        estimate |= dict(zip(some, (losses - lost).tolist(), strict=True))
        lost, first = float(losses.min()), some[int(losses.argmin())]
        gone.append(first)
        left.remove(first)
    made = price.copy()
    made[[*gone, *sorted(left, key=lambda one: estimate[one])]] = np.sort(price[slots])
    return made


def _idle(gated: Gated, order: list[int], gone: list[int], seen: dict[int, float], nothing: float, until: int) -> None:
    """Add to those that are gone what can be closed, too, so that no more than next to nothing is lost in all.

    From the cheapest on as many as possible are closed at once, and past those with which alone too much is lost, until
    several in a row are such; what is lost with each of these is noted.
    """
    at, size, failed = 0, max(1, len(order) // 2), 0
    while at < len(order) and failed < LOOKED_AT and gated.examples + _inputs(gated) <= until:
        some = order[at : at + size]
        lost = float(_without(gated, [[*gone, *some]], -1)[0])
        if lost <= nothing:
            gone += some
            size, failed = 2 * size, 0
        elif len(some) > 1:
            size = len(some) // 2
            continue
        else:
            seen[some[0]], failed = lost, failed + 1
        at += len(some)


def _inputs(gated: Gated) -> int:
    """Those on which a loss is measured."""
    return min(MEASURED, len(gated.rows)) // 2 * 2


def _without(gated: Gated, closed: list[list[int]], number: int) -> Floats:
    """What is lost with some gates closed, on inputs with one other input for all nodes, or with one for each,
    whichever is more.

    Args:
        gated: the model.
        closed: the gates, for each loss.
        number: of the draw.
    """
    masks = np.ones((len(closed), len(gated.gates.gates)))
    for mask, gates in zip(masks, closed, strict=True):
        mask[gates] = 0
    half = _inputs(gated) // 2
    return np.maximum(*(gated.losses(gated.batch(FIRST + 2 * number + i, half), masks) for i in range(2)))
