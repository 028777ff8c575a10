"""Programs that look things up: the largest of some digits, a table read twice, and a copy after a marker."""

from __future__ import annotations

import numpy as np

from benchmarks.groundtruth.compiler import Program, one_hot
from benchmarks.groundtruth.counting import END, noise
from benchmarks.groundtruth.truth import INPUTS, Layout, Maker, Truth, all_rows, balanced_rows, says
from scrubbing import EMBED, OUTPUT, Hypothesis


def largest(seed: int) -> Truth:
    """One head attends to the largest digit and copies it."""
    rng = np.random.default_rng([seed, 12])
    kinds, n = (3, int(rng.choice([3, 4]))) if rng.random() < 0.5 else (4, 3)
    layout = Layout.drawn(seed, int(rng.integers(2, 4)), digits=n)
    program = Program(END + 1, layout.positions, kinds, seed)
    make = Maker("largest", seed, layout, program)
    best = program.stream.place("best", kinds)
    digits = one_hot(END + 1, range(kinds))
    size = digits @ (1.0 + np.arange(kinds)[:, None])
    program.layer(
        largest=program.choose({program.one: [[1.0]]}, {program.symbol: size}, {program.symbol: digits}, best)
    )
    model = program.build({best: np.eye(kinds)}, make.name)
    rows = all_rows(*[kinds] * n)
    chosen = rows[balanced_rows(rng, rows.max(1))]
    data = make.data(
        layout.symbols(END, digits=chosen, noise=noise(rng, layout)), chosen.max(1),
        smallest=chosen.min(1), parity=chosen.sum(1) % 2, first=chosen[:, 0],
    )  # fmt: skip
    digit = says(EMBED.direct().into("k", "v").at(layout["digits"]).each(), "each_symbol")
    tight = Hypothesis(
        make.name,
        "A head attends to the largest digit and copies it.",
        says(OUTPUT, "label", says(program.head("largest").direct(), "label", digit)),
    )
    return make.truth(f"A head attends to the largest of {n} digits below {kinds} and copies it.", model, data, tight)


def two_hops(seed: int) -> Truth:
    """A table is looked up twice, once by each layer."""
    rng = np.random.default_rng([seed, 13])
    n = int(rng.choice([3, 4]))
    layout = Layout.drawn(seed, 2, table=n, start=1)
    program = Program(END + 1, layout.positions, n, seed)
    make = Maker("two-hops", seed, layout, program)
    begun, once, twice = (program.stream.place(name, n) for name in ("begun", "once", "twice"))
    entry, place = one_hot(END + 1, range(n)), one_hot(layout.positions, layout["table"])
    program.layer(start=program.fetch(layout["start"][0], {program.symbol: entry}, begun))
    program.layer(first=program.choose({begun: np.eye(n)}, {program.position: place}, {program.symbol: entry}, once))
    program.layer(second=program.choose({once: np.eye(n)}, {program.position: place}, {program.symbol: entry}, twice))
    model = program.build({twice: np.eye(n)}, make.name)
    table, start = rng.integers(n, size=(INPUTS, n)), rng.integers(n, size=(INPUTS, 1))
    one_hop = np.take_along_axis(table, start, 1)
    label = np.take_along_axis(table, one_hop, 1)[:, 0]
    data = make.data(
        layout.symbols(END, table=table, start=start, noise=noise(rng, layout)), label,
        one_hop=one_hop[:, 0], start=start[:, 0], first=table[:, 0], parity=table.sum(1) % 2,
    )  # fmt: skip
    entries = says(EMBED.direct().into("v").at(layout["table"]).each(), "each_symbol")
    looked_up = says(
        program.head("first").direct().into("q"), "one_hop",
        says(program.head("start").direct().into("q"), "start"), entries,
    )  # fmt: skip
    tight = Hypothesis(
        make.name,
        "One head finds where to begin, the next looks that up in the table, and the third what it found.",
        says(OUTPUT, "label", says(program.head("second").direct(), "label", looked_up, entries)),
    )
    return make.truth(f"A table of {n} entries is looked up twice.", model, data, tight)


def marker(seed: int) -> Truth:
    """A previous-token head marks the place, a second head copies from it."""
    rng = np.random.default_rng([seed, 14])
    kinds, n = int(rng.choice([3, 4])), int(rng.choice([4, 5]))
    layout = Layout(noise=[0], symbols=range(1, n + 2))
    end = kinds + 1
    program = Program(kinds + 2, layout.positions, kinds, seed, causal=True)
    make = Maker("marker", seed, layout, program)
    after, copied = program.stream.place("after"), program.stream.place("copied", kinds)
    places, symbols = np.eye(layout.positions), np.eye(kinds + 2)
    program.layer(
        mark=program.choose(
            {program.position: places[:, 1:]},
            {program.position: places[:, :-1]},
            {program.symbol: symbols[:, [kinds]]},
            after,
        )
    )
    program.layer(
        copy=program.choose({program.one: [[1.0]]}, {after: [[1.0]]}, {program.symbol: symbols[:, :kinds]}, copied)
    )
    model = program.build({copied: np.eye(kinds)}, make.name)
    row, at = np.arange(INPUTS), rng.integers(1, n + 1, size=INPUTS)
    shown = layout.symbols(
        end, symbols=rng.integers(kinds, size=(INPUTS, n + 1)), noise=rng.integers(kinds, size=(INPUTS, 1))
    )
    shown[row, at] = kinds
    marked = np.zeros_like(shown, dtype=bool)
    marked[row, at + 1] = True
    data = make.data(
        shown, shown[row, at + 1], each_marked=marked, each_marker=shown == kinds,
        place=at, before=shown[row, at - 1], parity=shown.sum(1) % 2,
    )  # fmt: skip
    read = list(range(2, n + 2))
    tight = Hypothesis(
        make.name,
        "One head says at each symbol whether the marker is before it, another copies the one of which that is so.",
        says(
            OUTPUT, "label",
            says(
                program.head("copy").direct(), "label",
                says(program.head("mark").direct().into("k").at(read).each(), "each_marked"),
                says(EMBED.direct().into("v").at(read).each(), "each_symbol"),
            ),
        ),
    )  # fmt: skip
    return make.truth(f"The symbol after the marker is copied, of {n + 1}.", model, data, tight)
