"""In which order slots are given up, by what is lost without them: what gates propose, near the knee, is measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing.search.gated import Gated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MEASURED = 320
"""Inputs on which losses are measured, at most; half of them with one other input for all nodes."""
FIRST_LOOK, LOOKED_AT = 32, 4
"""Gates of which it is measured what would be lost without them, at first and then each time that one is given up."""
FAILED = 8
"""Gates in a row with which alone too much is lost, after which no more are closed together."""
SHIFTED, SURE = (3.0, 0.3), 0.01
"""Shares of the gap that outputs count for which shift as far as in the null: while they shift by no more than this
share of it, when losses of some hundred inputs hardly tell one gate from another, and from there on."""
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
    gates are given up one at a time, each time the one of some without which least is lost, half to go by this look and
    half by those before, each with other inputs in place of what is closed.

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
    gone, known = list[int](), dict[int, Floats]()
    for nothing in IDLE:
        _idle(gated, [one for one in order if one not in gone], gone, known, nothing, until)
    likely = {one: np.array([0, shift[one]]) for one in order}
    left = _one_by_one(gated, [one for one in order if one not in gone], gone, likely, known, until)
    made = price.copy()
    made[[*gone, *left]] = np.sort(price[slots])
    return made


def _one_by_one(
    gated: Gated, left: list[int], gone: list[int], likely: dict[int, Floats], known: dict[int, Floats], until: int
) -> list[int]:
    """Add to those that are gone one after another, and say in which order those that are left would go.

    Args:
        gated: the model.
        left: gates that are open.
        gone: gates that are closed.
        likely: what would be lost without each, and how far outputs would shift, to go by gradients.
        known: the same where it was measured.
        until: forward passes that may have been made.
    """
    at, looked_at = np.zeros(2), FIRST_LOOK

    def cost(one: int) -> float:
        return _cost(known.get(one, likely[one]), at[1])

    while len(left) > 1 and at[0] <= TOO_MUCH:
        some = sorted(left, key=cost)[:looked_at]
        if gated.examples + (1 + len(some)) * _inputs(gated) > until:
            break
        at, *found = _without(gated, [gone, *([*gone, one] for one in some)], len(gone))
        for one, lost in zip(some, found, strict=True):
            known[one] = (known[one] + lost - at) / 2 if one in known else lost - at
        first, looked_at = min(some, key=cost), LOOKED_AT
        gone.append(first)
        left.remove(first)
    return sorted(left, key=cost)


def _cost(lost: Floats, shift: float) -> float:
    """Of what is lost and how far outputs shift, where they shift so far in all."""
    return float(lost[0] + SHIFTED[bool(shift > SURE)] * lost[1])


def _idle(
    gated: Gated, order: list[int], gone: list[int], known: dict[int, Floats], nothing: float, until: int
) -> None:
    """Add to those that are gone what can be closed, too, so that no more than next to nothing is lost in all.

    From the cheapest on as many as possible are closed at once, and past those with which alone too much is lost, until
    several in a row are such; what is lost with each of these is noted.
    """
    at, size, failed = 0, max(1, len(order) // 2), 0
    while at < len(order) and failed < FAILED and gated.examples + _inputs(gated) <= until:
        some = order[at : at + size]
        (lost,) = _without(gated, [[*gone, *some]], -1)
        if _cost(lost, lost[1]) <= nothing:
            gone += some
            size, failed = 2 * size, 0
        elif len(some) > 1:
            size = len(some) // 2
            continue
        else:
            known[some[0]], failed = lost, failed + 1
        at += len(some)


def _inputs(gated: Gated) -> int:
    """Those on which a loss is measured."""
    return min(MEASURED, len(gated.rows)) // 2 * 2


def _without(gated: Gated, closed: list[list[int]], number: int) -> Floats:
    """What is lost with some gates closed, and how far outputs shift, on inputs with one other input for all nodes, or
    with one for each, whichever is more, `[len(closed), 2]`.

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
