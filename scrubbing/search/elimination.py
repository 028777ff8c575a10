"""In which order slots are given up, by what is lost without them: what gates propose, near the knee, is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing.progress import bar
from scrubbing.search.gated import SHIFTED, Gated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURED = 320
"""Inputs on which losses are measured, at most; half of them with one other input for all nodes."""
LOOKED_AT = 8
"""Gates of which it is measured together what would be lost without each, when one is to be given up."""
FIRST = 1_000_000
"""Number of the first draw of inputs; those before are for gates."""
SHIFTS = 10
"""Batches on which gradients say how far outputs would shift, each with all gates at another level."""
IDLE, TOO_MUCH = (0.001, 0.003), 0.3
"""Shares of the gap: what may be lost by what is given up in groups, first and then; where more is, all else stays."""


def reordered(gated: Gated, price: Floats, passes: int) -> Floats:
    """Prices of gates, of which those of slots are exchanged so that what loses least is the first to go.

    Gates are sampled and close together, so where each of several loses a fraction of a percent their prices say little
    about which should go first. Those without which outputs would hardly shift either are given up in groups. Then
    gates are given up one at a time, each time the one without which least is lost.

    Source: ours; it is backward elimination (Marill and Green 1963), looking at no more than it must (Minoux 1978).

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
    gone, seen = list[int](), dict[int, float]()
    for nothing in IDLE:
        _idle(gated, [one for one in order if one not in gone], gone, seen, nothing, until)
    left = [one for one in order if one not in gone]
    cost = {one: SHIFTED * float(shift[one]) for one in left} | seen
    _one_by_one(gated, left, gone, cost, until)
    made = price.copy()
    made[[*gone, *sorted(left, key=lambda one: cost[one])]] = np.sort(price[slots])
    return made


def _one_by_one(gated: Gated, left: list[int], gone: list[int], cost: dict[int, float], until: int) -> None:
    """Give up gates one at a time, each time the one without which least is lost.

    The cheapest so far are looked at, with the same others in place of what they close, until one costs no more than
    the next did when it was last looked at. What a gate costs mostly rises as others go, so the next would not cost
    less now. To look at so many and no more would give up a gate that has become dear, where several have at once,
    while a cheaper one is next in line.

    Args:
        gated: the model.
        left: gates that are open; those that are given up are taken away.
        gone: gates that are closed, to which they are added.
        cost: what is lost without each that is left, measured or to go by gradients, which is brought up to date.
        until: forward passes that may have been made.
    """
    lost = 0.0
    with bar(f"giving up {len(left)} slots", len(left)) as progress:
        while len(left) > 1 and lost <= TOO_MUCH and gated.examples + _inputs(gated) <= until:
            lost = float(_without(gated, [gone], len(gone))[0])
            queue, looked = sorted(left, key=lambda one: cost[one]), list[int]()
            while queue and (not looked or min(cost[one] for one in looked) > cost[queue[0]]):
                some, queue = queue[:LOOKED_AT], queue[LOOKED_AT:]
                if gated.examples + len(some) * _inputs(gated) > until:
                    return
                losses = _without(gated, [[*gone, one] for one in some], len(gone))
                cost |= dict(zip(some, (losses - lost).tolist(), strict=True))
                looked += some
            first = min(looked, key=lambda one: cost[one])
            gone.append(first)
            left.remove(first)
            progress.advance()


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
