"""What a hypothesis says where it was run, for the record: variables, claims with a sample each, nodes, size, draws."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

import numpy as np

from scrubbing.data.agreement import digest_of, groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import counted
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.revision import revision
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.printing import describe, sample_text
from scrubbing.metrics.losses import Loss
from scrubbing.models.content import NoContent, content_hash
from scrubbing.models.protocol import Model
from scrubbing.models.threads import threads_for
from scrubbing.records.schema import Branch, ClaimCounts, ModelNode, Provenance, VariableNode
from scrubbing.sampling.contexts import Context
from scrubbing.sampling.frames import DrawCounts, sample_tree


def claim_counts(job: Job, counts: Mapping[int, DrawCounts]) -> list[ClaimCounts]:
    """What was drawn, by claim."""
    found: list[ClaimCounts] = []
    for index, count in sorted(counts.items()):
        feature, region = job.contexts.of(index).feature, job.tree.regions[index]
        assert feature is not None
        agreed = np.concatenate(count.agreed) if count.agreed else np.zeros(0)
        found.append(
            ClaimCounts(
                path=region.path,
                what=region.claim.what,
                variable=region.claim.variable.name,
                feature=feature.name,
                bits=groups(feature, job.data).entropy,
                draws=count.total,
                agreed_min=int(agreed.min()) if len(agreed) else None,
                agreed_median=float(np.median(agreed)) if len(agreed) else None,
                self_share=count.returned_self / count.total if count.total else 0.0,
                near_ties=feature.near_ties(job.data),
            )
        )
    return found


def samples(job: Job, row: int, seed: int) -> dict[str, int]:
    """For one reference, the dataset row that each claim holds, and what it leaves unclaimed."""
    contexts: dict[str, Context] = {}
    for region in job.tree.regions:
        contexts[region.path] = job.contexts.of(region.index)
        if region.children and not region.unclaimed.separately:
            contexts[f"{region.path} / ~unclaimed"] = job.contexts.unclaimed(region.index)
    return sample_tree(contexts, job.data, row, seed, real=job.subject.real)


def tree_text(job: Job, rows: Mapping[str, int]) -> str:
    """The claims as text, with their samples."""
    return sample_text(job.hypothesis, job.data, rows)


def variables(job: Job) -> list[VariableNode]:
    """The interpretation."""
    interpretation = job.hypothesis.interpretation
    return [
        VariableNode(
            name=variable.name,
            feature=variable.agrees_on().name,
            parents=[parent for parent, child in interpretation.edges if child == variable.name],
            digest=digest_of(variable.agrees_on(), job.data),
            code=_code(variable.agrees_on(), job.data),
        )
        for variable in interpretation.variables
    ]


def _code(feature: Feature, data: Dataset) -> str | None:
    """Hash of a feature's code and all it calls; None where that cannot be read."""

    def hashed() -> str | None:
        try:
            return content_hash(feature)
        except NoContent:
            return None

    return data.remember(("code", feature), hashed)


def settings_of(loss: Loss, data: Dataset) -> str:
    """What a loss is made with, as text: features by their values, the rest as it prints, without its address."""
    made = vars(loss) if hasattr(loss, "__dict__") else {"": loss}
    told = {name: digest_of(one, data) if isinstance(one, Feature) else repr(one) for name, one in made.items()}
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(told))


def identity(loss: Loss, data: Dataset) -> str:
    """Class and settings of a loss, then a hash of its code: a loss of the same name may be another one.

    Ours count by class and settings alone, or every release would make all of them new.
    """
    kind = type(loss)
    settings = hashlib.blake2b(settings_of(loss, data).encode(), digest_size=8).hexdigest()
    if kind.__module__.partition(".")[0] == "scrubbing":
        return f"{kind.__qualname__}:{settings}"
    try:
        return f"{kind.__qualname__}:{settings} {content_hash(loss)}"
    except NoContent:
        return f"{kind.__qualname__}:{settings}"


def branches(job: Job, rows: Mapping[str, int]) -> list[Branch]:
    """The claims, each with its sample."""
    data = job.data
    found: list[Branch] = []
    for region in job.tree.regions:
        held, unclaimed = rows.get(region.path), rows.get(f"{region.path} / ~unclaimed")
        feature = region.claim.variable.agrees_on()
        found.append(
            Branch(
                path=region.path,
                depth=job.tree.depth(region.index),
                what=region.claim.what or region.claim.label,
                variable=region.claim.variable.name,
                line=describe(region.claim, region.unclaimed),
                sample=None if held is None else data.show(held),
                value=None if held is None or feature.per != "input" else str(feature.value_at(data, held)),
                unclaimed=None if unclaimed is None else data.show(unclaimed),
            )
        )
    return sorted(found, key=lambda branch: _walk(job).index(branch.path))


def nodes(job: Job) -> list[ModelNode]:
    """Every node of the model, and what the hypothesis makes of it."""
    tree, graph = job.tree, job.tree.graph
    claimed: set[Node] = set()
    behind: set[Node] = set()
    for region in tree.regions:
        if _is_nothing(job, region.index):
            continue
        claimed |= set(region.nodes)
        if not region.children:
            behind |= set().union(*(graph.upstream[node] for node in region.nodes))
    entries = (entry for cells in tree.cells.values() for cell in cells for entry in cell.entries)
    mixed = {entry.parent for entry in entries if entry.mixed is not None}

    def state(node: Any) -> Any:
        return next(
            (name for name, those in (("claimed", claimed), ("mixed", mixed), ("behind", behind)) if node in those),
            "unclaimed",
        )

    return [ModelNode(name=str(node), layer=node.layer, state=state(node)) for node in graph.slots]


def versions() -> dict[str, str]:
    """Versions of everything that numbers depend on."""
    packages = ("scrubbing", "torch", "numpy", "transformer_lens")
    found = {name: version for name in packages if (version := _version(name)) is not None}
    return {"python": platform.python_version(), **found}


def machine(model: Model) -> str:
    """What decides the last digits of a number beside the versions: platform, instructions that torch uses, threads."""
    import torch

    instructions = torch.backends.cpu.get_cpu_capability()
    threads = counted(threads_for(model), "thread")
    return f"{platform.system()} {platform.machine()}, {instructions}, {threads}"


def provenance(model: Model, data: Dataset, whole: Dataset, seconds: float, task: str | None) -> Provenance:
    """What ran, on what (the inputs in scope, of a whole dataset), where."""
    spec = getattr(model, "spec", None)
    return Provenance(
        model=model.name,
        model_fingerprint=model.fingerprint,
        data=data.name,
        data_fingerprint=data.fingerprint,
        inputs_in_scope=len(data),
        inputs=len(whole),
        versions=versions(),
        machine=machine(model),
        seconds=round(seconds, 3),
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds"),
        task=task,
        family=type(model).__name__ if spec is None else str(getattr(spec, "family", type(model).__name__)),
        processing="" if spec is None else _told(spec),
        preparation=data.preparation,
        git=revision(),
    )


def _told(spec: Any) -> str:
    """What its loader found the family to do, where it is not the default."""
    chosen = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name != "family"}
    defaults = {f.name: f.default for f in fields(spec)}
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if value != defaults[name])


def _is_nothing(job: Job, index: int) -> bool:
    """Whether a claim keeps nothing of its input: a leaf that any input agrees with."""
    context = job.contexts.of(index)
    constant = context.feature is not None and context.feature.op == "constant"
    return constant and not job.tree.regions[index].children


def _walk(job: Job) -> list[str]:
    """Paths of the claims as a reader meets them: each claim before those below it."""
    regions, pending = job.tree.regions, [0]
    found: list[str] = []
    while pending:
        region = regions[pending.pop()]
        found.append(region.path)
        pending += reversed(region.children)
    return found


@cache
def _version(name: str) -> str | None:
    """Of what is installed, which stays what it is while a process runs; finding it takes some milliseconds."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
