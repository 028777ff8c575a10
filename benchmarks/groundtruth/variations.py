"""Hypotheses of known truth about a compiled model: the tight one, and what can be made of it.

An *overclaim* says more than is true and loses nothing: a node, path, slot or position that nothing reads, or a feature
that tells more apart. It is one by construction. A *false* hypothesis leaves something out, or says it wrongly. What is
changed may happen not to matter. If it permits the same exchanges as the tight hypothesis, which is proved by going
through all inputs (`equivalence.py`), it is *equivalent*, and if fewer, an overclaim. Otherwise what it costs is
measured on every input of the program with many draws, and what loses less than a hundredth of the gap is called
*sufficient*. None is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.equivalence import relation
from benchmarks.groundtruth.truth import Truth
from scrubbing import (
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    Variable,
    anything,
    everything,
    joint,
    reads,
)

if TYPE_CHECKING:
    from torch import Tensor

    from scrubbing import Loss
    from scrubbing.metrics import Predictions

Kind = Literal["tight", "equivalent", "redundant", "overclaim", "sufficient", "false"]
RARE = 0.01
"""Share of inputs on which a rare-value error is wrong."""
DRAWS = 40
"""By which what a change costs is measured, on every input."""


@dataclass(frozen=True, eq=False)
class Case:
    """A hypothesis about a model, and what is known of it."""

    program: str
    seed: int
    change: str
    """What was done to the tight hypothesis."""
    hypothesis: Hypothesis
    truth: Kind


Change = Callable[[Truth, np.random.Generator], Claim | None]
"""A changed tree of claims; None where the program gives no occasion for it."""


def cases(truth: Truth, rng: np.random.Generator, changes: Collection[str] | None = None) -> Iterator[Case]:
    """The tight hypotheses of a model and one hypothesis of each change (or of some), as far as there is occasion."""
    for hypothesis in truth.tight:
        yield Case(truth.program, truth.seed, "tight", hypothesis, "tight")
    for hypothesis in truth.redundant:
        yield Case(truth.program, truth.seed, "redundant copies", hypothesis, "redundant")
    for name, change in OVERCLAIMS.items():
        if changes is not None and name not in changes:
            continue
        if (made := _made(truth, name, change, rng)) is not None:
            yield Case(truth.program, truth.seed, name, made, "overclaim")
    for name, change in FALSE.items():
        if changes is not None and name not in changes:
            continue
        if (made := _made(truth, name, change, rng)) is not None:
            yield Case(truth.program, truth.seed, name, made, _kind(truth, made))


def _kind(truth: Truth, made: Hypothesis) -> Kind:
    """Of a hypothesis that was changed in order to be false."""
    found = relation(truth, made.correspondence)
    if found == "other":
        return "false" if lost(truth, made) > 0.01 else "sufficient"
    return "equivalent" if found == "equivalent" else "overclaim"


def lost(truth: Truth, hypothesis: Hypothesis) -> float:
    """Share of the gap between null and model that scrubbing costs, on every input with many draws, unclaimed nodes
    drawn together or apart; or, where that is more, a fifth of how far outputs are from the model's own, of how far
    those of another input are.
    """
    kept = ["null", "apart"]
    experiment = Experiment(truth.model, truth.data, truth.loss, draws=DRAWS, baselines=kept, measures=[MOVED])
    result, nothing = experiment.run(hypothesis), experiment.run(NOTHING)
    losses = {name: values.mean() for name, values in result.losses.items()}
    worse = max(losses["scrubbed"], losses.get("apart", losses["scrubbed"]))
    share = (worse - losses["model"]) / (losses["null"] - losses["model"])
    return float(max(share, result.measure(MOVED.name).mean() / nothing.measure(MOVED.name).mean() / 5))


class Moved:
    """How far outputs are from the model's own: squared distance of numbers, or of probabilities."""

    name, meaning, unit = "moved", "squared distance of the output from the model's own", ""

    def defined(self, loss: Loss) -> bool:
        """Everywhere."""
        return True

    def per_token(self, predictions: Predictions) -> Tensor:
        """Of each prediction."""
        own, scrubbed = predictions.model.double(), predictions.scrubbed.double()
        if predictions.loss.outputs == "classes":
            own, scrubbed = own.softmax(1), scrubbed.softmax(1)
        return ((own - scrubbed) ** 2).sum(1)


MOVED = Moved()
NOTHING = Hypothesis(
    "nothing",
    "Nothing matters.",
    OUTPUT.carries(Variable("out", everything), reads().carries(Variable("any", anything))),
)


def _made(truth: Truth, name: str, change: Change, rng: np.random.Generator) -> Hypothesis | None:
    (hypothesis, *_) = truth.tight
    root = change(truth, rng)
    return None if root is None else replace(hypothesis, name=f"{hypothesis.name}, {name}", correspondence=root)


# --- trees of claims


def _walk(claim: Claim, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Claim]]:
    yield path, claim
    for i, child in enumerate(claim.children):
        yield from _walk(child, (*path, i))


def _put(root: Claim, path: tuple[int, ...], made: Claim | None) -> Claim:
    """With another claim in a place, or with none."""
    if not path:
        assert made is not None
        return made
    children = list(root.children)
    below = made if len(path) == 1 else _put(children[path[0]], path[1:], made)
    children[path[0] : path[0] + 1] = [] if below is None else [below]
    return replace(root, children=tuple(children))


def _root(truth: Truth) -> Claim:
    return truth.tight[0].correspondence


def _one(rng: np.random.Generator, found: list[tuple[tuple[int, ...], Claim]]) -> tuple[tuple[int, ...], Claim] | None:
    return found[int(rng.integers(len(found)))] if found else None


def _below(truth: Truth) -> list[tuple[tuple[int, ...], Claim]]:
    """The claims below the output's."""
    return [one for one in _walk(_root(truth)) if one[0]]


def _columns(truth: Truth, per_position: bool) -> list[str]:
    names = [name for name in truth.data if name.startswith("each_") == per_position]
    return [name for name in names if name not in ("tokens", "mask")]


def _with(claim: Claim, feature: Feature) -> Claim:
    return replace(claim, variable=Variable(f"{feature.name} in {claim.variable.name}", feature))


# --- overclaims


def _idle_claim(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """A claim on a head that nothing reads."""
    if not truth.idle:
        return None
    target = truth.idle[int(rng.integers(len(truth.idle)))]
    inside, root = truth.tight[0].in_scope(truth.data), _root(truth)
    name = str(rng.choice([one for one in _columns(truth, False) if len(np.unique(inside[one])) > 1]))
    return replace(root, children=(*root.children, target.direct().carries(Variable(f"idle {name}", column(name)))))


def _idle_member(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """A head that nothing reads, in a bundle with one that matters."""
    root = _root(truth)
    tops = [one for one in _below(truth) if len(one[0]) == 1 and one[1].targets[0].node is not None]
    one = _one(rng, [(path, claim) for path, claim in tops if not claim.children and not claim.each])
    if one is None or not truth.idle:
        return None
    path, claim = one
    idle = truth.idle[int(rng.integers(len(truth.idle)))].direct()
    return _put(root, path, replace(claim, targets=(*claim.targets, idle)))


def _idle_slot(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """What enters by one slot of a head, claimed of every slot."""
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if claim.targets[0].into_slots])
    if one is None:
        return None
    path, claim = one
    return _put(_root(truth), path, replace(claim, targets=tuple(replace(t, into_slots=()) for t in claim.targets)))


def _idle_position(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """Symbols claimed at positions that nothing reads, too."""
    found = [(path, claim) for path, claim in _below(truth) if claim.each and claim.targets[0].positions is not None]
    one = _one(rng, found)
    if one is None or not truth.unread:
        return None
    path, claim = one
    (target,) = claim.targets
    values = claim.variable.agrees_on()(truth.data)
    if not any(len(np.unique(values[:, place])) > 1 for place in truth.unread):
        return None  # a constant claims nothing
    assert target.positions is not None
    places = target.positions.resolve(truth.data["tokens"].shape[1], False)
    assert places is not None
    return _put(_root(truth), path, replace(claim, targets=(target.at(sorted({*places, *truth.unread})),)))


def _refined(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """A feature that also tells apart what nothing reads."""
    noise = [name for name in truth.data if name.startswith("noise_")]
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if not claim.each])
    if one is None or not noise:
        return None
    path, claim = one
    return _put(_root(truth), path, _with(claim, joint(claim.variable.agrees_on(), column(str(rng.choice(noise))))))


def _whole(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """The whole input, in the place of a feature."""
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if not claim.each and not claim.children])
    if one is None:
        return None
    return _put(_root(truth), one[0], _with(one[1], everything))


OVERCLAIMS: dict[str, Change] = {
    "idle claim": _idle_claim,
    "idle member": _idle_member,
    "idle slot": _idle_slot,
    "idle position": _idle_position,
    "finer feature": _refined,
    "whole input": _whole,
}


# --- false hypotheses


def _dropped(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """One of several claims left out."""
    root = _root(truth)
    several = {path for path, claim in _walk(root) if len(claim.children) > 1}
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if path[:-1] in several])
    return None if one is None else _put(root, one[0], None)


def _swapped(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """Two claims exchange what they carry."""
    root, below = _root(truth), [one for one in _below(truth) if not one[1].each]
    pairs = [
        (one, other)
        for one in below
        for other in below
        if one[0] < other[0] and one[1].variable.agrees_on() != other[1].variable.agrees_on()
    ]
    if not pairs:
        return None
    (path, claim), (there, other) = pairs[int(rng.integers(len(pairs)))]
    root = _put(
        root, path, replace(_at(root, path), variable=replace(other.variable, name=f"{other.variable.name} here"))
    )
    return _put(
        root, there, replace(_at(root, there), variable=replace(claim.variable, name=f"{claim.variable.name} here"))
    )


def _at(root: Claim, path: tuple[int, ...]) -> Claim:
    return root if not path else _at(root.children[path[0]], path[1:])


def _moved(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """A claim moved to a head that nothing reads."""
    leaves = [
        (path, claim) for path, claim in _below(truth) if not claim.each and not claim.children and len(path) == 1
    ]
    one = _one(rng, leaves)
    if one is None or not truth.idle:
        return None
    target = truth.idle[int(rng.integers(len(truth.idle)))].direct()
    return _put(_root(truth), one[0], replace(one[1], targets=(target,)))


def _coarsened(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """Two values that count as equal."""
    found = [(path, claim) for path, claim in _below(truth) if len(_values(claim, truth.data)) > 2]
    one = _one(rng, found)
    if one is None:
        return None
    path, claim = one
    values = _values(claim, truth.data)
    merged = rng.choice(len(values), 2, replace=False)
    classes = [[values[i] for i in merged], *([value] for i, value in enumerate(values) if i not in merged)]
    return _put(_root(truth), path, _with(claim, claim.variable.agrees_on().merged(classes)))


def _values(claim: Claim, data: Dataset) -> list[int]:
    return np.unique(claim.variable.agrees_on()(data)).tolist()


def _another(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """Another column of the data in the place of a feature."""
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if not claim.each])
    if one is None:
        return None
    path, claim = one
    names = [name for name in _columns(truth, False) if name != claim.variable.agrees_on().name]
    return _put(_root(truth), path, _with(claim, column(str(rng.choice(names)))))


def _rolled(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """Each position carries the symbol of the one before it: the wrong direction."""
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if claim.each])
    if one is None:
        return None
    path, claim = one
    feature = claim.variable.agrees_on()

    def before(data: Dataset) -> NDArray[Any]:
        return np.roll(feature(data), 1, axis=1)

    return _put(_root(truth), path, _with(claim, Feature(f"{feature.name} before", compute=before, per="position")))


def _rarely_wrong(truth: Truth, rng: np.random.Generator) -> Claim | None:
    """A feature that has another value on a hundredth of the inputs."""
    one = _one(rng, [(path, claim) for path, claim in _below(truth) if not claim.each])
    if one is None:
        return None
    path, claim = one
    feature, seed = claim.variable.agrees_on(), int(rng.integers(2**31))

    def mistaken(data: Dataset) -> NDArray[Any]:
        values = np.unique(feature(data), return_inverse=True)[1]
        wrong = np.random.default_rng(seed).random(2**16)[data.ids % 2**16] < RARE
        return np.where(wrong, (values + 1) % (values.max() + 1), values)

    return _put(_root(truth), path, _with(claim, Feature(f"{feature.name}, rarely wrong", compute=mistaken)))


FALSE: dict[str, Change] = {
    "dropped claim": _dropped,
    "swapped features": _swapped,
    "moved claim": _moved,
    "merged values": _coarsened,
    "another feature": _another,
    "wrong direction": _rolled,
    "rarely wrong": _rarely_wrong,
}
