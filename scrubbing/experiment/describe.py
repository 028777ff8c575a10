"""What a compiled hypothesis says, for the record: variables, claims with a sample each, model nodes, size, draws."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from scrubbing.data.agreement import digest_of, groups
from scrubbing.data.dataset import Dataset
from scrubbing.engine.engine import Compiled
from scrubbing.hypothesis.printing import describe, sample_text
from scrubbing.models.protocol import Model
from scrubbing.records.schema import Branch, ClaimCounts, ModelNode, Provenance, Size, VariableNode
from scrubbing.sampling.contexts import REFERENCE, Context
from scrubbing.sampling.frames import DrawCounts, sample_tree


def claim_counts(compiled: Compiled, counts: Mapping[Context, DrawCounts]) -> list[ClaimCounts]:
    """What was drawn, by claim."""
    found: list[ClaimCounts] = []
    for context, count in sorted(counts.items(), key=lambda item: item[0].region or 0):
        assert context.region is not None and context.feature is not None
        region = compiled.tree.regions[context.region]
        agreed = np.concatenate(count.agreed) if count.agreed else np.zeros(0)
        found.append(
            ClaimCounts(
                path=region.path,
                what=" | ".join(map(str, region.claim.targets)),
                variable=region.claim.variable.name,
                feature=context.feature.name,
                bits=groups(context.feature, compiled.data).entropy,
                draws=count.total,
                agreed_min=int(agreed.min()) if len(agreed) else None,
                agreed_median=float(np.median(agreed)) if len(agreed) else None,
                self_share=count.returned_self / count.total if count.total else 0.0,
                near_ties=context.feature.near_ties(compiled.data),
            )
        )
    return found


def drawing_contexts(compiled: Compiled) -> dict[str, Context]:
    """The contexts whose draws are counted, by the name of their stream."""
    found = (compiled.contexts.of(region.index) for region in compiled.tree.regions)
    return {context.key: context for context in found if context.region is not None}


def samples(compiled: Compiled, row: int, seed: int) -> dict[str, int]:
    """For one reference, the dataset row that each claim holds, and what it leaves unclaimed."""
    contexts: dict[str, Context] = {}
    for region in compiled.tree.regions:
        contexts[region.path] = compiled.contexts.of(region.index)
        if region.children and not region.claim.unclaimed.separately:
            contexts[f"{region.path} / ~unclaimed"] = compiled.contexts.unclaimed(region.index)
    return sample_tree(contexts, compiled.data, row, seed, real=compiled.real)


def tree_text(compiled: Compiled, rows: Mapping[str, int]) -> str:
    """The claims as text, with their samples."""
    return sample_text(compiled.hypothesis, compiled.data, rows)


def variables(compiled: Compiled) -> list[VariableNode]:
    """The interpretation."""
    interpretation = compiled.hypothesis.interpretation
    return [
        VariableNode(
            name=variable.name,
            feature=variable.agrees_on().name,
            parents=[parent for parent, child in interpretation.edges if child == variable.name],
            digest=digest_of(variable.agrees_on(), compiled.data),
        )
        for variable in interpretation.variables
    ]


def branches(compiled: Compiled, rows: Mapping[str, int]) -> list[Branch]:
    """The claims, each with its sample."""
    data, found = compiled.data, []
    for region in compiled.tree.regions:
        held, unclaimed = rows.get(region.path), rows.get(f"{region.path} / ~unclaimed")
        feature = region.claim.variable.agrees_on()
        found.append(
            Branch(
                path=region.path,
                depth=_depth(compiled, region.index),
                what=" | ".join(map(str, region.claim.targets)) or region.claim.label,
                variable=region.claim.variable.name,
                line=describe(region.claim),
                sample=None if held is None else data.show(held),
                value=None if held is None or feature.per != "input" else str(feature.value_at(data, held)),
                unclaimed=None if unclaimed is None else data.show(unclaimed),
            )
        )
    return sorted(found, key=lambda branch: _walk(compiled).index(branch.path))


def nodes(compiled: Compiled) -> list[ModelNode]:
    """Every node of the model, and what the hypothesis makes of it."""
    tree, graph = compiled.tree, compiled.tree.graph
    claimed, behind = set(), set()
    for region in tree.regions:
        if _is_nothing(compiled, region.index):
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


def size(compiled: Compiled, of_nodes: list[ModelNode]) -> Size:
    """How much of model and input is kept."""
    of_bits = float(np.log2(len(compiled.data)))
    features = {}
    for region in compiled.tree.regions[1:]:
        context = compiled.contexts.of(region.index)
        if not region.children and context is REFERENCE:
            return _sized(compiled, of_nodes, of_bits, of_bits)  # it keeps its input whole
        if context.feature is not None:
            features[context.feature] = None
    positions = compiled.tree.graph.positions
    bits = sum(groups(f, compiled.data).entropy * (positions if f.per == "position" else 1) for f in features)
    if len(compiled.tree.regions) == 1:
        bits = of_bits
    return _sized(compiled, of_nodes, min(bits, of_bits), of_bits)


def _sized(compiled: Compiled, of_nodes: list[ModelNode], bits: float, of_bits: float) -> Size:
    claimed = sum(node.state == "claimed" for node in of_nodes)
    return Size(
        claims=len(compiled.tree.regions) - 1, nodes=claimed, of_nodes=len(of_nodes), bits=bits, of_bits=of_bits
    )


def exchanges(compiled: Compiled) -> bool:
    """Whether any activation comes from another input than the reference."""
    held = (getattr(value, "context", None) for value in compiled.plan.values())
    return any(isinstance(context, Context) and context is not REFERENCE for context in held)


def provenance(model: Model, data: Dataset, seconds: float, task: str | None) -> Provenance:
    """What ran, on what, where."""
    packages = ("scrubbing", "torch", "numpy", "transformer_lens")
    versions = {name: importlib.metadata.version(name) for name in packages if _installed(name)}
    spec = getattr(model, "spec", None)
    return Provenance(
        model=model.name,
        model_fingerprint=model.fingerprint,
        data=data.name,
        data_fingerprint=data.fingerprint,
        inputs_in_scope=len(data),
        versions={"python": platform.python_version(), **versions},
        seconds=round(seconds, 3),
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        task=task,
        family=type(model).__name__ if spec is None else str(getattr(spec, "family", type(model).__name__)),
        processing="" if spec is None else _told(spec),
        git=_revision(),
    )


def _told(spec: Any) -> str:
    """What its loader found the family to do, where it is not the default."""
    chosen = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name != "family"}
    defaults = {f.name: f.default for f in fields(spec)}
    return ", ".join(f"{name} {value}" for name, value in chosen.items() if value != defaults[name])


def _revision() -> str | None:
    def git(*arguments: str) -> str:
        asked = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
        return asked.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None  # no git, or no repository


def _is_nothing(compiled: Compiled, index: int) -> bool:
    """Whether a claim keeps nothing of its input: a leaf that any input agrees with."""
    context = compiled.contexts.of(index)
    constant = context.feature is not None and context.feature.op == "constant"
    return constant and not compiled.tree.regions[index].children


def _depth(compiled: Compiled, index: int) -> int:
    parent = compiled.tree.regions[index].parent
    return 0 if parent is None else 1 + _depth(compiled, parent)


def _walk(compiled: Compiled) -> list[str]:
    """Paths of the claims as a reader meets them: each claim before those below it."""
    regions, found, pending = compiled.tree.regions, [], [0]
    while pending:
        region = regions[pending.pop()]
        found.append(region.path)
        pending += reversed(region.children)
    return found


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
