"""Where the rest is lost: what claims, and what is unclaimed, have to do with the loss."""

from __future__ import annotations

from scrubbing.numbers import SHARE, Form, many
from scrubbing.records.attribution import Attribution, PlayerShare
from scrubbing.records.schema import Number
from scrubbing.report.view.blocks import Fact, Section, Sentences, Table
from scrubbing.report.view.entry import Entry
from scrubbing.report.view.notes import claim

_SHARE = Form(1, 100.0, " %", sign=True)
_MOST = 10
"""Rows of the table; what is left out is small."""


def attribution(entry: Entry) -> Section | None:
    """Shares of what is lost."""
    found = None if entry.record.tested is None else entry.record.tested.attribution
    if found is None:
        return None
    blocks = [Sentences([attribution_sentence(found)]), _table(found)]
    return Section("rest", "Where the rest is lost", blocks)


def attribution_sentence(found: Attribution) -> str:
    """What is lost, and what most of it goes back to."""
    told = f"Of the gap between null and model, {_interval(found.lost)} is lost"
    if not found.shares:
        return f"{told}."
    first = found.shares[0]
    return f"{told}; {_interval(first.share)} goes back to {_name(first)}."


def _table(found: Attribution) -> Table:
    largest = sorted(found.shares, key=lambda one: -abs(one.share.value))
    shown = [one for one in found.shares if any(one is other for other in largest[:_MOST])]
    rows = [_row(_name(one), one.share) for one in shown]
    rows.append(_row("all that is lost", found.lost))
    how = {
        "all subsets": f"all {many(found.orders, 'order')}",
        "sampled orders": f"{many(found.orders, 'order')} drawn at random",
    }
    caption = (
        "Share: by how much the loss falls when a claim holds the input of the claim above it, or what is unclaimed is "
        f"not exchanged, of the gap, averaged over {how[found.method]} of restoring one after another (Shapley value); "
        f"{many(found.references, 'reference')} x {many(found.draws, 'draw')}, 95 %. They sum to what is lost."
    )
    if left := largest[_MOST:]:
        caption += f" Not shown: {many(len(left), 'claim')} of at most {SHARE.one(abs(left[0].share.value))} each."
    return Table("", ["claim", "share"], rows, caption)


def _row(name: str, number: Number) -> list[Fact]:
    return [Fact(name, name), Fact.of(name, number, _SHARE)]


def _name(one: PlayerShare) -> str:
    if not one.what:
        return "what is unclaimed"
    told = claim(one.what, one.variable)
    return f"{told}, below {one.below}" if one.below else told


def _interval(number: Number) -> str:
    return SHARE.interval(number.value, number.low, number.high)
