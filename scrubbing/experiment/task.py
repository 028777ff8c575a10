"""A task: a model, inputs and a loss under one name, so that hypotheses can be run by address."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from scrubbing.data.dataset import Dataset
from scrubbing.errors import FileError, UsageError, brief, fail
from scrubbing.experiment.settings import RENAMED, Options, Settings, takes_settings
from scrubbing.graph.configs import config_graph
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.guards import is_dict
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.registry import Registry
from scrubbing.renamed import deprecated
from scrubbing.user_code import content_of

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


class _Derived:
    """The graph of a task that does not give it: from its config, or else from its model."""

    def __init__(self, task: Task | None = None) -> None:
        self.task = task

    def __call__(self) -> ModelGraph:
        assert self.task is not None
        data, config = self.task.data(), self.task.config
        config = config() if callable(config) else config
        if config is not None and "tokens" in data:
            found = config_graph(read_config(config), data["tokens"].shape[-1], data.mask is not None)
            if found is not None:
                return found
        from scrubbing.engine.engine import graph_of

        return graph_of(self.task.model(), data)


def _not_given() -> Any:
    raise AssertionError("refused where the task was made")


@_as_in_0_1
@dataclass(frozen=True)
class Task:
    """A model, dataset and loss with a ladder of hypotheses, as functions, so that a task itself loads nothing.

    Raises:
        UsageError: SCR-TASK, there is no function for data, model or loss.
    """

    name: str
    graph: Callable[[], ModelGraph] = field(default_factory=_Derived)
    """The model graph, for checking and planning. By default it follows from `config`, or else from the model, which is
    then loaded to check a hypothesis."""
    data: Callable[[], Dataset] = _not_given
    model: Callable[[], Model] = _not_given
    loss: Callable[[], Loss] = _not_given
    _: KW_ONLY
    config: Mapping[str, Any] | str | Path | Callable[[], Path | None] | None = None
    """The model's config: its fields, or a `config.json`, its folder, or a function that returns one. Of families that
    are known without weights, the graph follows from it; `graph.config_graph` says of which."""
    ladder: Callable[[], Sequence[Hypothesis]] = tuple
    """The hypotheses shipped for this task, roughly from naive to best."""
    settings: Settings = field(default_factory=Settings)
    """Settings of a default run."""
    also: tuple[str, ...] = ()
    """Tasks whose ladders are run after this one's."""
    variants: Mapping[str, Callable[..., Task]] = field(default_factory=dict[str, "Callable[..., Task]"])
    """Variants of the task on other models: functions of a folder of the user's, which they need not be given if the
    parameter has a default, where the model may also come from the hub."""
    other: Callable[[str, Callable[[], list[str]]], Task] | None = None
    """The same task on any model (a folder, or a name on the hub) and any text (a function that returns documents)."""
    about: Callable[[], str] = str
    """Text to read beside the numbers, printed above them."""

    def __post_init__(self) -> None:
        missing = [name for name in ("data", "model", "loss") if not callable(getattr(self, name))]
        missing += [name for name in ("data", "model", "loss") if getattr(self, name) is _not_given]
        if missing:
            problem = f"task {self.name} has no function for its {', '.join(missing)}."
            remedy = "Give functions without arguments: Task(name, data=..., model=..., loss=...)."
            fail(UsageError, "SCR-TASK", problem, remedy)
        if isinstance(self.graph, _Derived):  # of another task, if this one was made with `replace`
            object.__setattr__(self, "graph", _Derived(self))

    def _repr_html_(self) -> str:
        """For notebooks; it loads nothing."""
        from scrubbing.report.notebook import settings_of
        from scrubbing.report.page import laid_out
        from scrubbing.report.view.blocks import Fact, Section, Table

        rows = [[Fact(rung.name, rung.name), rung.sentence] for rung in self.ladder()]
        ladder = Table("", ["hypothesis", "what it claims"], rows, wordy=["what it claims"])
        sections = [Section("ladder", "Ladder", [ladder])] if rows else []
        return laid_out(self.name, "a task", [*sections, settings_of(self.settings)])

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
        make = self.variants[name]
        if folder is not None:
            return make(folder)
        if any(one.default is one.empty for one in signature(make).parameters.values()):
            remedy = "Name their folder with --data DIR."
            fail(UsageError, "SCR-TASK", f"the model {name!r} is read from files.", remedy)
        return make()

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


def read_config(config: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    """The fields of a config, from a `config.json` or its folder if it is not a mapping already.

    Raises:
        FileError: SCR-FILE, there is none, or it holds no object.
    """
    if isinstance(config, Mapping):
        return config
    path = Path(config) / "config.json" if Path(config).is_dir() else Path(config)
    remedy = "Give the config.json of a model, or its folder."
    try:
        found = json.loads(content_of(path))
    except (OSError, ValueError, RecursionError) as error:
        fail(FileError, "SCR-FILE", f"no config can be read from it ({brief(error)}).", remedy, str(path))
    if not is_dict(found):
        fail(FileError, "SCR-FILE", "it holds no fields.", remedy, str(path))
    return found


tasks: Registry[Task] = Registry("task", "scrubbing.tasks", "SCR-TASK")
"""Registry of tasks by name, as in `scrub bench NAME`: those of installed packages, and those registered in files."""


def find_task(name: str) -> Task:
    """Find a task by name, as in `scrub bench NAME`.

    Raises:
        UsageError: SCR-TASK, there is none of this name.
    """
    return tasks[name]
