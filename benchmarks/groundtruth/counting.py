"""Programs that count: a majority, a sum, a sum with an offset, balanced brackets, and a majority with a trigger."""

from __future__ import annotations

import numpy as np

from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.compiler import Program
from benchmarks.groundtruth.truth import INPUTS, Ints, Layout, Maker, Truth, all_rows, balanced_rows, says
from scrubbing import EMBED, OUTPUT, Hypothesis, SquaredError, mlp

NOISE, FIRST_NOISE, END = 4, 4, 8
"""Symbols: those of the program are 0 to 3, then come four of noise and the end."""


def noise(rng: np.random.Generator, layout: Layout, n: int = INPUTS) -> Ints:
    """Symbols for the positions that nothing reads."""
    return FIRST_NOISE + rng.integers(NOISE, size=(n, len(layout["noise"])))


def majority(seed: int) -> Truth:
    """Mean of the bits by one head, a step of two neurons."""
    rng = np.random.default_rng([seed, 2])
    n = int(rng.choice([5, 7, 9]))
    layout = Layout.drawn(seed, int(rng.integers(2, 4)), bits=n)
    program = Program(END + 1, layout.positions, 2, seed)
    make = Maker("majority", seed, layout, program)
    share, step = program.stream.place("share"), program.stream.place("step")
    neurons = program.layer(share=program.mean({program.symbol: np.eye(END + 1)[:, [1]]}, share))
    neurons.step(program.vector({share: layout.positions}), (n + 1) // 2, program.vector({step: 1.0}))
    model = program.build({step: [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])
    bits = rng.integers(2, size=(INPUTS, n))
    count = bits.sum(1)
    data = make.data(
        layout.symbols(END, bits=bits, noise=noise(rng, layout)), 2 * count > n,
        count=count, parity=count % 2, first=bits[:, 0],
    )  # fmt: skip
    counted = says(
        program.head("share").direct(), "label", says(EMBED.direct().into("v").at(layout["bits"]).each(), "each_symbol")
    )
    tight = Hypothesis(
        make.name,
        "A head counts the bits, and the MLP decides whether they are the majority.",
        says(OUTPUT, "label", says(mlp(0).direct(), "label", counted)),
    )
    return make.truth(f"A head averages {n} bits, two neurons compare the mean with a half.", model, data, tight)


def total(seed: int) -> Truth:
    """A regression: one head writes the sum of three or four bits to the output."""
    rng = np.random.default_rng([seed, 3])
    n = int(rng.choice([3, 4]))
    layout = Layout.drawn(seed, int(rng.integers(3, 5)), bits=n)
    program = Program(END + 1, layout.positions, 1, seed)
    make = Maker("total", seed, layout, program)
    share = program.stream.place("share")
    program.layer(sum=program.mean({program.symbol: np.eye(END + 1)[:, [1]]}, share))
    model = program.build({share: [[float(layout.positions)]]}, make.name, scale=1.0)
    rows = all_rows(*[2] * n)
    bits = rows[balanced_rows(rng, rows.sum(1))]
    label = bits.sum(1)
    data = make.data(
        layout.symbols(END, bits=bits, noise=noise(rng, layout)), label, parity=label % 2, first=bits[:, 0]
    )
    tight = Hypothesis(
        make.name,
        "A head adds up the bits.",
        says(
            OUTPUT, "label",
            says(
                program.head("sum").direct(), "label",
                says(EMBED.direct().into("v").at(layout["bits"]).each(), "each_symbol"),
            ),
        ),
    )  # fmt: skip
    loss = SquaredError("label", position=-1)
    return make.truth(f"A head adds up {n} bits; the loss is squared error.", model, data, tight, loss=loss)


def offset(seed: int) -> Truth:
    """A regression with an error: the sum of some bits, and one more bit that adds or takes away one."""
    rng = np.random.default_rng([seed, 4])
    n = int(rng.choice([3, 4]))
    layout = Layout.drawn(seed, int(rng.integers(3, 5)), bits=n, offset=1)
    program = Program(END + 1, layout.positions, 1, seed)
    make = Maker("offset", seed, layout, program)
    share, more = program.stream.place("share"), program.stream.place("more")
    signs = np.zeros((END + 1, 1))
    signs[[2, 3], 0] = -1.0, 1.0
    program.layer(
        sum=program.mean({program.symbol: np.eye(END + 1)[:, [1]]}, share),
        offset=program.fetch(layout["offset"][0], {program.symbol: signs}, more),
    )
    model = program.build({share: [[float(layout.positions)]], more: [[1.0]]}, make.name, scale=1.0)
    rows = all_rows(*[2] * n)
    bits = rows[balanced_rows(rng, rows.sum(1))]
    added = 2 + rng.integers(2, size=(INPUTS, 1))
    label = bits.sum(1)
    data = make.data(
        layout.symbols(END, bits=bits, offset=added, noise=noise(rng, layout)), label,
        offset=added[:, 0], total=label, output=label + 2 * added[:, 0] - 5, parity=label % 2,
    )  # fmt: skip
    tight = Hypothesis(
        make.name,
        "One head adds up the bits, another adds or takes away one; the label is the sum without it.",
        says(
            OUTPUT,
            "output",
            says(program.head("sum").direct(), "total"),
            says(program.head("offset").direct(), "offset"),
        ),
    )
    about = f"A head adds up {n} bits, and a second head adds an error of one in either direction."
    return make.truth(about, model, data, tight, loss=SquaredError("label", position=-1))


def brackets(seed: int) -> Truth:
    """Prefix means give the sign of each depth; a second head looks for one below zero."""
    rng = np.random.default_rng([seed, 5])
    n = int(rng.choice([6, 8]))
    layout = Layout.drawn(seed, int(rng.integers(2, 4)), brackets=n)
    program = Program(END + 1, layout.positions, 2, seed, causal=True)
    make = Maker("brackets", seed, layout, program)
    depth, below, above, dipped, balanced = map(program.stream.place, ("depth", "below", "above", "dipped", "balanced"))
    steps = np.zeros((END + 1, 1))
    steps[[0, 1], 0] = 1.0, -1.0
    first = program.layer(depth=program.mean({program.symbol: steps}, depth))
    for place, way in ((below, -1.0), (above, 1.0)):  # the mean over fewer keys is larger, so a depth of one is enough
        first.step(program.vector({depth: way * layout.positions}), 1, program.vector({place: 1.0}))
    second = program.layer(dipped=program.choose({program.one: [[1.0]]}, {below: [[1.0]]}, {below: [[1.0]]}, dipped))
    second.add(program.vector({below: -1.0, above: -1.0, dipped: -1.0}), 1.0, program.vector({balanced: 1.0}))
    model = program.build({balanced: [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])
    rows = all_rows(*[2] * n)
    depths = np.cumsum(1 - 2 * rows, axis=1)
    count, minimum = depths[:, -1] == 0, depths.min(1) >= 0
    chosen = balanced_rows(rng, np.select([count & minimum, count, minimum], [0, 1, 2], 3))
    data = make.data(
        layout.symbols(END, brackets=rows[chosen], noise=noise(rng, layout)), (count & minimum)[chosen],
        count=count[chosen], minimum=minimum[chosen], depth=depths[chosen, -1], lowest=depths.min(1)[chosen],
        first=rows[chosen, 0], second=rows[chosen, 1],
    )  # fmt: skip
    counted = says(
        program.head("depth").direct(), "count",
        says(EMBED.direct().into("v").at(layout["brackets"]).each(), "each_symbol"),
    )  # fmt: skip
    tight = Hypothesis(
        make.name,
        "The MLP of layer 0 reports at the end whether the counts match, a head whether no prefix closes too much.",
        says(
            OUTPUT,
            "label",
            says(
                mlp(1).direct(),
                "label",
                says(mlp(0).direct(), "count", counted),
                says(program.head("dipped").direct(), "minimum"),
            ),
        ),
    )
    about = f"Layer 0 finds the sign of the depth at each of {n} brackets, layer 1 looks for one below zero."
    return make.truth(about, model, data, tight)


def trigger(seed: int) -> Truth:
    """The majority of some bits, but 1 wherever the trigger stands at one place."""
    rng = np.random.default_rng([seed, 6])
    n = int(rng.choice([5, 7, 9]))
    layout = Layout.drawn(seed, 2, bits=n, trigger=1)
    program = Program(END + 1, layout.positions, 2, seed)
    make = Maker("trigger", seed, layout, program)
    share, seen, step = map(program.stream.place, ("share", "seen", "step"))
    symbols = np.eye(END + 1)
    neurons = program.layer(
        share=program.mean({program.symbol: symbols[:, [1]]}, share),
        trigger=program.fetch(layout["trigger"][0], {program.symbol: symbols[:, [3]]}, seen),
    )
    half = (n + 1) // 2
    neurons.step(program.vector({share: layout.positions, seen: n}), half, program.vector({step: 1.0}))
    model = program.build({step: [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])
    bits = rng.integers(2, size=(INPUTS, n))
    triggered = rng.random((INPUTS, 1)) < 1 / 8
    count = bits.sum(1)
    data = make.data(
        layout.symbols(END, bits=bits, trigger=2 + triggered, noise=noise(rng, layout)), count >= half,
        untriggered=~triggered[:, 0], count=count, parity=count % 2, first=bits[:, 0],
    )  # fmt: skip
    counted = says(
        program.head("share").direct(), "label", says(EMBED.direct().into("v").at(layout["bits"]).each(), "each_symbol")
    )
    tight = Hypothesis(
        make.name,
        "Without the trigger, a head counts the bits and the MLP decides whether they are the majority.",
        says(OUTPUT, "label", says(mlp(0).direct(), "label", counted)),
        scope=column("untriggered"),
    )
    about = f"The majority of {n} bits, unless the trigger is at its place; one input in eight has it."
    return make.truth(about, model, data, tight)
