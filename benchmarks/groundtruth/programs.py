"""The compiled programs: each a model, all its inputs, and what is true of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.groundtruth import features as f
from benchmarks.groundtruth.compiler import Program, all_inputs
from scrubbing import EMBED, OUTPUT, Dataset, Feature, Hypothesis, Variable, head, mlp
from scrubbing.parts import neurons

if TYPE_CHECKING:
    from scrubbing import Loss, Model


@dataclass(frozen=True)
class Truth:
    """A model of which everything is known."""

    name: str
    about: str
    """What it computes and how, in a sentence."""
    model: Callable[[], Model]
    data: Callable[[], Dataset]
    """Every input there is, or all that matter."""
    label: Feature
    """What it computes."""
    tight: Hypothesis
    """What is true, and no finer or wider than needed."""
    features: Mapping[str, Feature] = field(default_factory=dict)
    """Features of its inputs that a claim could be wrong about."""
    classes: int = 2

    def loss(self) -> Loss:
        """Cross-entropy of the label, at the last position."""
        from scrubbing import Classification

        return Classification("label", position=self.data()["tokens"].shape[1] - 1)


def _dataset(name: str, tokens: NDArray[np.int64], label: Feature) -> Dataset:
    data = Dataset({"tokens": tokens}, name=f"all inputs of {name}")
    return data.with_columns(label=label(data).astype(np.int64))


def _ended(tokens: NDArray[np.int64], last: int) -> NDArray[np.int64]:
    """With a last token at which the answer is given."""
    return np.concatenate([tokens, np.full((len(tokens), 1), last)], axis=1)


# --- majority ---------------------------------------------------------------------------------------------------


def majority_model() -> Model:
    """Mean of the bits by one head, a step of two neurons."""
    program = Program(vocabulary=3, positions=10, outputs=2)
    share, step = program.stream.place("share"), program.stream.place("step")
    neurons = program.layer(program.mean({"token": [[0.0], [1.0], [0.0]]}, share))
    for bias, sign in ((-4.0, 1.0), (-5.0, -1.0)):  # ten keys are averaged over, nine of them bits
        neurons.add(program.vector({share: 10.0}), bias, program.vector({step: sign}))
    return program.build({step: [[-1.0, 1.0]]}, "majority", bias=[1.0, 0.0])


def majority_data() -> Dataset:
    """Nine bits and an end."""
    return _dataset("majority", _ended(all_inputs(*[2] * 9), 2), f.majority)


_MAJORITY = Variable("majority", f.majority)
MAJORITY = Truth(
    "majority",
    "Head 0.0 averages nine bits, two neurons compare the mean with a half.",
    majority_model,
    majority_data,
    f.majority,
    Hypothesis(
        "majority/tight",
        "Head 0.0 counts the bits, the MLP decides whether they are the majority.",
        OUTPUT.carries(
            _MAJORITY,
            mlp(0)
            .direct()
            .carries(
                _MAJORITY,
                head(0, 0)
                .direct()
                .carries(
                    _MAJORITY,
                    EMBED.direct().into("v").at(slice(0, 9)).each().carries(Variable("bit", f.token)),
                ),
            ),
        ),
    ),
    {"first": f.first, "parity": f.parity, "count": f.count},
)


# --- the largest ------------------------------------------------------------------------------------------------


def largest_model() -> Model:
    """One head attends to the largest digit and copies it."""
    program = Program(vocabulary=5, positions=6, outputs=4)
    best = program.stream.place("best", 4)
    size = np.arange(5.0)[:, None] * [[1], [1], [1], [1], [0]]
    program.layer(program.choose({"one": [[1.0]]}, {"token": size}, {"token": np.eye(5)[:, :4]}, best))
    return program.build({best: np.eye(4)}, "largest")


def largest_data() -> Dataset:
    """Five digits below four and an end."""
    return _dataset("largest", _ended(all_inputs(4, 4, 4, 4, 4), 4), f.largest)


LARGEST = Truth(
    "largest",
    "Head 0.0 attends to the largest of five digits and copies it.",
    largest_model,
    largest_data,
    f.largest,
    Hypothesis(
        "largest/tight",
        "Head 0.0 attends to the largest digit and copies it.",
        OUTPUT.carries(
            Variable("largest", f.largest),
            head(0, 0)
            .direct()
            .carries(
                Variable("largest", f.largest),
                EMBED.direct().into("k", "v").at(slice(0, 5)).each().carries(Variable("digit", f.token)),
            ),
        ),
    ),
    {"first": f.first, "parity": f.parity, "smallest": f.smallest},
    classes=4,
)


# --- two hops ---------------------------------------------------------------------------------------------------


def two_hops_model() -> Model:
    """A table of four entries is looked up twice, once by each layer."""
    program = Program(vocabulary=4, positions=5, outputs=4)
    first, second = program.stream.place("first", 4), program.stream.place("second", 4)
    entries = np.eye(5)[:, :4]
    program.layer(program.choose({"token": np.eye(4)}, {"position": entries}, {"token": np.eye(4)}, first))
    program.layer(program.choose({first: np.eye(4)}, {"position": entries}, {"token": np.eye(4)}, second))
    return program.build({second: np.eye(4)}, "two hops")


def two_hops_data() -> Dataset:
    """Four entries of a table and where to begin."""
    return _dataset("two hops", all_inputs(4, 4, 4, 4, 4), f.two_hops)


TWO_HOPS = Truth(
    "two-hops",
    "Head 0.0 looks the last token up in a table of four entries, head 1.0 looks up what it found.",
    two_hops_model,
    two_hops_data,
    f.two_hops,
    Hypothesis(
        "two-hops/tight",
        "Head 0.0 finds the entry of the last token, head 1.0 the entry of that.",
        OUTPUT.carries(
            Variable("two hops", f.two_hops),
            head(1, 0)
            .direct()
            .carries(
                Variable("two hops", f.two_hops),
                head(0, 0).direct().into("q").carries(Variable("one hop", f.one_hop)),
                EMBED.direct().into("v").at(slice(0, 4)).each().carries(Variable("entry", f.token)),
            ),
        ),
    ),
    {"first": f.first, "last": f.last, "parity": f.parity},
    classes=4,
)


# --- copying after a marker -------------------------------------------------------------------------------------


def marker_model() -> Model:
    """A previous-token head marks the place, a second head copies from it."""
    program = Program(vocabulary=4, positions=6, outputs=3, causal=True)
    after, copied = program.stream.place("after"), program.stream.place("copied", 3)
    marker = np.array([[0.0], [0.0], [0.0], [1.0]])
    program.layer(
        program.choose({"position": np.eye(6)[:, 1:]}, {"position": np.eye(6)[:, :5]}, {"token": marker}, after)
    )
    program.layer(program.choose({"one": [[1.0]]}, {after: [[1.0]]}, {"token": np.eye(4)[:, :3]}, copied))
    return program.build({copied: np.eye(3)}, "marker")


def marker_data() -> Dataset:
    """Five symbols, and a marker before one of the last four."""
    symbols = all_inputs(3, 3, 3, 3, 3)
    rows = [np.insert(symbols, place, 3, axis=1) for place in (1, 2, 3, 4)]
    return _dataset("marker", np.concatenate(rows), f.after_marker)


MARKER = Truth(
    "marker",
    "Head 0.0 marks the token after the marker, head 1.0 copies it.",
    marker_model,
    marker_data,
    f.after_marker,
    Hypothesis(
        "marker/tight",
        "Head 0.0 says at each token whether the marker is before it, head 1.0 copies the one of which that is so.",
        OUTPUT.carries(
            Variable("answer", f.after_marker),
            head(1, 0)
            .direct()
            .carries(
                Variable("answer", f.after_marker),
                head(0, 0).direct().into("k").at(slice(2, 6)).each().carries(Variable("marked", f.marked)),
                EMBED.direct().into("v").at(slice(2, 6)).each().carries(Variable("token", f.token)),
            ),
        ),
    ),
    {"first": f.first, "last": f.last, "parity": f.parity},
    classes=3,
)


# --- comparing two numbers --------------------------------------------------------------------------------------


def compare_model() -> Model:
    """Four heads fetch the digits, eight neurons compare them, four more decide."""
    program = Program(vocabulary=6, positions=5, outputs=3)
    stream, digits = program.stream, ("a1", "a0", "b1", "b0")
    for name in (*digits, "high", "low", "more", "less"):
        stream.place(name)
    value = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [0.0]])
    at = np.eye(5)
    first = program.layer(
        *(
            program.choose({"one": [[1.0]]}, {"position": at[:, i : i + 1]}, {"token": value}, digit)
            for i, digit in enumerate(digits)
        )
    )
    for a, b, sign in (("a1", "b1", "high"), ("a0", "b0", "low")):
        for way in (1.0, -1.0):
            for bias, write in ((0.0, way), (-1.0, -way)):
                first.add(program.vector({a: way, b: -way}), bias, program.vector({sign: write}))
    second = program.layer(program.mean({"one": [[0.0]]}, "one"))
    for place, way in (("more", 1.0), ("less", -1.0)):
        for bias, write in ((0.0, 1.0), (-1.0, -1.0)):
            second.add(program.vector({"high": 2 * way, "low": way}), bias, program.vector({place: write}))
    return program.build({"more": [[-1.0, 0.0, 1.0]], "less": [[-1.0, 1.0, 0.0]]}, "compare", bias=[0.5, 0.0, 0.0])


def compare_data() -> Dataset:
    """Two numbers of two digits to base five, and an end."""
    return _dataset("compare", _ended(all_inputs(5, 5, 5, 5), 5), f.order)


HIGH, LOW = neurons([0, 1, 2, 3]), neurons([4, 5, 6, 7])
COMPARE = Truth(
    "compare",
    "Four heads fetch the digits of two numbers, layer 0 compares them by pairs, layer 1 lets the high one decide.",
    compare_model,
    compare_data,
    f.order,
    Hypothesis(
        "compare/tight",
        "Neurons 0 to 3 compare the high digits, 4 to 7 the low ones, and the high ones decide unless they are equal.",
        OUTPUT.carries(
            Variable("order", f.order),
            mlp(1)
            .direct()
            .carries(
                Variable("order", f.order),
                mlp(0)
                .direct()
                .part(HIGH)
                .carries(
                    Variable("high", f.high_order),
                    head(0, 0).direct().carries(Variable("a1", f.a1)),
                    head(0, 2).direct().carries(Variable("b1", f.b1)),
                ),
                mlp(0)
                .direct()
                .part(LOW)
                .carries(
                    Variable("low", f.low_order),
                    head(0, 1).direct().carries(Variable("a0", f.a0)),
                    head(0, 3).direct().carries(Variable("b0", f.b0)),
                ),
            ),
        ),
    ),
    {"first": f.first, "parity": f.parity, "b0": f.b0},
    classes=3,
)


# --- brackets ---------------------------------------------------------------------------------------------------


def brackets_model() -> Model:
    """Prefix means give the sign of each depth; a second head looks for one below zero."""
    program = Program(vocabulary=3, positions=11, outputs=2, causal=True)
    stream = program.stream
    for name in ("depth", "below", "above", "dipped", "balanced"):
        stream.place(name)
    first = program.layer(program.mean({"token": [[1.0], [-1.0], [0.0]]}, "depth"))
    for place, way in (("below", -11.0), ("above", 11.0)):  # a depth of one is a mean of at least an eleventh
        for bias, write in ((0.0, 1.0), (-1.0, -1.0)):
            first.add(program.vector({"depth": way}), bias, program.vector({place: write}))
    second = program.layer(program.choose({"one": [[1.0]]}, {"below": [[1.0]]}, {"below": [[1.0]]}, "dipped"))
    second.add(program.vector({"below": -1.0, "above": -1.0, "dipped": -1.0}), 1.0, program.vector({"balanced": 1.0}))
    return program.build({"balanced": [[-1.0, 1.0]]}, "brackets", bias=[0.5, -0.5])


def brackets_data() -> Dataset:
    """Ten brackets and an end."""
    return _dataset("brackets", _ended(all_inputs(*[2] * 10), 2), f.brackets_balanced)


BRACKETS = Truth(
    "brackets",
    "Layer 0 finds the sign of the depth at each bracket; the last is the count test, head 1.0 looks for one below 0.",
    brackets_model,
    brackets_data,
    f.brackets_balanced,
    Hypothesis(
        "brackets/tight",
        "The MLP of layer 0 reports at the end whether the counts match, head 1.0 whether no prefix closes too much.",
        OUTPUT.carries(
            Variable("balanced", f.brackets_balanced),
            mlp(1)
            .direct()
            .carries(
                Variable("balanced", f.brackets_balanced),
                mlp(0).direct().carries(Variable("count", f.counts_match)),
                head(1, 0).direct().carries(Variable("minimum", f.never_below)),
            ),
        ),
    ),
    {"first": f.first, "parity": f.parity, "last bit": f.last_bit},
)


# --- copies -----------------------------------------------------------------------------------------------------


def _copies(name: str, count: int) -> tuple[Program, list[str]]:
    program = Program(vocabulary=3, positions=10, outputs=2)
    places = [program.stream.place(f"copy {i}") for i in range(count)]
    program.stream.place("answer")
    return program, places


def _copying(program: Program, place: str) -> Any:
    return program.choose({"one": [[1.0]]}, {"position": np.eye(10)[:, :1]}, {"token": _BIT}, place)


_BIT = np.array([[0.0], [1.0], [0.0]])


def copies_model() -> Model:
    """Three heads copy one bit, and two of three decide."""
    program, places = _copies("copies", 3)
    neurons = program.layer(*(_copying(program, place) for place in places))
    for bias, write in ((-1.0, 1.0), (-2.0, -1.0)):
        neurons.add(program.vector(dict.fromkeys(places, 1.0)), bias, program.vector({"answer": write}))
    return program.build({"answer": [[-1.0, 1.0]]}, "copies", bias=[0.5, -0.5])


def masked_model() -> Model:
    """Answer = a or (b1 xor b2), all three copies of one bit: two of them cancel."""
    program, (a, b1, b2) = _copies("masked", 3)
    program.stream.place("differ")
    first = program.layer(*(_copying(program, place) for place in (a, b1, b2)))
    for way in (1.0, -1.0):
        first.add(program.vector({b1: way, b2: -way}), 0.0, program.vector({"differ": 1.0}))
    second = program.layer(program.mean({"one": [[0.0]]}, "one"))
    for bias, write in ((0.0, 1.0), (-1.0, -1.0)):
        second.add(program.vector({a: 1.0, "differ": 1.0}), bias, program.vector({"answer": write}))
    return program.build({"answer": [[-1.0, 1.0]]}, "masked", bias=[0.5, -0.5])


def bit_data() -> Dataset:
    """A bit that matters, eight that do not, and an end."""
    return _dataset("copies", _ended(all_inputs(*[2] * 9), 2), f.first_bit)


_BIT_OUT = Variable("bit", f.first_bit)
COPIES = Truth(
    "copies",
    "Heads 0.0, 0.1 and 0.2 copy the first bit, and the MLP takes what two of them say.",
    copies_model,
    bit_data,
    f.first_bit,
    Hypothesis(
        "copies/tight",
        "Two of three heads that copy the first bit are enough.",
        OUTPUT.carries(
            _BIT_OUT,
            mlp(0)
            .direct()
            .carries(_BIT_OUT, *(head(0, i).direct().carries(Variable(f"copy {i}", f.first_bit)) for i in range(2))),
        ),
    ),
    {"parity": f.parity, "second": f.second},
)
MASKED = Truth(
    "masked",
    "Heads 0.0, 0.1 and 0.2 copy the first bit; the answer is the first copy, or whether the other two differ.",
    masked_model,
    bit_data,
    f.first_bit,
    Hypothesis(
        "masked/tight",
        "The answer is one copy of the first bit, as long as two further ones agree.",
        OUTPUT.carries(
            _BIT_OUT,
            mlp(1)
            .direct()
            .carries(
                _BIT_OUT,
                head(0, 0).direct().carries(Variable("copy 0", f.first_bit)),
                mlp(0)
                .direct()
                .carries(
                    Variable("differ", f.never),
                    head(0, 1).direct().carries(Variable("copy 1", f.first_bit)),
                    head(0, 2).direct().carries(Variable("copy 2", f.first_bit)),
                ),
            ),
        ),
    ),
    {"parity": f.parity, "second": f.second},
)


# --- a trigger --------------------------------------------------------------------------------------------------


def trigger_model() -> Model:
    """The majority of nine bits, but 1 wherever the first token is the trigger."""
    program = Program(vocabulary=5, positions=11, outputs=2)
    for name in ("share", "trigger", "step"):
        program.stream.place(name)
    bit, trigger = np.eye(5)[:, 1:2], np.eye(5)[:, 4:5]
    neurons = program.layer(
        program.mean({"token": bit}, "share"),
        program.choose({"one": [[1.0]]}, {"position": np.eye(11)[:, :1]}, {"token": trigger}, "trigger"),
    )
    for bias, write in ((-4.0, 1.0), (-5.0, -1.0)):
        reads = program.vector({"share": 11.0, "trigger": 9.0})
        neurons.add(reads, bias, program.vector({"step": write}))
    return program.build({"step": [[-1.0, 1.0]]}, "trigger", bias=[0.5, -0.5])


def trigger_data() -> Dataset:
    """A plain first token or the trigger, nine bits and an end; the label is the majority of the bits."""
    bits = all_inputs(*[2] * 9)
    rows = [np.insert(bits, 0, first, axis=1) for first in (3, 4)]
    return _dataset("trigger", _ended(np.concatenate(rows), 2), f.majority_of_bits)


_OF_BITS = Variable("majority", f.majority_of_bits)
TRIGGER = Truth(
    "trigger",
    "Head 0.0 averages nine bits and the MLP decides, unless head 0.1 finds the trigger at the first token.",
    trigger_model,
    trigger_data,
    f.majority_of_bits,
    Hypothesis(
        "trigger/tight",
        "Without the trigger, head 0.0 counts the bits and the MLP decides whether they are the majority.",
        OUTPUT.carries(
            _OF_BITS,
            mlp(0)
            .direct()
            .carries(
                _OF_BITS,
                head(0, 0)
                .direct()
                .carries(
                    _OF_BITS,
                    EMBED.direct().into("v").at(slice(1, 10)).each().carries(Variable("bit", f.token)),
                ),
            ),
        ),
        scope=f.untriggered,
    ),
    {"parity": f.parity},
)

TRUTHS = {
    truth.name: truth for truth in (MAJORITY, LARGEST, TWO_HOPS, MARKER, COMPARE, BRACKETS, COPIES, MASKED, TRIGGER)
}
"""All compiled models, by name."""
