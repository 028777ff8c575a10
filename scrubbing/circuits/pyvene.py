"""Configurations of pyvene, which `IntervenableModel.save` writes: places whose value is taken from a source input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import INPUT
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.errors import counted
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, POS, Node, attn_node, mlp_node
from scrubbing.guards import is_dict, is_sequence
from scrubbing.hypothesis.claims import Bundle, Target
from scrubbing.parts import project
from scrubbing.routes import AnyPath

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIELDS = ("layer", "component", "unit", "max_number_of_units", "low_rank_dimension")
_MODULE = re.compile(r"(?:.*\.)?(?:h|layers|blocks)\[?\.?(\d+)\]?(?:\.(mlp|attn|self_attn|attention))?\.(input|output)")
_PARTS = {"mlp": "mlp", "attn": "attention", "self_attn": "attention", "attention": "attention", None: "block"}
_WHOLE = ("VanillaIntervention", "None")
_ROTATED = ("LowRankRotatedSpaceIntervention",)
_UNSAID = (
    "what is claimed of each place: the whole input is what is taken from elsewhere",
    "which positions, heads and coordinates are exchanged, which is said when the tool is called: all are claimed",
    "on which inputs the claim holds: the scope is every input of the dataset",
)


class Pyvene(Format):
    """`config.json` or its folder; a claim for each representation. Rotations are read from the files beside it."""

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.json()
        rows = stored.get("representations") if is_dict(stored) else None
        if not is_sequence(rows) or not rows:
            problems.add('it has no list of "representations".', "Give config.json of IntervenableModel.save.")
            return None
        if options.by_score:
            problems.add("its representations have no scores.", "Leave out top= and threshold=.")
        kinds: Sequence[Any] = stored.get("intervention_types") or ()
        keys: Sequence[Any] = stored.get("sorted_keys") or ()
        found = [self._site(row, i, kinds, keys, source, graph, problems) for i, row in enumerate(rows)]
        sites = [site for site in found if site is not None]
        last = max((layer for layer, _, is_block in sites if is_block), default=-1)
        kept = [bundle for layer, bundle, is_block in sites if layer > last or (is_block and layer == last)]
        kept, partly = _apart(kept)
        unsaid: list[str] = [*_UNSAID]
        if partly:
            names = ", ".join(map(str, sorted(partly)))
            unsaid.append(
                f"that what is exchanged earlier does not reach what is left of {names}, which is assumed here"
            )
        if len(kept) < len(sites):
            unsaid.append(f"that what lies before the exchanged output of layer {last} changes nothing: it is left out")
        told = f"What {source.title} names ({counted(len(kept), 'place')}) carries the input."
        return Reading(told, tuple(bundle.carries(INPUT) for bundle in kept), tuple(unsaid))

    def _site(
        self,
        row: Any,
        number: int,
        kinds: Sequence[Any],
        keys: Sequence[Any],
        source: Source,
        graph: ModelGraph,
        problems: Problems,
    ) -> tuple[int, Bundle, bool] | None:
        """The layer of a representation, its targets, and whether they are all there is of the residual stream."""
        where = f"representations[{number}]"
        fields = row if is_dict(row) else dict(zip(_FIELDS, row, strict=False)) if is_sequence(row) else {}
        layer, name = _place(fields.get("layer"), fields.get("component"))
        kind = str(kinds[number] if number < len(kinds) else None).rpartition(".")[2].strip("'<>")
        targets = _targets(name, layer, graph)
        if targets is None:
            problems.add(f"a claim on {fields.get('component')!r} of layer {layer} cannot be made.", NO_PLACE, where)
            return None
        if kind in _ROTATED:
            found = _rotation(source, str(keys[number]) if number < len(keys) else "", where, problems)
            if found is None:
                return None
            targets = [target.part(project(found.T)) for target in targets]
        elif kind not in _WHOLE:
            remedy = f"These are read: {', '.join(_WHOLE[:1] + _ROTATED)}."
            problems.add(f"{kind} exchanges no value with another input, or not as it is.", remedy, where)
            return None
        return layer, Bundle(tuple(targets)), name.startswith("block")


def _apart(sites: list[Bundle]) -> tuple[list[Bundle], set[Node]]:
    """Places on paths that do not pass through each other, and the nodes of which only a part is one."""
    taken = [{target.node for target in site.targets if target.node is not None} for site in sites]
    apart: list[Bundle] = []
    for i, site in enumerate(sites):
        others = frozenset[Node]().union(*(nodes for j, nodes in enumerate(taken) if j != i))
        apart.append(Bundle(tuple(_off(target, others) for target in site.targets)))
    partly = {target.node for site in sites for target in site.targets if target.only or target.read_slots}
    return apart, {node for node in partly if node is not None and len(sites) > 1}


def _off(target: Target, others: frozenset[Node]) -> Target:
    assert isinstance(target.route, AnyPath)
    return replace(target, route=AnyPath(target.route.avoid | (others - {target.node})))


def _place(layer: Any, component: Any) -> tuple[int, str]:
    """Number of a layer and the component in pyvene's words."""
    if isinstance(component, str) and (found := _MODULE.fullmatch(component)):
        return int(found[1]), f"{_PARTS[found[2]]}_{found[3]}"
    return (layer if isinstance(layer, int) else -1), str(component)


def _targets(name: str, layer: int, graph: ModelGraph) -> list[Target] | None:
    """What holds a component's value, on every path on from there; None where no node does."""
    heads = [node for node in graph.slots if node.kind == "head" and node.layer == layer]
    if not 0 <= layer <= max((node.layer for node in graph.slots), default=-1):
        return None
    if name in ("mlp_output", "mlp_activation", "mlp_input"):
        mlp = Target(mlp_node(layer), AnyPath())
        if mlp.node not in graph.slots:
            return None
        return [mlp.reads("x") if name == "mlp_input" else mlp]
    whole = attn_node(layer)
    if name == "attention_output":
        return [Target(node, AnyPath()) for node in ([whole] if whole in graph.slots else heads)] or None
    if name in ("attention_value_output", "head_attention_value_output"):
        return [Target(head, AnyPath()) for head in heads] or None
    if name == "attention_input":
        return [Target(head, AnyPath()).reads("q", "k", "v") for head in heads] or None
    if name == "attention_weight":
        return [Target(head, AnyPath()).reads(*(s for s in graph.slots[head] if s != "v")) for head in heads] or None
    if (slot := _SLOTS.get(name.removeprefix("head_"))) is not None:
        return [Target(head, AnyPath()).reads(slot) for head in heads] or None
    if name in ("block_output", "block_input"):
        return _stream(layer if name == "block_output" else layer - 1, graph)
    return None


_SLOTS = {"query_output": "q", "key_output": "k", "value_output": "v"}


def _stream(layer: int, graph: ModelGraph) -> list[Target]:
    """The residual stream behind a layer: all that was written to it, on paths through later layers only."""
    inside = frozenset(node for node in graph.slots if 0 <= node.layer <= layer)
    post_norms = {node.layer for node in inside if node.kind == "attn"}
    writers: list[Node] = [node for node in (EMBED, POS) if node in graph.slots]
    writers += [
        node for node in graph.slots if node in inside and (node.kind != "head" or node.layer not in post_norms)
    ]
    return [Target(node, AnyPath(inside - {node})) for node in writers]


def _rotation(source: Source, key: str, where: str, problems: Problems) -> NDArray[Any] | None:
    """The orthonormal columns of a trained rotation, `[d, k]`."""
    path = None if source.path is None else source.path.parent / f"intkey_{key}.bin"
    if path is None or not path.is_file():
        problems.add(f"its rotation is not there: intkey_{key}.bin.", "Give the whole folder that was saved.", where)
        return None
    stored = Source.of(path).pickled()
    prefix = "rotate_layer."
    inner = {name.removeprefix(prefix): one for name, one in stored.items() if str(name).startswith(prefix)}
    import torch

    try:
        holder = torch.nn.Module()
        holder.weight = torch.nn.Parameter(torch.eye(*inner["parametrizations.weight.original"].shape))
        torch.nn.utils.parametrizations.orthogonal(holder)
        holder.load_state_dict(inner)
        return holder.weight.detach().double().numpy()
    except (KeyError, RuntimeError, AttributeError, ValueError, TypeError):
        problems.add(f"intkey_{key}.bin holds no rotation.", "Save it again with the tool.", where)
        return None
