"""Programs that decide from several nodes: two numbers compared, and copies of a bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.groundtruth.compiler import Program
from benchmarks.groundtruth.counting import END, noise
from benchmarks.groundtruth.truth import INPUTS, Layout, Maker, Truth, all_rows, balanced_rows, says
from scrubbing import OUTPUT, Hypothesis, Variable, anything, mlp
from scrubbing.parts import neurons

DIGITS = ("a1", "a0", "b1", "b0")
"""The digits of two numbers, the high ones first."""


def compare(seed: int) -> Truth:
    """Four heads fetch the digits, neurons of layer 0 compare them in pairs, layer 1 lets the high pair decide."""
    rng = np.random.default_rng([seed, 22])
    base = int(rng.choice([3, 4]))
    layout = Layout.drawn(seed, int(rng.integers(2, 4)), digits=4)
    program = Program(END + 1, layout.positions, 3, seed)
    make = Maker("compare", seed, layout, program)
    for name in (*DIGITS, "high", "low", "more", "less"):
        program.stream.place(name)
    value = np.zeros((END + 1, 1))
    value[:base, 0] = np.arange(base)
    places = [layout["digits"][i] for i in rng.permutation(4)]
    fetched = {name: program.fetch(p, {program.symbol: value}, name) for name, p in zip(DIGITS, places, strict=True)}
    first = program.layer(**fetched)
    pairs = {}
    for a, b, sign in (("a1", "b1", "high"), ("a0", "b0", "low")):
        pairs[sign] = [
            index
            for way in (1.0, -1.0)
            for index in first.step(program.vector({a: way, b: -way}), 1, program.vector({sign: way}))
        ]
    second = program.layer()
    for place, way in (("more", 1.0), ("less", -1.0)):
        second.step(program.vector({"high": 2 * way, "low": way}), 1, program.vector({place: 1.0}))
    model = program.build({"more": [[-1.0, 0.0, 1.0]], "less": [[-1.0, 1.0, 0.0]]}, make.name, bias=[0.5, 0.0, 0.0])
    rows = all_rows(*[base] * 4)
    high, low = np.sign(rows[:, 0] - rows[:, 2]), np.sign(rows[:, 1] - rows[:, 3])
    chosen = balanced_rows(rng, 3 * high + low)
    digits, high, low = rows[chosen], high[chosen], low[chosen]
    symbols = layout.symbols(END, noise=noise(rng, layout), digits=digits)
    symbols[:, places] = digits
    sign = np.where(high == 0, low, high)
    data = make.data(
        symbols, np.select([sign == 0, sign < 0], [0, 1], 2), high=high, low=low,
        **{name: digits[:, i] for i, name in enumerate(DIGITS)}, parity=digits.sum(1) % 2,
    )  # fmt: skip
    compared = [
        says(
            mlp(0).direct().part(neurons(pairs[sign])),
            sign,
            *(says(program.head(digit).direct(), digit) for digit in of),
        )
        for sign, of in (("high", ("a1", "b1")), ("low", ("a0", "b0")))
    ]
    tight = Hypothesis(
        make.name,
        "Some neurons compare the high digits, others the low ones, and the high ones decide unless they are equal.",
        says(OUTPUT, "label", says(mlp(1).direct(), "label", *compared)),
    )
    return make.truth(f"Two numbers of two digits to base {base} are compared digit by digit.", model, data, tight)


def _copied(name: str, seed: int) -> tuple[Maker, np.random.Generator, dict[str, Any]]:
    """Three heads that copy one bit, to be read by neurons of layer 0."""
    rng = np.random.default_rng([seed, 23])
    layout = Layout.drawn(seed, int(rng.integers(4, 7)), bit=1)
    program = Program(END + 1, layout.positions, 2, seed)
    places = [program.stream.place(f"copy {i}") for i in range(3)]
    program.stream.place("answer")
    bit = {program.symbol: np.eye(END + 1)[:, [1]]}
    program.layer(**{place: program.fetch(layout["bit"][0], bit, place) for place in places})
    bits, others = rng.integers(2, size=(INPUTS, 1)), noise(rng, layout)
    symbols = layout.symbols(END, bit=bits, noise=others)
    return (
        Maker(name, seed, layout, program),
        rng,
        {"symbols": symbols, "label": bits[:, 0], "parity": others.sum(1) % 2},
    )


def copies(seed: int) -> Truth:
    """Three heads copy one bit, and two of three decide."""
    make, rng, columns = _copied("copies", seed)
    program = make.built
    program.neurons[-1].step(program.vector({f"copy {i}": 1.0 for i in range(3)}), 2, program.vector({"answer": 1.0}))
    model = program.build({"answer": [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])

    def claimed(name: str, *which: int) -> Hypothesis:
        sentence = f"{len(which)} of three heads that copy the bit, and the MLP takes what two of them say."
        heads = (says(program.head(f"copy {i}").direct(), "label") for i in which)
        return Hypothesis(name, sentence, says(OUTPUT, "label", says(mlp(0).direct(), "label", *heads)))

    one, other = sorted(map(int, rng.permutation(3)[:2]))
    data = make.data(**columns)
    return make.truth(
        "Three heads copy one bit; the MLP takes what two of them say.", model, data,
        claimed(make.name, one, other), redundant=(claimed(f"{make.name}, all three", 0, 1, 2),),
    )  # fmt: skip


def any_copy(seed: int) -> Truth:
    """Three heads copy one bit, and one that is on is enough."""
    make, _, columns = _copied("any-copy", seed)
    program = make.built
    program.neurons[-1].step(program.vector({f"copy {i}": 1.0 for i in range(3)}), 1, program.vector({"answer": 1.0}))
    model = program.build({"answer": [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])
    heads = (says(program.head(f"copy {i}").direct(), "label") for i in range(3))
    tight = Hypothesis(
        make.name,
        "The answer is 1 if any of three copies of the bit is.",
        says(OUTPUT, "label", says(mlp(0).direct(), "label", *heads)),
    )
    return make.truth("Three heads copy one bit; the MLP is on if any of them is.", model, make.data(**columns), tight)


def masked(seed: int) -> Truth:
    """Answer = a or (b1 xor b2), all three copies of one bit: two of them cancel as long as they hold one input."""
    make, _, columns = _copied("masked", seed)
    program = make.built
    neurons = program.neurons[-1]
    # With w = b1 - b2 + 3a, the answer is 1 at w = -1 and at every w of 1 or more.
    w = {"copy 0": 3.0, "copy 1": 1.0, "copy 2": -1.0}
    answer = program.vector({"answer": 1.0})
    neurons.step(program.vector(w), 1, answer)
    neurons.add(program.vector({place: -weight for place, weight in w.items()}), 0.0, answer)
    model = program.build({"answer": [[-1.0, 1.0]]}, make.name, bias=[0.5, -0.5])
    pair = program.head("copy 1").direct() | program.head("copy 2").direct()
    tight = Hypothesis(
        make.name,
        "The answer is one copy of the bit, as long as two further copies come from one input.",
        says(
            OUTPUT,
            "label",
            says(
                mlp(0).direct(),
                "label",
                says(program.head("copy 0").direct(), "label"),
                pair.carries(Variable("agreement", anything)),
            ),
        ),
    )
    return make.truth("The answer is a or (b1 xor b2), all copies of one bit.", model, make.data(**columns), tight)
