"""A task: a model, inputs and a loss under one name, so that hypotheses can be run by address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import UsageError, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.hypothesis.hypothesis import Hypothesis

if TYPE_CHECKING:
    from scrubbing.experiment.experiment import Experiment
    from scrubbing.experiment.measure import Baseline
    from scrubbing.metrics.equivalent import Series
    from scrubbing.metrics.losses import Loss
    from scrubbing.models.protocol import Model

GROUP = "scrubbing.tasks"
"""Entry points of this group are found by name, as in `scrub bench NAME`."""


@dataclass(frozen=True)
class Task:
    """What hypotheses are about. Everything heavy is a function, so that looking at a task loads nothing."""

    name: str
    graph: Callable[[], ModelGraph]
    """The model graph without weights, for checking and planning."""
    data: Callable[[], Dataset]
    model: Callable[[], Model]
    loss: Callable[[], Loss]
    strata: Mapping[str, Feature] = field(default_factory=dict)
    """Features by which losses are broken down."""
    ladder: Callable[[], Sequence[Hypothesis]] = tuple
    """The hypotheses shipped for this task, roughly from naive to best."""
    references: int = 4096
    """Reference inputs of a default run."""
    draws: int = 4
    """Complete resamplings per reference of a default run."""
    slices: Mapping[str, Feature] = field(default_factory=dict)
    """Further sets of positions to report losses on."""
    further: Callable[[], Mapping[str, Baseline]] = dict
    """Further baselines by name."""
    zero: str = "null"
    """The baseline that 0 % recovered stands for in tables."""
    clusters: Feature | None = None
    """Families of inputs, which intervals resample whole."""
    series: Callable[[], Series | None] = lambda: None
    """Unscrubbed models of increasing training."""
    also: tuple[str, ...] = ()
    """Tasks whose ladders are run after this one's."""
    variants: Mapping[str, Callable[[Path], Task]] = field(default_factory=dict)
    """The same task on other models, each made from a folder of files the user has."""
    other: Callable[[str, Callable[[], list[str]]], Task] | None = None
    """The same task on any model (a folder, or a name on the hub) and text (a function that returns documents)."""
    about: Callable[[], str] = str
    """What to read beside the numbers, printed above them."""

    def rung(self, name: str) -> Hypothesis:
        """The hypothesis of the ladder with this name, after the last slash.

        Raises:
            UsageError: SCR-TASK, there is none.
        """
        rungs = {hypothesis.name.rpartition("/")[2]: hypothesis for hypothesis in self.ladder()}
        if name not in rungs:
            known = ", ".join(rungs) or "none"
            fail(UsageError, "SCR-TASK", f"task {self.name} has no rung {name!r}.", f"Its rungs: {known}.")
        return rungs[name]

    def experiment(self, **options: Any) -> Experiment:
        """An experiment on this task's model, data and loss; options as of `Experiment`."""
        from scrubbing.experiment.experiment import Experiment

        given = {
            "references": self.references,
            "draws": self.draws,
            "strata": self.strata,
            "slices": self.slices,
            "further": self.further(),
            "zero": self.zero,
            "clusters": self.clusters,
            "series": self.series(),
        }
        chosen = {name: value for name, value in options.items() if value is not None}
        made = Experiment(self.model(), self.data(), self.loss(), **given | chosen)
        made.task = self.name
        return made

    def variant(self, name: str, folder: Path | None) -> Task:
        """This task, or one of its variants.

        Raises:
            UsageError: SCR-TASK, no such variant, or no folder to read it from.
        """
        if name == "shipped":
            return self
        if name not in self.variants:
            known = ", ".join(["shipped", *self.variants])
            known += "" if self.other is None else "; any other needs --text FILE or --dataset NAME"
            fail(UsageError, "SCR-TASK", f"task {self.name} has no model {name!r}.", f"Its models: {known}.")
        if folder is None:
            fail(
                UsageError, "SCR-TASK", f"the model {name!r} is read from files.", "Name their folder with --data DIR."
            )
        return self.variants[name](folder)

    def on(self, model: str, documents: Callable[[], list[str]]) -> Task:
        """This task on another model and text.

        Raises:
            UsageError: SCR-TASK, the task is about one model, or no model is named; and what `other` raises.
        """
        if self.other is None:
            remedy = "Leave out --text and --dataset."
            fail(UsageError, "SCR-TASK", f"task {self.name} does not run on text of your own.", remedy)
        if model == "shipped":
            remedy = "Name a folder or a repository of the hub with --model."
            fail(UsageError, "SCR-TASK", f"task {self.name} needs a model to go with the text.", remedy)
        return self.other(model, documents)


def find_task(name: str) -> Task:
    """The task of this name, from any installed package.

    Raises:
        UsageError: SCR-TASK, there is none.
    """
    from importlib.metadata import entry_points

    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = ", ".join(sorted(found)) or "none"
        fail(UsageError, "SCR-TASK", f"there is no task {name!r}.", f"Installed tasks: {known}.")
    return found[name].load()
