"""Everything wrong with settings that can be seen without a model and data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from scrubbing.data.features import as_feature
from scrubbing.device import PRECISIONS, WRITTEN
from scrubbing.errors import Fault, ScrubbingError
from scrubbing.experiment.baselines import Baseline, baselines
from scrubbing.experiment.controls import ALL, controls
from scrubbing.experiment.executors import Executor, executors
from scrubbing.experiment.perturb import Perturb
from scrubbing.experiment.trial import Control
from scrubbing.guards import is_whole
from scrubbing.metrics.equivalent import Series
from scrubbing.metrics.measures import Measure, measures
from scrubbing.printable import can_be_written
from scrubbing.registry import Registry
from scrubbing.sampling.contexts import Ablation

if TYPE_CHECKING:
    from scrubbing.experiment.settings import Settings


def faults(given: Settings) -> Iterator[Fault]:
    """Of each of its parts."""
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
    if not isinstance(given.verdict, bool) and given.verdict != "word":
        yield Fault("SCR-SETTING", "", f"verdict={given.verdict!r} was asked for.", "Write True, False or 'word'.")
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
