"""What a search came to: the verdict on held-out inputs, the front of sizes, and what it finds where nothing is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from scrubbing.numbers import PLAIN, RECOVERED, SHARE, SHORT, count, many
from scrubbing.records.schema import RunRecord
from scrubbing.records.search import ControlSearch, SearchRecord
from scrubbing.report import drawing
from scrubbing.report.plot import front
from scrubbing.report.view.blocks import MISSING, Block, Fact, Section, Sentences, Table
from scrubbing.report.view.entry import names
from scrubbing.report.view.verdict_words import verdict_sentence


def search(found: SearchRecord) -> Section:
    """The section of a search."""
    blocks: list[Block] = [Sentences(list(_told(found)))]
    if (drawn := _front(found)) is not None:
        blocks.append(drawn)
    blocks.append(_sizes(found))
    if found.controls:
        blocks.append(_controls(found.controls))
    if notes := list(_notes(found)):
        blocks.append(Sentences(notes, "note"))
    return Section("search", "Search", blocks)


def _told(found: SearchRecord) -> Iterator[str]:
    tested = found.found[0].tested
    if tested is not None:
        yield verdict_sentence(tested)
    yield (
        f"Hypotheses tried: {count(found.effort.tried)}, on {many(found.fitted, 'input')}, with "
        f"{many(found.effort.examples, 'scrubbed example')}. The verdict is on {many(found.held_out, 'other input')}."
    )
    for one in found.found[0].controls:
        if one.several is not None:
            yield (
                f"Of {count(one.several.tried)} other hypotheses of its size {count(one.several.as_well)} do as well "
                f"(p = {PLAIN.one(one.several.p)})."
            )


def _sizes(found: SearchRecord) -> Table:
    records = [*found.found, *found.beside]
    called, best = names(records), _best(found)
    rows: list[list[Fact | str]] = []
    for i, (name, record) in enumerate(zip(called, records, strict=True)):
        size, recovered = record.size, record.recovered_of("null")
        bits = None if size is None else size.claimed
        rows.append([
            Fact(name, name),
            "found" if i < len(found.found) else "given",
            MISSING if bits is None else SHORT.one(bits),
            MISSING if size is None else count(size.nodes),
            Fact.of(name, None if recovered is None else recovered.fraction, RECOVERED),
            "yes" if i in best else "no",
        ])  # fmt: skip
    caption = (
        "On held-out inputs. Bits are claimed, summed over claims. On the front is what no other one beats, "
        "claiming no more and recovering no less."
    )
    return Table("", ["hypothesis", "from", "bits", "nodes", "recovered", "on the front"], rows, caption, ["from"])


def _best(found: SearchRecord) -> set[int]:
    """Places of those on the front, what was found first."""
    points = [_point(record) for record in (*found.found, *found.beside)]
    known = [i for i, point in enumerate(points) if point is not None]
    return {known[i] for i in front([point for point in points if point is not None])}


def _front(found: SearchRecord) -> drawing.Front | None:
    """The picture of what the table says: numbers of its rows at their places."""
    records = [*found.found, *found.beside]
    points = [
        (i + 1, name, point[0], point[1], i < len(found.found))
        for i, (name, record) in enumerate(zip(names(records), records, strict=True))
        if (point := _point(record)) is not None
    ]
    drawn = drawing.front(points, {i + 1 for i in _best(found)})
    if drawn is None:
        return None
    key = "; ".join(f"{one.number} {one.name}" for one in drawn.points)
    told = f"Filled: found; hollow: given. The line joins what no other beats. {key}."
    return replace(drawn, caption=told)


def _point(record: RunRecord) -> tuple[float, float] | None:
    recovered = record.recovered_of("null")
    bits = None if record.size is None else record.size.claimed
    return None if bits is None or recovered is None or recovered.fraction is None else (bits, recovered.fraction.value)


def _controls(controls: list[ControlSearch]) -> Table:
    rows: list[list[Fact | str]] = [
        [
            Fact(one.name, one.name),
            one.meaning,
            one.word,
            Fact.of(one.name, one.recovered, RECOVERED),
            MISSING if one.claimed is None else SHORT.one(one.claimed),
            "0" if one.effort is None else count(one.effort.tried),
        ]
        for one in controls
    ]
    caption = "The same search with the same budget, where there is nothing to find."
    return Table(
        "", ["control", "what it is", "verdict", "recovered", "bits", "tried"], rows, caption, ["what it is", "verdict"]
    )


def _notes(found: SearchRecord) -> Iterator[str]:
    if not found.effort.complete:
        yield "The budget was used up before all was looked at: what is claimed may be wider or finer than needed."
    if found.unusable:
        yield (
            f"Features without exact values on these inputs, which were left out: {', '.join(found.unusable)}. They "
            "raise an error, or have float values that are not rounded."
        )
    passed = [one.name for one in found.unspecific]
    if passed:
        yield (
            f"Not specific: with {', '.join(passed)} the search comes to a hypothesis that is supported too, where "
            "there is nothing to find."
        )
    yield (
        f"With probability {SHARE.one(1 - found.alpha)} no more than {SHARE.one(found.margin)} of the gap is lost by "
        "what was left out, on inputs like those that were searched on. It need not be the only such hypothesis."
    )
