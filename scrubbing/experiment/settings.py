"""Every choice about a run, in one object; each default stands here and nowhere else."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

import numpy as np

from scrubbing.data.features import Feature
from scrubbing.errors import Fault, UsageError, nearest
from scrubbing.experiment.baselines import BUILT_IN, OF_THE_DATA, Baseline, baselines
from scrubbing.experiment.controls import ALL, OURS, controls
from scrubbing.experiment.executors import Executor
from scrubbing.experiment.perturb import Perturb
from scrubbing.experiment.settings_faults import faults
from scrubbing.experiment.trial import Control
from scrubbing.metrics.equivalent import Series
from scrubbing.metrics.measures import ALWAYS, Measure, measures
from scrubbing.registry import Registry
from scrubbing.renamed import deprecated
from scrubbing.sampling.contexts import SCRUB, Ablation, Mode

MEBIBYTE = 2**20

MOST_REFERENCES = 4096
"""Inputs that are explained where nobody says how many; a dataset with fewer is explained whole."""

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The immutable settings of a run: every choice beside hypothesis, model, data and loss.

    `references` to `ablation` decide what is explained and how inputs are sampled, and `strata` to `series` what is
    reported. `device` to `tf32` decide what computes. `store` to `executor` decide how the run is computed, on which
    no result depends.

    Raises:
        UsageError: lists every fault found.
    """

    references: int | Sequence[int] | None = None
    """Number of inputs to explain (chosen by hashed id), or their ids; None for all in scope, at most 4,096."""
    pool: int | None = None
    """Number of inputs to draw from (chosen by hashed id), the references among them; None for the whole dataset. All
    numbers are then about these inputs. It is recorded."""
    shard: tuple[int, int] | None = None
    """`(k, n)`: only the k-th of n parts of the references, to spread a run over machines."""
    draws: int = 4
    """Complete resamplings per reference."""
    seed: int = 0
    """Seed of the choice of references and of all draws."""
    ablation: Ablation | None = None
    """Replace unclaimed activations by their `mean`, by `zero`, or by Gaussian `noise` of matching covariance, instead
    of resampling them. The choice is recorded, and such results are never mixed with resampled ones."""
    strata: Mapping[str, Feature] = field(default_factory=dict[str, Feature])
    """Features by whose values losses are broken down."""
    slices: Mapping[str, Feature] = field(default_factory=dict[str, Feature])
    """Further sets of positions (features per position) to report losses on, beside the loss's own."""
    clusters: Feature | None = None
    """Feature that groups references into families (templates, documents); intervals then resample families."""
    baselines: bool | Sequence[str] = True
    """Names of the baselines to compute; True for all four of this package, False for those that are not run again for
    each hypothesis: `null` and `constant`."""
    extra_baselines: Mapping[str, Baseline] = field(default_factory=dict[str, Baseline])
    """Further baselines by name."""
    zero_baseline: str = "null"
    """The baseline that 0 % recovered stands for in tables."""
    measures: Sequence[str | Measure] = ALWAYS
    """Measures to take beside the loss, by name or as objects; each is taken where it is defined."""
    controls: Sequence[str | Control] = ()
    """Controls to run (the hypothesis on another model, other data or other features), by name or as objects. Among
    them `all` stands for those of this package that can be run; the record names the others."""
    verdict: bool | Literal["word"] = False
    """Also test whether each claim is needed, and no finer than needed; takes a few runs for each claim. `"word"` runs
    only the tests that can change the word that all of them come to."""
    perturbations: Sequence[Perturb] = ()
    """Inputs that the dataset lacks, from which the verdict draws too."""
    series: Series | Callable[[], Series] | None = None
    """Unscrubbed models of increasing training, with which the scrubbed loss is compared; or a function that returns
    them when they are needed."""
    device: str | None = None
    """Where the model computes: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; None for where it is. It is recorded."""
    dtype: str | None = None
    """Precision to compute in: one of `PRECISIONS`; None for that of the model. It is recorded."""
    tf32: bool = False
    """Whether float32 matrix products on a GPU may be rounded to TF32, which is faster and keeps three digits. It is
    recorded."""
    store: bool = True
    """Whether to keep clean activations."""
    memory: int = 2**30
    """Bytes for activations, outputs and their losses; what does not fit goes to temporary files."""
    spill: str | Path | None = None
    """Folder for temporary files; None for the system's."""
    executor: str | Executor | Callable[[Settings], Executor] = "in process"
    """The executor, by name, as an object, or as a function of settings, such as `Workers(8)`."""
    task: str | None = None
    """Name of the task, for the record."""

    def __post_init__(self) -> None:
        _refuse(list(faults(self)))

    def but(self, **changed: Unpack[Options]) -> Settings:
        """The same settings with some changed.

        Raises:
            UsageError: SCR-SETTING, there is no such setting; and every other fault found.
        """
        given = _today(changed)
        known = {one.name for one in dataclasses.fields(self)}
        faults = [_unknown(name, known) for name in given if name not in known]
        made = self
        try:
            made = dataclasses.replace(self, **{name: value for name, value in given.items() if name in known})
        except UsageError as error:
            faults += error.faults
        _refuse(faults)
        return made

    @property
    def mode(self) -> Mode:
        """The mode in which the hypothesis itself is run."""
        return SCRUB if self.ablation is None else dataclasses.replace(SCRUB, unclaimed=self.ablation)

    def how_many(self, available: int) -> int:
        """Number of references among `available` inputs in scope, before they are divided into shards."""
        wanted = self.references
        if wanted is None:
            return min(MOST_REFERENCES, available)
        return int(wanted) if isinstance(wanted, (int, np.integer)) else len(wanted)

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Names of the registered baselines to compute."""
        if isinstance(self.baselines, bool):
            return BUILT_IN if self.baselines else OF_THE_DATA
        return tuple(self.baselines)

    def all_baselines(self) -> dict[str, Baseline]:
        """All baselines to compute, by name."""
        return {name: baselines[name] for name in self.baseline_names} | dict(self.extra_baselines)

    def control_baselines(self) -> dict[str, Baseline]:
        """The cheap baselines that are measured for controls too, to say how far the score falls."""
        kept = ("null", "constant", self.zero_baseline)
        return {name: one for name, one in self.all_baselines().items() if name in kept}

    def all_measures(self) -> dict[str, Measure]:
        """All measures to take, by name, whether or not they are defined for the loss."""
        return {one.name: one for one in _resolved(self.measures, measures)}

    def all_controls(self) -> dict[str, Control]:
        """All controls to run, by name."""
        chosen = [one for each in self.controls for one in (OURS if each == ALL else (each,))]
        return {one.name: one for one in _resolved(chosen, controls)}

    def named_controls(self) -> set[str]:
        """Names of those that were asked for one by one, and have to be run."""
        return {one.name for one in _resolved([one for one in self.controls if one != ALL], controls)}


class Options(TypedDict, total=False):
    """The fields of `Settings` as keywords, each optional."""

    references: int | Sequence[int] | None
    pool: int | None
    shard: tuple[int, int] | None
    draws: int
    seed: int
    ablation: Ablation | None
    strata: Mapping[str, Feature]
    slices: Mapping[str, Feature]
    clusters: Feature | None
    baselines: bool | Sequence[str]
    extra_baselines: Mapping[str, Baseline]
    zero_baseline: str
    measures: Sequence[str | Measure]
    controls: Sequence[str | Control]
    verdict: bool | Literal["word"]
    perturbations: Sequence[Perturb]
    series: Series | Callable[[], Series] | None
    device: str | None
    dtype: str | None
    tf32: bool
    store: bool
    memory: int
    spill: str | Path | None
    executor: str | Executor | Callable[[Settings], Executor]
    task: str | None


RENAMED = {"further": "extra_baselines", "zero": "zero_baseline"}
"""Settings as they were called in version 0.1."""


def takes_settings(function: Function) -> Function:
    """Let `help()` and completion at runtime see the fields of `Settings` where a function takes `**changed`."""
    signature = inspect.signature(function)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    shown = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=_default(one), annotation=one.type)
        for one in dataclasses.fields(Settings)
        if one.name not in signature.parameters
    ]
    function.__signature__ = signature.replace(parameters=[*own, *shown])
    return function


def _resolved(chosen: Sequence[str | T], registry: Registry[T]) -> Iterator[Any]:
    """What was named or given; a class that was registered stands for an instance of it."""
    for one in chosen:
        found: Any = registry[one] if isinstance(one, str) else one
        yield found() if isinstance(found, type) else found


def _refuse(faults: Sequence[Fault]) -> None:
    if faults:
        raise UsageError(faults, "" if len(faults) == 1 else "These settings cannot be used")


def _default(one: dataclasses.Field[Any]) -> Any:
    return one.default if one.default_factory is dataclasses.MISSING else one.default_factory()


def _today(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings under the names of this version."""
    for name in given.keys() & RENAMED.keys():
        deprecated(f"{name}= is now called {RENAMED[name]}=")
    return {RENAMED.get(name, name): value for name, value in given.items()}


def _unknown(name: str, known: set[str]) -> Fault:
    return Fault("SCR-SETTING", "", f"there is no setting {name!r}.", f"Did you mean: {nearest(name, sorted(known))}?")
