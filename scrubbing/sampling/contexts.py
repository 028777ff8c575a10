"""Contexts: which input each claim, and what it leaves unclaimed, holds. A small DAG of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from scrubbing.data.features import Feature
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.samplers import Sampler, uniform
from scrubbing.hypothesis.treeify import Region, Tree

Ablation = Literal["mean", "zero", "noise"]


@dataclass(frozen=True, eq=False)
class Context:
    """The inputs that one claim holds, one per row; a row is a reference input and a draw (and, inside a claim that
    draws per position, a position).

    Compared by identity: whoever builds contexts makes one object per meaning.
    """

    key: str
    """Name of the random stream; the claim's path."""
    parent: Context | None
    """The context whose inputs the new ones must agree with; None for the reference."""
    sampler: Sampler | None = None
    feature: Feature | None = None
    """What must agree."""
    position: int | None = None
    """Where a per-position feature is compared, if not at the row's own position."""
    space: int = 0
    """Region whose rows it has: 0 for one row per reference and draw, else a region that draws per position."""
    ablation: Ablation | None = None
    """The activation is replaced by a statistic instead of by another input's."""
    region: int | None = None
    """The claim it belongs to; None for unclaimed draws, which reports do not count."""

    def __repr__(self) -> str:
        return f"<{self.key}>" if self.ablation is None else f"<{self.ablation}>"


REFERENCE = Context("reference", None)
"""Every row holds its own reference input."""


@dataclass(frozen=True)
class Mode:
    """What contexts become: the scrub itself, or one of the baselines that reuse the hypothesis."""

    output: Literal["reference", "another"] = "reference"
    """`another`: the whole output comes from an unrelated input, whatever is claimed."""
    claimed: Literal["sample", "exact", "mean"] = "sample"
    """`exact`: claims keep the reference. `mean`: the claims directly under the root are ablated instead."""
    unclaimed: Literal["sample", "exact", "mean", "zero", "noise"] = "sample"
    alone: int | None = None
    """The only region that is exchanged, to see what that costs; all others keep the input of the claim above them."""

    @property
    def draws_anything(self) -> bool:
        """Whether draws differ; else one is all of them."""
        return self.output == "another" or self.claimed == "sample" or self.unclaimed in ("sample", "noise")


SCRUB = Mode()


class Contexts:
    """The contexts of a treeified hypothesis, each built once."""

    def __init__(self, tree: Tree, mode: Mode = SCRUB) -> None:
        self.tree = tree
        self.mode = mode
        self._built: dict[object, Context] = {}

    def of(self, index: int) -> Context:
        """The context of a region: the input its claim holds."""
        region = self.tree.regions[index]
        if region.parent is None:
            return REFERENCE if self.mode.output == "reference" else self._another()
        above = self.of(region.parent)
        if self.mode.claimed == "exact" or self.mode.alone not in (None, index):
            return above
        if self.mode.claimed == "mean":
            ablated = self._once("mean", lambda: Context("mean", REFERENCE, ablation="mean"))
            return ablated if region.parent == 0 else above
        claim = region.claim
        sampler = claim.sampler or Sampler("agree")
        feature = sampler.feature or claim.variable.agrees_on()
        if sampler.kind == "exact" or (sampler.kind == "agree" and feature.op == "identity"):
            return above
        return self._draw(region, above, sampler, feature)

    def unclaimed(self, index: int, node: Node | None = None) -> Context:
        """What flows into a region's nodes where nothing is claimed, from `node` if draws are per producing node."""
        held = self.of(index)
        spec = self.tree.regions[index].claim.unclaimed
        if self.mode.unclaimed == "exact" or spec.sampler.kind == "exact":
            return held  # an ablation stands in for what would be resampled, and this would not
        if self.mode.unclaimed in ("mean", "zero", "noise"):
            key = f"{self.tree.regions[index].path} / ~{self.mode.unclaimed}"
            ablation: Ablation = self.mode.unclaimed  # pyright: ignore[reportAssignmentType]
            return self._once(key, lambda: Context(key, held, space=held.space, ablation=ablation))
        key = f"{self.tree.regions[index].path} / ~unclaimed"
        if spec.separately and node is not None:
            key += f" {node}"
        space = self._space(index)
        return self._once(key, lambda: Context(key, held, spec.sampler, spec.sampler.feature, space=space))

    def is_leaf(self, index: int) -> bool:
        """Whether the claim's node is evaluated wholly on its own input."""
        parent = self.tree.regions[index].parent
        if (self.mode.claimed == "mean" and parent == 0) or (self.mode.output == "another" and parent is None):
            return True
        return not self.tree.regions[index].children

    def _another(self) -> Context:
        return self._once("another", lambda: Context("another", REFERENCE, uniform, uniform.feature))

    def _draw(self, region: Region, above: Context, sampler: Sampler, feature: Feature) -> Context:
        claim = region.claim
        if claim.exclude_self:
            sampler = replace(sampler, exclude_self=True)
        key, identity = region.path, ("region", region.index)
        if claim.group is not None:
            # One stream per group: claims that hold the same input then draw the same one. A uniform draw holds none.
            held = None if feature.op == "constant" else above
            key, identity = f"group {claim.group}", ("group", claim.group, sampler, feature, held)
        position = None
        if feature.per == "position" and not self.tree.within_each(region.index):
            position = self.tree.at_one_position(region.index)
        space = self._space(region.index)
        return self._once(identity, lambda: Context(key, above, sampler, feature, position, space, region=region.index))

    def _space(self, index: int) -> int:
        region = self.tree.regions[index]
        if region.parent is None:
            return 0
        return index if region.claim.each else self._space(region.parent)

    def _once(self, key: object, build: Callable[[], Context]) -> Context:
        if key not in self._built:
            self._built[key] = build()
        return self._built[key]
