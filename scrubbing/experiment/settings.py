"""Every choice about a run, in one object; each default stands here and nowhere else."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack, get_args

import numpy as np

from scrubbing.data.features import Feature, as_feature
from scrubbing.device import PRECISIONS, WRITTEN
from scrubbing.errors import Fault, ScrubbingError, UsageError, nearest
from scrubbing.experiment.baselines import BUILT_IN, OF_THE_DATA, Baseline, baselines
from scrubbing.experiment.controls import ALL, OURS, controls
from scrubbing.experiment.executors import Executor, executors
from scrubbing.experiment.perturb import Perturb
from scrubbing.experiment.trial import Control
from scrubbing.guards import is_whole
from scrubbing.metrics.equivalent import Series
from scrubbing.metrics.measures import ALWAYS, Measure, measures
from scrubbing.printable import can_be_written
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
    verdict: bool = False
    """Also test whether each claim is needed, and no finer than needed; takes a few runs for each claim."""
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
        _refuse(list(_faults(self)))

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
    verdict: bool
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


def _faults(given: Settings) -> Iterator[Fault]:
    """Everything wrong with settings that can be seen without a model and data."""
    yield from _number_faults(given)
    yield from _word_faults(given)
    yield from _feature_faults(given)
    yield from _baseline_faults(given)
    for what, kind, registry, chosen in (
        ("measures", Measure, measures, given.measures),
        ("controls", Control, controls, given.controls),
        ("executor", Executor, executors, [] if callable(given.executor) else [given.executor]),
    ):
        yield from _plugin_faults(what, kind, registry, chosen)
    yield from _perturbation_faults(given.perturbations)
    if not (given.series is None or isinstance(given.series, Series) or callable(given.series)):
        problem = f"series is of type {type(given.series).__name__}."
        yield Fault("SCR-SERIES", "", problem, "Give a Series of unscrubbed models.")


def _number_faults(given: Settings) -> Iterator[Fault]:
    if not _whole(given.draws, 1):
        problem = f"draws={given.draws!r} was asked for."
        yield Fault("SCR-DRAWS", "", problem, "Ask for a whole number of at least 1.")
    if given.pool is not None and not _whole(given.pool, 1):
        problem = f"pool={given.pool!r} was asked for."
        yield Fault(
            "SCR-SETTING", "", problem, "Ask for a whole number of at least 1, or for none, which is all inputs."
        )
    if not _whole(given.seed, 0):
        problem = f"seed={given.seed!r} was asked for."
        yield Fault("SCR-SETTING", "", problem, "Give a whole number of at least 0.")
    if not _whole(given.memory, 1):
        problem = f"memory={given.memory!r} was asked for."
        yield Fault("SCR-SETTING", "", problem, "Give a number of bytes, such as 2**30.")
    if not isinstance(given.verdict, bool):
        yield Fault("SCR-SETTING", "", f"verdict={given.verdict!r} was asked for.", "Write True or False.")
    if given.ablation is not None and not _is_one_of(given.ablation, get_args(Ablation)):
        remedy = "Write mean, zero or noise, or leave it out to resample what is unclaimed."
        yield Fault("SCR-ABLATION", "", f"ablation={given.ablation!r} was asked for.", remedy)
    if given.shard is not None:
        part = given.shard if isinstance(given.shard, tuple) else ()
        if len(part) != 2 or not all(_whole(one, 1) for one in part) or part[0] > part[1]:
            problem = f"shard={given.shard!r} was asked for."
            yield Fault("SCR-REFERENCES", "", problem, "Give (k, n), the k-th of n parts, with 1 <= k <= n.")


def _word_faults(given: Settings) -> Iterator[Fault]:
    lists = {"baselines": given.baselines, "measures": given.measures, "controls": given.controls}
    for name, value in lists.items():
        if not _is_list(value) and not (name == "baselines" and isinstance(value, bool)):
            yield Fault("SCR-SETTING", "", f"{name} is of type {type(value).__name__}.", "Give a list of names.")
    if given.device is not None and not (isinstance(given.device, str) and WRITTEN.fullmatch(given.device)):
        remedy = "Write auto, cpu, cuda, cuda:1 or mps, or leave it out to compute where the model is."
        yield Fault("SCR-DEVICE", "", f"device={given.device!r} was asked for.", remedy)
    if given.dtype is not None and given.dtype not in PRECISIONS:
        remedy = f"Write {', '.join(PRECISIONS)}, or leave it out."
        yield Fault("SCR-DTYPE", "", f"dtype={given.dtype!r} was asked for.", remedy)
    if not isinstance(given.tf32, bool):
        yield Fault("SCR-SETTING", "", f"tf32={given.tf32!r} was asked for.", "Write True or False.")
    if not isinstance(given.store, bool):
        problem = f"store is of type {type(given.store).__name__}."
        yield Fault("SCR-SETTING", "", problem, "Write store=True or store=False.")
    if given.task is not None and not can_be_written(given.task):
        yield Fault("SCR-SETTING", "", f"the task is called {given.task!r}.", "Give its name, as text.")
    if given.spill is not None and not isinstance(given.spill, (str, Path)):
        problem = f"spill is of type {type(given.spill).__name__}."
        yield Fault("SCR-SETTING", "", problem, "Give the path of a folder.")


def _is_list(value: object) -> bool:
    return isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes, range))


def _is_one_of(value: object, known: Iterable[str]) -> bool:
    return isinstance(value, str) and value in known


def _feature_faults(given: Settings) -> Iterator[Fault]:
    features = [("clusters", given.clusters)] if given.clusters is not None else []
    for what, one, named in (("strata", "stratum", given.strata), ("slices", "slice", given.slices)):
        if isinstance(named, Mapping):
            features += [(f"{one} {name!r}", feature) for name, feature in named.items()]
            for name in named:
                if not can_be_written(name):
                    yield Fault("SCR-NAME", "", f"a {one} is called {name!r}.", "Give it a name, as text.")
        else:
            yield _not_a_mapping(what, named)
    for where, feature in features:
        try:
            per = as_feature(feature).per
        except ScrubbingError as error:
            yield from (dataclasses.replace(fault, where=fault.where or where) for fault in error.faults)
            continue
        if per == "position" and not where.startswith("slice"):
            problem = f"feature {feature} has a value per position, and a loss is of a whole input."
            remedy = "Break losses down by a feature with one value per input."
            yield Fault("SCR-FEATURE", where, problem, remedy)


def _baseline_faults(given: Settings) -> Iterator[Fault]:
    listed = isinstance(given.baselines, bool) or _is_list(given.baselines)
    names, extra = given.baseline_names if listed else (), given.extra_baselines
    for name in names:
        if not _is_one_of(name, baselines):
            remedy = f"There are: {', '.join(baselines)}."
            yield Fault("SCR-BASELINE", "", f"there is no baseline {name!r}.", remedy)
    if not isinstance(extra, Mapping):
        yield _not_a_mapping("extra_baselines", extra)
        return
    for name, one in extra.items():
        if not can_be_written(name):
            yield Fault("SCR-NAME", "", f"a further baseline is called {name!r}.", "Give it a name, as text.")
        elif name in (*baselines, "model", "scrubbed"):
            problem = f"a further baseline is called {name!r}."
            yield Fault("SCR-BASELINE", "", problem, "That name is taken: choose another.")
        if not isinstance(one, Baseline):
            problem = f"it is of type {type(one).__name__}."
            yield Fault("SCR-BASELINE", f"baseline {name!r}", problem, "Write Baseline(meaning, ...).")
    known = {**{name: baselines[name] for name in names if isinstance(name, str) and name in baselines}, **extra}
    zero = known.get(given.zero_baseline) if isinstance(given.zero_baseline, str) else None
    if isinstance(zero, Baseline) and not zero.scale:
        problem = f"no fraction is taken of zero_baseline={given.zero_baseline!r}, whose loss is only shown."
        yield Fault("SCR-BASELINE", "", problem, "Choose another, such as null or constant.")
    if not _is_one_of(given.zero_baseline, (*names, *extra)):
        problem = f"zero_baseline={given.zero_baseline!r} is not among the baselines to compute."
        yield Fault("SCR-BASELINE", "", problem, f"They are: {', '.join(map(str, [*names, *extra])) or 'none'}.")


def _perturbation_faults(given: Sequence[Perturb]) -> Iterator[Fault]:
    if not _is_list(given):
        yield Fault("SCR-SETTING", "", f"perturbations is of type {type(given).__name__}.", "Give a list.")
        return
    seen: set[str] = set()
    for one in given:
        if not isinstance(one, Perturb):
            problem = f"perturbations= was given something of type {type(one).__name__}."
            yield Fault("SCR-PERTURB", "", problem, 'Write Perturb("what is changed", function).')
        elif not can_be_written(one.name):
            yield Fault("SCR-NAME", "", f"a perturbation is called {one.name!r}.", "Give it a name, as text.")
        elif one.name in seen:
            yield Fault("SCR-PERTURB", "", f"two perturbations are called {one.name!r}.", "Rename one.")
        else:
            seen.add(one.name)


def _not_a_mapping(what: str, given: object) -> Fault:
    problem = f"{what} is of type {type(given).__name__}."
    return Fault("SCR-SETTING", "", problem, "Give a mapping, by name.")


def _plugin_faults(what: str, kind: Any, registry: Registry[Any], chosen: Sequence[Any]) -> Iterator[Fault]:
    """Names that are not registered, things of another kind, and two things of one name."""
    for one in chosen if _is_list(chosen) else ():
        if isinstance(one, str):
            if one not in registry and not (registry is controls and one == ALL):
                remedy = f"There are: {', '.join(registry)}."
                yield Fault(registry.code, "", f"there is no {registry.kind} {one!r}.", remedy)
        elif not isinstance(one, kind):
            problem = f"{what}= was given something of type {type(one).__name__}, which is no {registry.kind}."
            yield Fault(registry.code, "", problem, f"Give the name of one, or something that is a `{kind.__name__}`.")


def _whole(value: object, least: int) -> bool:
    return is_whole(value) and int(value) >= least
