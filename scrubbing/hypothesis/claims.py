"""The correspondence: claims that a variable is carried by certain paths of the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scrubbing.errors import IllegalHypothesis, UsageError, fail
from scrubbing.graph.nodes import EMBED as EMBED_NODE
from scrubbing.graph.nodes import LOGITS, Node, head_node, mlp_node
from scrubbing.graph.nodes import MASK as MASK_NODE
from scrubbing.graph.nodes import POS as POS_NODE
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.variables import Variable
from scrubbing.parts import Part
from scrubbing.printable import can_be_written
from scrubbing.routes import AnyPath, Direct, Route, Via
from scrubbing.samplers import Sampler, Unclaimed
from scrubbing.storable import named

if TYPE_CHECKING:
    from scrubbing.graph.positions import PositionsLike

WHOLE_INPUT = ("whole input",)
"""What `reads()` claims when it names no slot: every slot but the padding mask."""


@named("target")
@dataclass(frozen=True)
class Target:
    """The place in the model that a claim is about: a node reached by certain paths, or what that node reads.

    An immutable value; every method returns a changed copy.
    """

    node: Node | None
    """The node; None for the parent claim's own node."""
    route: Route | None = None
    into_slots: tuple[str, ...] = ()
    """Slots of the parent claim's node through which the paths enter; empty for any slot."""
    read_slots: tuple[str, ...] = ()
    """Slots of `node` whose input is claimed, instead of the node's output."""
    positions: Positions | None = None
    each_position: bool = False
    only: Part | None = None

    def __post_init__(self) -> None:
        if self.route is not None and not isinstance(self.route, Route):
            problem = f"a route was expected, and this is of type {type(self.route).__name__}."
            fail(UsageError, "SCR-ROUTE", problem, "Write .direct(), .any_path(), .via(...), or .by(a Route).")
        if self.positions is not None and not isinstance(self.positions, Positions):
            problem = f"positions were expected, and this is of type {type(self.positions).__name__}."
            fail(UsageError, "SCR-POSITION", problem, "Write .at(...), with an index, indices, a slice or a function.")
        if self.only is not None and not isinstance(self.only, Part):
            problem = f"a part was expected, and this is of type {type(self.only).__name__}."
            fail(UsageError, "SCR-PART", problem, "Write project(v), neurons([...]), function(f) or activation(f).")
        if wrong := [slot for slot in (*self.into_slots, *self.read_slots) if not isinstance(slot, str)]:
            problem = f"{wrong[0]!r} is not the name of a slot."
            remedy = 'Slots are called "q", "k", "v", "x" or "mask"; positions go into reads(at=...).'
            fail(UsageError, "SCR-SLOT", problem, remedy)

    def direct(self) -> Target:
        """Restrict to the direct path: through the residual stream only, with no other component in between."""
        return replace(self, route=Direct())

    def any_path(self, avoid: Target | Node | str | Iterable[Target | Node | str] = ()) -> Target:
        """Include every path that passes only through components outside `avoid`.

        The components in between are recomputed on the mixture of claimed and unclaimed inputs.

        Raises:
            IllegalHypothesis: SCR-NODE, a member of `avoid` is not a component.
        """
        several = isinstance(avoid, Iterable) and not isinstance(avoid, str) and getattr(avoid, "ndim", 1)
        targets: Any = avoid if several else (avoid,)
        return replace(self, route=AnyPath(frozenset(_node(target) for target in targets)))

    def via(self, *through: Target | Node | str) -> Target:
        """Restrict to the path through exactly these components, the one nearest to the parent claim's node first.

        Raises:
            IllegalHypothesis: SCR-ROUTE, no component is named; SCR-NODE, one is not a component.
        """
        if not through:
            remedy = "Name the components in between, or use .direct() if there are none."
            fail(IllegalHypothesis, "SCR-ROUTE", "via() names no component to go through.", remedy, str(self))
        return replace(self, route=Via(tuple(_node(target) for target in through)))

    def by(self, route: Route) -> Target:
        """Restrict to the paths of a route: one of `scrubbing.routes`, or an instance of your own subclass of `Route`.

        Raises:
            UsageError: SCR-ROUTE, the argument is not a route.
        """
        return replace(self, route=route)

    def into(self, *slots: str) -> Target:
        """Restrict to paths that enter the parent claim's node through these slots (`q`, `k`, `v`).

        Raises:
            UsageError: SCR-SLOT, a slot is not a name.
        """
        return replace(self, into_slots=slots)

    def reads(self, *slots: str, at: PositionsLike | None = None, each: bool = False) -> Target:
        """Claim what the node reads at these slots, instead of what it writes. By default all slots but the mask.

        Args:
            slots: names among `q`, `k`, `v`, `x` and `mask`; `q`, `k` and `mask` together are the attention pattern.
            at: only these positions of the input.
            each: whether every position draws its own input, which agrees on the feature at that position.

        Raises:
            UsageError: SCR-SLOT, a slot is not a name; SCR-POSITION, `at` does not name positions.
        """
        target = replace(self, read_slots=slots or WHOLE_INPUT, each_position=each)
        return target if at is None else target.at(at)

    def claims_slot(self, slot: str) -> bool:
        """Whether this target claims what the node reads at a slot, rather than the node's output."""
        return slot in self.read_slots or (self.read_slots == WHOLE_INPUT and slot != "mask")

    def at(self, positions: PositionsLike) -> Target:
        """Restrict to these positions: an index, a list of indices, a slice, `"last"`, or a function dataset -> bool
        `[n, positions]`.
        """
        return replace(self, positions=Positions.of(positions))

    def each(self) -> Target:
        """Let every position draw its own input, which agrees on the feature at that position."""
        return replace(self, each_position=True)

    def part(self, part: Part) -> Target:
        """Restrict to a part of the node's output; the remainder stays unclaimed.

        Raises:
            UsageError: SCR-PART, the argument is not a part.
        """
        return replace(self, only=part)

    def __or__(self, other: Target | Bundle) -> Bundle:
        return Bundle((self,)) | other

    def carries(
        self,
        variable: Variable,
        *children: Claim,
        sampler: Sampler | None = None,
        unclaimed: Sampler | Unclaimed | None = None,
        group: str | None = None,
        exclude_self: bool = False,
        freeze_norm: bool = False,
    ) -> Claim:
        """Claim that this carries `variable`, and nothing else that matters.

        Args:
            variable: two inputs that agree on it may be exchanged here.
            children: claims on what the node itself reads; none means the node is evaluated wholly on its own input.
            sampler: how the resampled input is found; the default agrees on the variable's feature.
            unclaimed: how inputs are drawn for what flows in along paths that no child accounts for; the default is
                the rule of the hypothesis.
            group: claims of the same group that hold the same input share one draw.
            exclude_self: never draw the held input itself.
            freeze_norm: keep the norm scale of the claim's own input instead of recomputing it on the mixture.

        Raises:
            UsageError: SCR-VARIABLE, SCR-CLAIM, SCR-SAMPLER or SCR-GROUP, something else was given than these.
        """
        return Bundle((self,)).carries(
            variable,
            *children,
            sampler=sampler,
            unclaimed=unclaimed,
            group=group,
            exclude_self=exclude_self,
            freeze_norm=freeze_norm,
        )

    def __str__(self) -> str:
        name = "its" if self.node is None else str(self.node)
        if self.read_slots == WHOLE_INPUT:
            name += " input"
        elif self.read_slots:
            name += " " + "/".join(self.read_slots)
        elif self.node is None:
            name += " output"
        words = [name]
        if self.only is not None:
            words.append(f"part {self.only}")
        if self.positions is not None:
            words.append(f"at {self.positions}")
        if self.each_position:
            words.append("at each position")
        if self.route is not None:
            words.append(str(self.route))
        if self.into_slots:
            words.append(f"into {'/'.join(self.into_slots)}")
        return " ".join(words)


@dataclass(frozen=True)
class Bundle:
    """Several targets carrying one variable together, on one draw."""

    targets: tuple[Target, ...]

    def __or__(self, other: Target | Bundle) -> Bundle:
        return Bundle(self.targets + (other.targets if isinstance(other, Bundle) else (other,)))

    def carries(
        self,
        variable: Variable,
        *children: Claim,
        sampler: Sampler | None = None,
        unclaimed: Sampler | Unclaimed | None = None,
        group: str | None = None,
        exclude_self: bool = False,
        freeze_norm: bool = False,
    ) -> Claim:
        """Claim that these targets together carry `variable`; arguments as for `Target.carries`."""
        return Claim(
            self.targets,
            variable,
            children,
            sampler,
            Unclaimed.of(unclaimed),
            group,
            exclude_self,
            freeze_norm,
        )


@named("claim")
@dataclass(frozen=True)
class Claim:
    """A variable, the targets that carry it, and claims on what these read."""

    targets: tuple[Target, ...]
    variable: Variable
    children: tuple[Claim, ...] = ()
    sampler: Sampler | None = None
    unclaimed: Unclaimed | None = None
    """How inputs are drawn for what this claim leaves unclaimed; None for the rule of the hypothesis."""
    group: str | None = None
    exclude_self: bool = False
    freeze_norm: bool = False

    def __post_init__(self) -> None:
        for target in self.targets or (None,):
            if not isinstance(target, Target):
                remedy = "Write (head(1, 0).direct() | mlp(1).direct()).carries(variable)."
                problem = f"what carries a variable is of type {type(target).__name__}, not a node with its paths."
                fail(UsageError, "SCR-CLAIM", problem, remedy)
        where = self.what
        if not isinstance(self.variable, Variable):
            problem = f"what it carries is of type {type(self.variable).__name__}, not a variable."
            fail(UsageError, "SCR-VARIABLE", problem, 'Wrap a feature: Variable("name", feature).', where)
        for child in self.children:
            if not isinstance(child, Claim):
                problem = f"one of the claims below it is of type {type(child).__name__}, not a claim."
                remedy = "Finish each with .carries(variable), and unpack lists of claims with *."
                fail(UsageError, "SCR-CLAIM", problem, remedy, where)
        if self.sampler is not None and not isinstance(self.sampler, Sampler):
            problem = f"its sampler is of type {type(self.sampler).__name__}."
            remedy = "Use uniform, exact, agree(feature), fixed(id) or generated(function)."
            fail(UsageError, "SCR-SAMPLER", problem, remedy, where)
        if self.group is not None and not can_be_written(self.group):
            problem = f"its group is {self.group!r}."
            fail(UsageError, "SCR-GROUP", problem, "Give the group a name, as text.", where)
        for name in ("exclude_self", "freeze_norm"):
            if not isinstance(given := getattr(self, name), (bool, np.bool_)):
                problem = f"{name} is of type {type(given).__name__}."
                fail(UsageError, "SCR-CLAIM", problem, f"Write {name}=True or {name}=False.", where)

    @property
    def what(self) -> str:
        """Targets in words: what carries the variable."""
        return " | ".join(map(str, self.targets))

    @property
    def label(self) -> str:
        """Targets and variable in words; part of the claim's path in reports."""
        return f"{self.what}: {self.variable}"

    @property
    def each(self) -> bool:
        """Whether every position draws its own input."""
        return any(target.each_position for target in self.targets)

    def paths(self, path: str) -> Iterator[tuple[str, Claim]]:
        """The child claims, each with its path in words, which is numbered where two would read alike."""
        seen: dict[str, int] = {}
        for child in self.children:
            seen[child.label] = count = seen.get(child.label, 0) + 1
            yield f"{path} / {child.label}" + (f" #{count}" if count > 1 else ""), child

    def walk(self) -> Iterator[Claim]:
        """Iterate over this claim and all claims below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


def head(layer: int, index: int) -> Target:
    """Target attention head `index` of layer `layer`, both counted from 0."""
    return Target(head_node(layer, index))


def mlp(layer: int) -> Target:
    """Target the MLP of layer `layer`, counted from 0."""
    return Target(mlp_node(layer))


def node(name: str) -> Target:
    """Target a node by its name, such as `a1.h0` or `m0`."""
    return Target(Node.parse(name))


def reads(*slots: str, at: PositionsLike | None = None, each: bool = False) -> Target:
    """Target what the parent claim's own node reads at these slots; see `Target.reads`."""
    return Target(None).reads(*slots, at=at, each=each)


def part(part: Part) -> Target:
    """Target a part of the output of the parent claim's own node; the remainder is unclaimed under that claim."""
    return Target(None).part(part)


OUTPUT = Target(LOGITS)
"""Target of the model's output; the root claim of every hypothesis is about it."""
EMBED = Target(EMBED_NODE)
"""Target of the token embeddings."""
POS = Target(POS_NODE)
"""Target of the learned position embeddings."""
MASK = Target(MASK_NODE)
"""Target of the padding mask."""


def _node(written: Target | Node | str) -> Node:
    if isinstance(written, str):
        return Node.parse(written)
    if isinstance(written, Node):
        return written
    if not isinstance(written, Target) or written.node is None:
        shown = str(written) if isinstance(written, Target) else repr(written)
        problem = f"{shown!r} is not a component of the model."
        fail(IllegalHypothesis, "SCR-NODE", problem, 'Name one: head(1, 0), mlp(2), or "a1.h0".')
    return written.node
