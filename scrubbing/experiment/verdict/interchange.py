"""Whether the model computes what the interpretation computes when a variable is set to another input's value.

Agreement of inputs sees which values are told apart, not what they are: a variable that is inverted or tripled, or read
by another equation, passes. Where variables have value functions the interpretation can be run. For each draw, one
variable is set to another input's value, in the interpretation and at every node that is claimed to carry it; the two
outputs are compared, and so are the nodes with their variables. Source: Geiger, Lu, Icard and Potts, "Causal
abstractions of neural networks" (2021), as interchange intervention accuracy; the read-outs are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.experiment.measured import MEASURE
from scrubbing.experiment.verdict.claims import Unit
from scrubbing.experiment.verdict.held import held
from scrubbing.experiment.verdict.runs import Rise, Runs, Sample
from scrubbing.hypothesis.variables import Variable
from scrubbing.metrics.losses import Loss
from scrubbing.metrics.measures import Predictions
from scrubbing.models.reading import read
from scrubbing.samplers import Asked, Drawn, Sampler
from scrubbing.sampling.contexts import Mode

Values = NDArray[Any]
CLOSE = 0.05
"""Numbers agree within this share of their spread."""
WRONG = 0.05
"""Share of draws in which outputs must differ, beyond those in which they do without an exchange, to be wrong."""


@dataclass(frozen=True)
class Exchanged:
    """How often model and interpretation agree when one variable is set to another input's value."""

    variable: str
    words: str
    """The claims of the variable."""
    disagreement: Rise
    """Share of draws in which they differ, less that without an exchange."""

    @property
    def is_wrong(self) -> bool:
        """Whether they surely differ."""
        return self.disagreement.lower(0.05) > WRONG


@dataclass(frozen=True)
class ReadOut:
    """How often a node holds its variable's value."""

    variable: str
    node: str
    share: float


@dataclass(frozen=True)
class Interchange:
    """What running the interpretation beside the model shows."""

    output: str
    """The variable of the output."""
    label: float | None
    """Share of references whose label the interpretation predicts; None where the label cannot be read."""
    model: float
    """Share on which it predicts what the model does."""
    exchanged: tuple[Exchanged, ...]
    read: tuple[ReadOut, ...]

    @property
    def wrong(self) -> list[str]:
        """Variables whose values or equations are not the model's."""
        right = self.model if self.label is None else max(self.model, self.label)
        names = [self.output] if right < 1 - WRONG else []
        names += [one.variable for one in self.exchanged if one.is_wrong]
        return list(dict.fromkeys([*names, *(one.variable for one in self.read if one.share < 1 - WRONG)]))


def interchange(runs: Runs, units: Sequence[Unit]) -> Interchange | None:
    """Run the interpretation beside the model; None where it cannot be run, or the model has no single output.

    Args:
        runs: of the hypothesis.
        units: its claims.
    """
    root = runs.scrub.hypothesis.correspondence.variable
    if not any(one.value is not None for one in root.walk()):
        return None
    sample = runs.sample(31)
    if (sample.reference.counted() != 1).any():
        return None
    outcome = _Outputs(runs, root)
    rows = sample.reference.rows
    clean = outcome.model(sample, Mode(claimed="exact", unclaimed="exact"))
    predicted = outcome.interpretation(rows[:, None], {})
    differ = outcome.differ(clean, np.broadcast_to(predicted, clean.shape))
    found = tuple(_exchanged(runs, outcome, sample, units, differ))
    label = outcome.label(predicted[:, 0], rows)
    return Interchange(root.name, label, 1 - float(differ.mean()), found, tuple(_read(runs, root, units)))


@dataclass(eq=False)
class _Outputs:
    """Outputs of the model and of the interpretation, in the same terms."""

    runs: Runs
    root: Variable
    spread: float = field(init=False)
    meaning: Mapping[Any, int] | None = field(init=False)
    """Class that each value of the output variable stands for; None where outputs are numbers."""

    def __post_init__(self) -> None:
        data, loss = self.runs.data, self.runs.scrub.subject.loss
        values = self.root.agrees_on()(data)
        label = getattr(loss, "label", None)
        self.spread = float(np.std(values.astype(np.float64))) if values.dtype.kind in "biuf" else 1.0
        self.meaning = None
        if loss.outputs == "classes" and isinstance(label, str) and data[label].ndim == 1:
            known = np.arange(len(values)) < (len(values) if self.runs.first is None else self.runs.first)
            self.meaning = {}
            for v in np.unique(values).tolist():  # labels of inputs that may be references are surely right
                has = values == v
                self.meaning[v] = int(np.bincount(data[label][has & known if (has & known).any() else has]).argmax())

    def model(self, sample: Sample, mode: Mode) -> Values:
        """The model's prediction in each draw, or its number, `[references, draws]`."""
        job = self.runs.job(sample, mode, measures=(_OUTPUT,))
        (measured,) = self.runs.executor.measure([job])
        self.runs.count += measured.values[f"{MEASURE}output"].size
        return measured.values[f"{MEASURE}output"]

    def interpretation(self, rows: NDArray[np.int64], given: Mapping[Variable, Values]) -> Values:
        """What the interpretation predicts for dataset rows, some variables being given, in the shape of the rows."""
        flat = {variable: values.reshape(rows.size, *values.shape[rows.ndim :]) for variable, values in given.items()}
        values = _computed(self.root, self.runs, rows.ravel(), flat).reshape(rows.shape)
        if self.meaning is None:
            return values.astype(np.float64)
        return np.array([self.meaning.get(v, -1) for v in values.ravel().tolist()]).reshape(rows.shape)

    def differ(self, first: Values, second: Values) -> NDArray[np.bool_]:
        """Where two outputs are not the same."""
        if self.meaning is not None:
            return first != second
        return np.abs(first - second) > CLOSE * max(self.spread, 1e-12)

    def label(self, predicted: Values, rows: NDArray[np.int64]) -> float | None:
        """Share of rows whose label is predicted."""
        name = getattr(self.runs.scrub.subject.loss, "label", None)
        if not isinstance(name, str) or self.runs.data[name].ndim != 1:
            return None
        return 1 - float(self.differ(self.runs.data[name][rows], predicted).mean())


class _Output:
    """The scrubbed model's own output: its most likely class, or its first number."""

    name, meaning, unit = "output", "what the scrubbed model says", ""

    def defined(self, loss: Loss) -> bool:
        return True

    def per_token(self, predictions: Predictions) -> Tensor:
        output = predictions.scrubbed
        return output.argmax(1).double() if predictions.loss.outputs == "classes" else output[:, 0].double()


_OUTPUT = _Output()


@dataclass(frozen=True, eq=False)
class _Given(Sampler):
    """Inputs that were chosen beforehand, by reference and draw (and position)."""

    ids: NDArray[np.int64]
    """Ids of the references, ascending."""
    rows: NDArray[np.int64]
    """`[references, draws]` or `[references, draws, positions]`."""

    def draw(self, asked: Asked) -> Drawn:
        at = np.searchsorted(self.ids, asked.reference)
        if self.rows.ndim == 2:
            return Drawn(self.rows[at, asked.number])
        assert asked.position is not None
        return Drawn(self.rows[at, asked.number, asked.position])


def _exchanged(
    runs: Runs, outcome: _Outputs, sample: Sample, units: Sequence[Unit], differ: NDArray[np.bool_]
) -> Iterator[Exchanged]:
    """Each variable of the interpretation set to another input's value at all nodes that carry it."""
    tree, mode = runs.scrub.tree, runs.scrub.mode
    known = {one for one in outcome.root.walk() if one != outcome.root}
    by_variable: dict[Variable, list[Unit]] = {}
    for unit in units:
        variable = tree.regions[unit.regions[0]].claim.variable
        if variable in known and unit.feature == variable.agrees_on() and unit.depth <= 1 and unit.at is None:
            by_variable.setdefault(variable, []).append(unit)
    ids, order = np.unique(runs.data.ids[sample.reference.rows].astype(np.int64), return_index=True)
    for variable, claims in by_variable.items():
        if len({one.positions is None for one in claims}) > 1:
            continue  # drawn once for the input here, and for each position there: not one value to set
        crossed = claims[0].crossed(replace(mode, kept=frozenset()), tree)
        data, rows = held(runs.job(sample, crossed), claims[0].regions[0])
        if data is not runs.data:
            continue
        at_top = [region for one in claims for region in one.regions]
        given = _Given(ids, rows[order])
        kept = frozenset(region.index for region in tree.regions[1:] if region.index not in at_top)
        exchange = replace(mode, unclaimed="exact", kept=kept, samplers=tuple((region, given) for region in at_top))
        after = outcome.model(sample, exchange)
        if rows.ndim == 2:
            values = variable.agrees_on()(data)[rows]
        else:
            values = variable.agrees_on()(data)
            values = values[rows, np.arange(rows.shape[2])] if values.ndim > 1 else values[rows]
        references = np.broadcast_to(sample.reference.rows[:, None], after.shape)
        wanted = outcome.interpretation(references, {variable: values})
        rise = sample.rise(outcome.differ(after, wanted).astype(np.float64) - differ, 1.0)
        yield Exchanged(variable.name, " and ".join(dict.fromkeys(one.words for one in claims)), rise)


def _computed(variable: Variable, runs: Runs, rows: NDArray[np.int64], given: Mapping[Variable, Values]) -> Values:
    """Values of a variable for dataset rows, computed from its parents where it says how."""
    if variable in given:
        return given[variable]
    if variable.value is None or not variable.parents:
        return variable.agrees_on()(runs.data)[rows]
    return np.asarray(variable.value(*(_computed(parent, runs, rows, given) for parent in variable.parents)))


def _read(runs: Runs, root: Variable, units: Sequence[Unit]) -> Iterator[ReadOut]:
    """Nodes that write one number, beside the value that they are claimed to carry."""
    tree, data = runs.scrub.tree, runs.data
    known = set(root.walk())
    for unit in units:
        variable = tree.regions[unit.regions[0]].claim.variable
        values = variable.agrees_on()(data)
        if variable not in known or values.dtype.kind not in "biuf":
            continue
        for region in unit.regions:
            targets = zip(tree.regions[region].claim.targets, tree.regions[region].nodes, strict=True)
            for node in dict.fromkeys(
                node for target, node in targets if not target.read_slots and target.only is None
            ):
                held_there = read(runs.scrub.subject.model, node, data)
                if held_there.shape[-1] != 1:
                    continue  # what many numbers say depends on who reads them
                number = held_there[..., 0].cpu().double().numpy()
                wanted = values.astype(np.float64)
                if wanted.ndim == 1:
                    wanted = wanted[:, None]
                if wanted.ndim > 2:
                    continue
                close = np.abs(number - wanted) <= CLOSE * max(float(wanted.std()), 1e-12)
                yield ReadOut(variable.name, str(node), float(close.mean()))
