"""A task: a model, inputs and a loss under one name, so that hypotheses can be run by address."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from scrubbing.data.dataset import Dataset
from scrubbing.errors import UsageError, fail
from scrubbing.experiment.settings import RENAMED, Options, Settings, takes_settings
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.registry import Registry
from scrubbing.renamed import deprecated

if TYPE_CHECKING:
    from scrubbing.experiment.experiment import Experiment
    from scrubbing.metrics.losses import Loss
    from scrubbing.models.protocol import Model


_MOVED = ("references", "draws", "strata", "slices", "further", "zero", "clusters", "series")
"""Fields of a task in version 0.1 that are settings now."""
_CALLED = ("further", "series")
"""Of these, those that were functions of nothing."""


def _as_in_0_1(task: type[Task]) -> type[Task]:
    """Let the fields that are settings now still be given and read, with a warning."""
    construct = task.__init__

    def init(self: Task, *fields: Any, **named: Any) -> None:
        moved = {name: named.pop(name) for name in _MOVED if name in named}
        if moved:
            deprecated(f"Task({'=, '.join(moved)}=) is now Task(settings=Settings(...))")
            given = {name: value() if name in _CALLED else value for name, value in moved.items()}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of their new names, which was just said
                named["settings"] = named.get("settings", Settings()).but(**given)
        construct(self, *fields, **named)

    def moved(self: Task, name: str) -> Any:
        if name not in _MOVED:
            raise AttributeError(f"'Task' object has no attribute {name!r}")
        today = RENAMED.get(name, name)
        deprecated(f"task.{name} is now task.settings.{today}")
        value = getattr(self.settings, today)
        return (lambda: value) if name in _CALLED else value

    task.__init__, task.__getattr__ = init, moved  # pyright: ignore[reportAttributeAccessIssue]
    return task


@_as_in_0_1
@dataclass(frozen=True)
class Task:
    """A model, dataset and loss with a ladder of hypotheses, as functions, so that a task itself loads nothing."""

    name: str
    graph: Callable[[], ModelGraph]
    """The model graph without weights, for checking and planning."""
    data: Callable[[], Dataset]
    model: Callable[[], Model]
    loss: Callable[[], Loss]
    _: KW_ONLY
    ladder: Callable[[], Sequence[Hypothesis]] = tuple
    """The hypotheses shipped for this task, roughly from naive to best."""
    settings: Settings = field(default_factory=Settings)
    """Settings of a default run."""
    also: tuple[str, ...] = ()
    """Tasks whose ladders are run after this one's."""
    variants: Mapping[str, Callable[[Path], Task]] = field(default_factory=dict[str, "Callable[[Path], Task]"])
    """Variants of the task on other models, each loaded from a folder of the user's."""
    other: Callable[[str, Callable[[], list[str]]], Task] | None = None
    """The same task on any model (a folder, or a name on the hub) and any text (a function that returns documents)."""
    about: Callable[[], str] = str
    """Text to read beside the numbers, printed above them."""

    def rung(self, name: str) -> Hypothesis:
        """The hypothesis of the ladder with this name, after the last slash.

        Raises:
            UsageError: SCR-TASK, there is no such hypothesis.
        """
        rungs = {hypothesis.name.rpartition("/")[2]: hypothesis for hypothesis in self.ladder()}
        if name not in rungs:
            known = ", ".join(rungs) or "none"
            fail(UsageError, "SCR-TASK", f"task {self.name} has no rung {name!r}.", f"Its rungs: {known}.")
        return rungs[name]

    @takes_settings
    def experiment(self, **changed: Unpack[Options]) -> Experiment:
        """An experiment on this task's model, data and loss, with its settings except for those changed."""
        from scrubbing.experiment.experiment import Experiment

        named = self.settings.but(task=self.name)
        return Experiment(self.model(), self.data(), self.loss(), named, **changed)

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
            UsageError: SCR-TASK, the task is about one model only, or no model is named; and whatever `other` raises.
        """
        if self.other is None:
            remedy = "Leave out --text and --dataset."
            fail(UsageError, "SCR-TASK", f"task {self.name} does not run on text of your own.", remedy)
        if model == "shipped":
            remedy = "Name a folder or a repository of the hub with --model."
            fail(UsageError, "SCR-TASK", f"task {self.name} needs a model to go with the text.", remedy)
        return self.other(model, documents)


tasks: Registry[Task] = Registry("task", "scrubbing.tasks", "SCR-TASK")
"""Registry of tasks by name, as in `scrub bench NAME`: those of installed packages, and those registered in files."""


def find_task(name: str) -> Task:
    """Find a task by name, as in `scrub bench NAME`.

    Raises:
        UsageError: SCR-TASK, there is none of this name.
    """
    return tasks[name]
