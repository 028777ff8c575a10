"""Contexts: which input each claim, and what it leaves unclaimed, holds. A small DAG of draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from scrubbing.data.features import Feature, anything
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.streams import ROOT, Streams
from scrubbing.hypothesis.treeify import PlacedClaim, Tree
from scrubbing.samplers import Agree, Sampler, uniform

Ablation = Literal["mean", "zero", "noise"]


@dataclass(frozen=True, eq=False)
class Context:
    """The inputs that one claim holds, one per row; a row is a reference input and a draw (and, inside a claim that
    draws per position, a position).

    Compared by identity: whoever builds contexts makes one object per meaning.
    """

    path: str
    """The claim whose inputs these are, in words."""
    stream: str
    """Name of the random stream, which no words are part of."""
    parent: Context | None
    """The context whose inputs the new ones must agree with; None for the reference."""
    sampler: Sampler | None = None
    feature: Feature | None = None
    """What must agree."""
    exclude_self: bool = False
    """Never draw the input that is held."""
    position: int | None = None
    """The position at which a per-position feature is compared, if not the row's own position."""
    space: int = 0
    """Placed claim whose rows it has: 0, with one row per reference and draw, or a claim that draws per position."""
    ablation: Ablation | None = None
    """The activation is replaced by a statistic instead of by another input's."""
    region: int | None = None
    """The claim it belongs to; None for unclaimed draws, which reports do not count."""
    shared: bool = False
    """Whether rows that hold the same value draw the same input, whatever their reference."""

    def __repr__(self) -> str:
        return f"<{self.path}>" if self.ablation is None else f"<{self.ablation}>"


REFERENCE = Context("reference", ROOT, None)
"""Every row holds its own reference input."""


class Member(NamedTuple):
    """One target of a claim, or one slot of those that it reads, or through which it enters the claim above."""

    parent: int
    """Region of the claim above."""
    target: int
    """Which of that region's `Tree.targets`."""
    slot: str | None = None
    """None for the whole target."""


@dataclass(frozen=True)
class Mode:
    """How contexts hold inputs: as in the scrub itself, or as in one of the baselines that reuse the hypothesis."""

    output: Literal["reference", "another"] = "reference"
    """`another`: the whole output comes from an unrelated input, whatever is claimed."""
    claimed: Literal["sample", "exact", "mean"] = "sample"
    """`exact`: claims keep the reference. `mean`: the claims directly under the root are ablated instead."""
    unclaimed: Literal["sample", "exact", "mean", "zero", "noise"] = "sample"
    alone: int | None = None
    """The only region that is exchanged, to measure its cost; all others keep the input of the claim above them."""
    apart: bool = False
    """Whether every unclaimed producing node draws an input of its own, whatever the hypothesis says."""
    samplers: tuple[tuple[int, Sampler], ...] = ()
    """Samplers in place of a claim's own, by region. Random streams stay, so that all else is drawn as before."""
    freed: frozenset[Member] = frozenset()
    """Members of claims that hold an unrelated input of their own, as if they were claimed to carry nothing."""
    together: bool = False
    """Whether freed members hold one unrelated input between them: the one that the null's output comes from."""
    kept: frozenset[int] = frozenset()
    """Regions that keep the input of the claim above them."""
    shared: bool = False
    """Whether all references that hold the same value of what is claimed draw the same input in a draw, so that each
    draw number is one assignment of inputs to values."""

    @property
    def draws_anything(self) -> bool:
        """Whether draws differ from each other; otherwise a single draw is enough."""
        return (
            bool(self.freed)
            or self.output == "another"
            or self.claimed == "sample"
            or self.unclaimed in ("sample", "noise")
        )


SCRUB = Mode()


class Contexts:
    """The contexts of a treeified hypothesis, each built once.

    Args:
        tree: on the dataset that inputs are drawn from.
        mode: what contexts become.
        beside: those of the same tree in another mode; what is equal in both are the same objects.
    """

    def __init__(self, tree: Tree, mode: Mode = SCRUB, beside: Contexts | None = None) -> None:
        self.tree = tree
        self.mode = mode
        self._built: dict[object, Context] = {}
        self._of: dict[int, Context] = {}
        self._equal: dict[object, Context] = {} if beside is None else beside._equal
        self._names: dict[int, str] = {0: ROOT} if beside is None else beside._names
        self._samplers = dict(mode.samplers)

    @cached_property
    def streams(self) -> Streams:
        """Names of streams on the tree's dataset."""
        assert self.tree.data is not None, "nothing can be drawn without a dataset"
        return Streams(self.tree.data, self.tree.graph.positions)

    def of(self, index: int) -> Context:
        """The context of a region: the input its claim holds."""
        if index not in self._of:
            self._of[index] = self._context(index)
        return self._of[index]

    def _context(self, index: int) -> Context:
        region = self.tree.regions[index]
        if region.parent is None:
            return REFERENCE if self.mode.output == "reference" else self._another()
        above = self.of(region.parent)
        if self.mode.claimed == "exact" or self.mode.alone not in (None, index) or index in self.mode.kept:
            return above
        if self.mode.claimed == "mean":
            ablated = self._once("mean", lambda: Context("mean", ROOT, REFERENCE, ablation="mean"))
            return ablated if region.parent == 0 else above
        sampler = self._samplers.get(index, region.claim.sampler or Agree())
        feature = sampler.compares(region.claim.variable.agrees_on())
        return above if sampler.keeps(feature) else self._draw(region, above, sampler, feature)

    def unclaimed(self, index: int, node: Node | None = None) -> Context:
        """What flows into a region's nodes where nothing is claimed, from `node` if draws are per producing node."""
        held, region = self.of(index), self.tree.regions[index]
        rule, path = region.unclaimed, f"{region.path} / ~unclaimed"
        if self.mode.unclaimed == "exact" or rule.sampler.keeps(rule.feature):
            return held  # an ablation stands in for what would be resampled, and this would not
        if self.mode.unclaimed != "sample":
            ablation: Ablation = self.mode.unclaimed
            return self._once(
                ("ablated", index),
                lambda: Context(path, self._name(index), held, space=held.space, ablation=ablation),
            )
        node = node if rule.separately or self.mode.apart else None
        return self._once(
            ("unclaimed", index, node),
            lambda: Context(
                path if node is None else f"{path} {node}",
                self.streams.unclaimed(rule, self._name(index), node),
                held,
                rule.sampler,
                rule.feature,
                space=self._space(index),
            ),
        )

    def freed(self, parent: int, target: int, slot: str | None = None) -> Context | None:
        """The unrelated input that a member of a claim holds in this mode; None where it is not freed."""
        member = next((one for one in ((parent, target, None), (parent, target, slot)) if one in self.mode.freed), None)
        if member is None:
            return None
        if self.mode.together:
            return self._another()
        children = [child for child, *_ in self.tree.targets(parent)]
        child, node = children[target], self.tree.targets(parent)[target][2]
        name = f"{self._name(child)} freed {target - children.index(child)} {member[2]}"
        return self._once(
            ("freed", member),
            lambda: Context(
                f"{self.tree.regions[child].path} / ~{node}",
                name,
                self.of(parent),
                uniform,
                anything,
                space=self._space(parent),
            ),
        )

    def is_leaf(self, index: int) -> bool:
        """Whether the claim's node is evaluated wholly on its own input."""
        parent = self.tree.regions[index].parent
        if (self.mode.claimed == "mean" and parent == 0) or (self.mode.output == "another" and parent is None):
            return True
        return not self.tree.regions[index].children

    def _another(self) -> Context:
        return self._once("another", lambda: Context("another", "another", REFERENCE, uniform, anything))

    def _draw(self, region: PlacedClaim, above: Context, sampler: Sampler, feature: Feature) -> Context:
        claim, path, identity = region.claim, region.path, ("region", region.index)
        if claim.group is not None:
            # One stream per group: claims that hold the same input then draw the same one. A uniform draw holds none.
            anyones = sampler.ignores_held(feature) and not claim.exclude_self
            path, held = f"group {claim.group}", None if anyones else above
            identity = ("group", claim.group, sampler, feature, claim.exclude_self, held)
        position = None
        if feature.per == "position" and not self.tree.within_each(region.index):
            position = self.tree.at_one_position(region.index)
        return self._once(
            identity,
            lambda: Context(
                path,
                self.streams.drawn(claim, self._name(region.index)),
                above,
                sampler,
                feature,
                claim.exclude_self,
                position,
                self._space(region.index),
                region=region.index,
            ),
        )

    def _name(self, index: int) -> str:
        """The name of a region's stream, as long as it is in no group."""
        if index not in self._names:
            parent = self.tree.regions[index].parent
            assert parent is not None
            above = self.tree.regions[parent]
            self._names |= zip(above.children, self.streams.below(above.claim, self._name(parent)), strict=True)
        return self._names[index]

    def _space(self, index: int) -> int:
        region = self.tree.regions[index]
        if region.parent is None:
            return 0
        return index if region.claim.each else self._space(region.parent)

    def _once(self, key: object, build: Callable[[], Context]) -> Context:
        if key not in self._built:
            made = replace(build(), shared=self.mode.shared)
            self._built[key] = self._equal.setdefault(tuple(vars(made).values()), made)
        return self._built[key]
