"""Where: which writers, slots and positions of a node matter. What does not is removed, by tests, a set at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

from scrubbing.graph.nodes import MASK, Node
from scrubbing.search.draft import Kept
from scrubbing.search.steps import Look

Item = TypeVar("Item", bound=Hashable)
Part = tuple[Node, "str | int | None"]
"""A writer and one of its slots or positions; None for all of it."""
Kind = Callable[[Kept], list[Part]]

MOST_POSITIONS = 48
"""Positions of a node above which none is looked at alone."""
MOST_ALONE = 480
"""Slots, or positions, of all that a node reads, above which none is looked at alone; proposals may leave some out."""


def needed(
    items: Sequence[Item],
    look: Callable[[Sequence[Item]], Look],
    accepted: Callable[[Sequence[Item]], bool],
    patience: int | None = None,
) -> list[Item]:
    """Those of some things without which something is lost: the others are removed, as many at once as can be.

    Each thing is looked at alone, which only says in which order to try; what is surely needed is left alone. Of the
    others, as many as possible are removed in one test: all of them, or half, and so on down to the cheapest. Then all
    are looked at again, since of two that stand in for each other the first to go makes the other needed.

    Args:
        items: things that might be removed; one is always left.
        look: what is lost where only some are left.
        accepted: test whether nothing is lost where only some are left; if so, they are.
        patience: times in a row that the cheapest alone cannot be removed, after which nothing else is tried; None to
            try all.
    """
    left, kept, cost, refused = list(items), set[Item](), dict[Item, float](), 0
    while len(left) > 1 and (patience is None or refused < patience):
        for one in (one for one in left if one not in kept and one not in cost):
            found = look([other for other in left if other != one])
            cost[one] = found.cost
            if found.outcome() == "needed":
                kept.add(one)
        some = sorted((one for one in left if one not in kept), key=lambda one: cost[one])
        some = some[: len(left) - 1]
        while some and not accepted([one for one in left if one not in some]):
            if len(some) == 1:
                kept.add(some[0])
                refused += 1
            some = some[: len(some) // 2]
        if some:
            refused = 0
            left = [one for one in left if one not in some]
            cost.clear()
        elif all(one in kept for one in left):
            break
    return left


def without(kept: Kept, some: frozenset[Part]) -> Kept:
    """A node that reads less."""
    below: list[Kept] = []
    for one in kept.below:
        slots = tuple(slot for slot in one.slots if (one.node, slot) not in some)
        left = one.only(slots, tuple(place for place in one.positions if (one.node, place) not in some))
        if left.positions and (one.node, None) not in some:
            below.append(left)
    return replace(kept, below=tuple(below))


def prune(
    kept: Kept,
    kinds: Sequence[Kind],
    look: Callable[[Kept], Look],
    accepted: Callable[[Kept], bool],
    patience: int | None = None,
) -> Kept:
    """A node without what does not matter of what it reads.

    Args:
        kept: the node, with all that it reads.
        kinds: what may be removed, one after another: `writers`, `slots`, `positions`.
        look: what is lost with this in its place.
        accepted: test whether nothing is lost with this in its place; if so, it is put there for good.
        patience: see `needed`.
    """
    for kind in kinds:
        items = kind(kept)
        if len(items) > MOST_ALONE:
            continue
        left = needed(
            items,
            lambda left, items=items, kept=kept: look(without(kept, frozenset(items) - frozenset(left))),
            lambda left, items=items, kept=kept: accepted(without(kept, frozenset(items) - frozenset(left))),
            patience,
        )
        kept = without(kept, frozenset(items) - frozenset(left))
    return kept


def writers(kept: Kept) -> list[Part]:
    """Writers that a node reads."""
    return [(one.node, None) for one in kept.below]


def slots(kept: Kept) -> list[Part]:
    """Slots through which writers enter, where there are several."""
    return [(one.node, slot) for one in kept.below if len(one.slots) > 1 for slot in one.slots]


def positions(kept: Kept) -> list[Part]:
    """Positions at which writers are read, where there are several."""
    several = (one for one in kept.below if 1 < len(one.positions) <= MOST_POSITIONS and one.node != MASK)
    return [(one.node, place) for one in several for place in one.positions]
