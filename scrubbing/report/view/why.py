"""Why inputs fail: of each failing draw, which claim broke it, with which input, and what goes when it is restored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scrubbing.numbers import PLAIN, SHARE, many
from scrubbing.records.blame import Broken, HeldInput, WhyDraw, WhyInput
from scrubbing.report.pictures import shortened
from scrubbing.report.view.blocks import Fact, Section, Sentences, Table
from scrubbing.report.view.notes import claim

_LONGEST = 60
"""Characters of a text in a sentence."""


def why(found: Sequence[WhyInput]) -> list[Section]:
    """A section for each input; one for all of them last, if there are several."""
    sections = [_one(one) for one in found]
    return [*sections, _together(found)] if len(found) > 1 else sections


def _together(found: Sequence[WhyInput]) -> Section:
    """How many failing draws each claim broke."""
    failing = [draw for one in found for draw in one.draws if draw.broken]
    number = Counter(_name(draw.broken[0]) for draw in failing)
    rows = [[Fact(name, name), Fact(name, f"{count} of {len(failing)}")] for name, count in number.most_common()]
    table = Table("", ["broken by", "failing draws"], rows, "Where several had to be restored, the first of them.")
    return Section("all", f"{many(len(found), 'input')} of {found[0].hypothesis}", [table])


def told(one: WhyInput) -> list[str]:
    """Why one input fails: what it is, and a line for each draw that fails."""
    start, draws = _told(one)
    return [f"Input {one.id}: {start.lines[0]}", *start.lines[1:], *draws.lines]


def _one(one: WhyInput) -> Section:
    return Section(str(one.id), f"{one.hypothesis}, input {one.id}", _told(one))


def _told(one: WhyInput) -> tuple[Sentences, Sentences]:
    failing = [draw for draw in one.draws if draw.broken]
    start = (
        f"The model's loss is {PLAIN.one(one.model)} {one.unit}; {len(failing)} of {many(len(one.draws), 'draw')} cost "
        f"over {PLAIN.one(one.threshold)} more."
    )
    said = Sentences([shortened(one.text, 2 * _LONGEST), start])
    return said, Sentences([_draw(draw) for draw in failing])


def _draw(draw: WhyDraw) -> str:
    first, *rest = draw.broken
    told = f"Draw {draw.draw}, loss {PLAIN.one(draw.loss)}: {_broken(first)}."
    for one in rest:
        told += f" Beside it {_broken(one)}."
    return told


def _broken(one: Broken) -> str:
    repaired = f"restored, {SHARE.one(one.repaired)} of the rise goes"
    if not one.drawn:
        return f"{_name(one)} broke it; {repaired}"
    values = dict.fromkeys(held.value for held in one.drawn if held.value)
    agreed = f", which agrees on {shortened('; '.join(values), _LONGEST)}" if values else ""
    return f"{_name(one)} held {'; '.join(map(_held, one.drawn))}{agreed}; {repaired}"


def _held(one: HeldInput) -> str:
    at = "" if one.position is None else f" at position {one.position}"
    return f"{shortened(one.text, _LONGEST)}{at}" + ("" if one.id is None else f" (input {one.id})")


def _name(one: Broken) -> str:
    told = claim(one.what, one.variable)
    return f"{told}, below {one.below}," if one.below else told
