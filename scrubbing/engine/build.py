"""From a treeified hypothesis to values: who reads what of whom, every equal thing built once."""

from __future__ import annotations

from dataclasses import replace

from scrubbing.engine import values as v
from scrubbing.engine.assemble import OUTPUT_OF, Assembler
from scrubbing.engine.interning import Table
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Where
from scrubbing.hypothesis.treeify import Contribution, Hit, NodeCopy, Tree
from scrubbing.models.protocol import Model
from scrubbing.parts import AttentionPart, InnerPart, InputPart, Part
from scrubbing.sampling.contexts import REFERENCE, Context, Contexts


class Builder(Table):
    """Interns values, and knows how clean items are computed.

    Args:
        graph: of the model on this dataset.
        model: for norms, constants and widths; no tensor is touched.
        stored: whether clean items may be read from a store; otherwise they are computed from the tokens in place.
    """

    def __init__(self, graph: ModelGraph, model: Model, stored: bool) -> None:
        super().__init__(graph, model)
        self.stored = stored
        self.assembler = Assembler(self)

    def made(self, item: v.Item, context: Context) -> v.Value:
        """See `Table.made`."""
        is_source = item.kind == "output" and not self.graph.slots[item.node]
        in_store = self.stored and (context.sampler is None or context.sampler.from_data)
        if is_source and context.ablation is None:
            return self.intern(v.Embedded, item.node, context)
        if in_store or context.ablation is not None:
            return self.intern(v.Clean, item, context)
        return self._computed(item, context)

    def _computed(self, item: v.Item, context: Context) -> v.Value:
        slots = self.graph.slots[item.node]
        if item.kind == "input":
            parents = slots[item.slot].parents
            terms = tuple((1, self.output(parent, context)) for parent in parents)
            everywhere = Where(tuple(range(self.graph.positions)))
            return self.assembler.sum([(everywhere, terms)], item.node, item.slot, context, clean=True)
        if item.kind == "scale":
            return self.intern(
                v.NormScale, self.model.norm_key(item.node, item.slot), self.input(item.node, item.slot, context)
            )
        read = {name: self.input(item.node, name, context) for name in slots if slots[name].parents != (MASK,)}
        mask = context if any(slot.parents == (MASK,) for slot in slots.values()) else None
        if item.kind == "weights":
            return self.run(item.node, {"q": read["q"], "k": read["k"]}, mask, None, item.part)
        whole: v.Evaluated = self.run(item.node, read, mask, None)
        return whole if item.part is None else self.in_part(whole, item.part)

    def run(
        self,
        node: Node,
        read: dict[str, v.Value],
        mask: Context | None,
        scale: Context | None,
        part: InnerPart | None = None,
    ) -> v.Evaluated:
        """A node on these slot inputs, with norms recomputed or, given `scale`, frozen to that context's."""
        slots: list[tuple[str, v.Value]] = []
        for name, value in read.items():
            frozen = None if scale is None else self.clean(v.Item("scale", *self.read(node, name)), scale)
            slots.append((name, self.intern(v.Normed, self.model.norm_key(node, name), value, frozen)))
        return self.intern(v.Evaluated, node, tuple(slots), mask, part)

    def in_part(self, run: v.Evaluated, part: InnerPart) -> v.Evaluated:
        """A part of a computed node. If it is what a head moves from a few distances under the pattern of one clean
        input, the pattern's few weights are all that is needed of that input.
        """
        context = self._pattern_of(run)
        if context is None or not isinstance(part, AttentionPart) or part.as_if or not part.distances:
            return self.intern(v.Evaluated, run.node, run.slots, run.mask, part)
        weights = self.clean(v.Item("weights", run.node, part=part), context)
        slots = (("v", dict(run.slots)["v"]), (v.WEIGHTS, weights))
        return self.intern(v.Evaluated, run.node, slots, run.mask, part)

    def _pattern_of(self, run: v.Evaluated) -> Context | None:
        """The context whose clean run a head has its whole pattern from: queries, keys and padding mask."""
        if run.node.kind != "head" or not getattr(self.model, "splits_attention", False):
            return None
        read = dict(run.slots)
        contexts: set[Context] = set() if run.mask is None else {run.mask}
        for name in ("q", "k"):
            prepared = read[name]
            assert isinstance(prepared, v.Normed)
            item, context = self.clean_of.get(prepared.of, (None, None))
            if item != v.Item("input", *self.read(run.node, name)) or context is None or prepared.scale is not None:
                return None
            contexts.add(context)
        only = contexts.pop()
        return None if contexts or only.ablation is not None else only


class Compiler:
    """Builds the value of the root claim's output.

    Args:
        builder: of values.
        tree: of the hypothesis.
        contexts: of one of its modes.
        beside: of another mode, with the same builder and contexts beside these; what lies below a claim that holds the
            same inputs in both is built once.
    """

    def __init__(self, builder: Builder, tree: Tree, contexts: Contexts, beside: Compiler | None = None) -> None:
        self.builder = builder
        self.tree = tree
        self.contexts = contexts
        self._runs: dict[tuple[NodeCopy, int], v.Value] = {} if beside is None else beside._runs
        self._slots: dict[tuple[NodeCopy, str, int], v.Value] = {} if beside is None else beside._slots
        self._states: dict[object, int] = {} if beside is None else beside._states
        self._state_of: dict[int, int] = {}
        self._rest = replace(contexts.mode, samplers=(), freed=frozenset(), kept=frozenset(), alone=None)

    def _state(self, index: int) -> int:
        """A number for what a region and all below it hold, the same in all modes in which that is the same."""
        if index not in self._state_of:
            freed = frozenset(one for one in self.contexts.mode.freed if one.parent == index)
            below = tuple(self._state(child) for child in self.tree.regions[index].children)
            state = self._rest, index, self.contexts.of(index), freed, below
            self._state_of[index] = self._states.setdefault(state, len(self._states))
        return self._state_of[index]

    def output(self) -> v.Value:
        """The scrubbed output, always computed from its input: outputs are never kept in the store."""
        node = self.tree.graph.output
        if self.contexts.is_leaf(0):
            return self._clean_output(self.contexts.of(0))
        copy = self.tree.start(0, node)
        read = {slot: self._slot(copy, slot) for slot in self.tree.graph.slots[node]}
        frozen = REFERENCE if self.tree.regions[0].claim.freeze_norm else None
        return self.builder.run(node, read, None, frozen)

    def clean_output(self) -> v.Value:
        """The model's own output on the reference."""
        return self._clean_output(REFERENCE)

    def _clean_output(self, context: Context) -> v.Value:
        node = self.tree.graph.output
        read = {slot: self.builder.input(node, slot, context) for slot in self.tree.graph.slots[node]}
        return self.builder.run(node, read, None, None)

    def _region(self, index: int, node: Node) -> v.Value:
        """A claimed node's value: a raw value, or a sum in the residual stream where its output is split in parts."""
        context = self.contexts.of(index)
        if self.contexts.is_leaf(index):
            value = self.builder.output(node, context)
        elif parts := self.tree.own_parts(index):
            value = self._split_output(index, node, parts)
        elif not self.tree.graph.slots[node]:
            value = self.builder.output(node, context)  # its claims are on what another node of the bundle reads
        else:
            value = self._run(self.tree.start(index, node))
        return self._enter(index, value)

    def _enter(self, index: int, value: v.Value) -> v.Value:
        # A statistic is the same whichever input is drawn, so where a claim is ablated no position draws one.
        each = self.tree.regions[index].claim.each and self.contexts.of(index).ablation is None
        return self.builder.intern(v.PerPosition, index, value) if each else value

    def _split_output(self, index: int, node: Node, parts: list[Hit]) -> v.Value:
        unclaimed = self.contexts.unclaimed(index, node)
        whole = self.builder.output(node, unclaimed)
        terms: list[v.Term] = [(1, self._claimed(index, hit, node)) for hit in parts]
        remainder: list[v.Term] = [(1, whole), *((-1, self._part(hit.part, whole, unclaimed)) for hit in parts)]
        if unclaimed.ablation is None:
            terms = remainder + terms
        elif unclaimed.ablation != "zero":
            terms.append((1, self.builder.assembler.statistic(tuple(remainder), node, OUTPUT_OF, unclaimed)))
        everywhere = Where(tuple(range(self.tree.graph.positions)))
        return self.builder.intern(v.Sum, ((everywhere, tuple(terms)),), self.contexts.of(index), node, OUTPUT_OF)

    def _claimed(self, region: int, hit: Hit, node: Node, slot: str | None = None) -> v.Value:
        """What a claim met below a region says of a node: its value, or the claimed part of it; `slot` is where it is
        met, if directly below.
        """
        freed = self.contexts.freed(region, hit.target, slot)
        if freed is not None:
            return self._part(hit.part, self.builder.output(node, freed), freed)
        return self._part(hit.part, self._region(hit.region, node), self.contexts.of(hit.region))

    def _part(self, part: Part | None, value: v.Value, context: Context) -> v.Value:
        """A part of a node's value, or all of it."""
        builder = self.builder
        if part is None:
            return value
        if isinstance(value, v.PerPosition):
            return builder.intern(v.PerPosition, value.region, self._part(part, value.of, context))
        if isinstance(part, InputPart):
            return builder.intern(v.Apply, part, None, context)
        if not isinstance(part, InnerPart):
            return builder.intern(v.Apply, part, value, context)
        if value in builder.clean_of:
            item, held = builder.clean_of[value]
            return builder.output(item.node, held, part)
        assert isinstance(value, v.Evaluated)
        return builder.in_part(value, part)

    def _run(self, copy: NodeCopy) -> v.Value:
        """A copy recomputed on its mixture, or read from the clean run where the mixture is of one input only."""
        known = copy, self._state(copy.region)
        if known in self._runs:
            return self._runs[known]
        graph, builder = self.tree.graph, self.builder
        slots = graph.slots[copy.node]
        mask = next((self._mask(copy, name) for name, slot in slots.items() if slot.parents == (MASK,)), None)
        read = {name: self._slot(copy, name) for name, slot in slots.items() if slot.parents != (MASK,)}
        held = {builder.clean_of.get(value) for value in read.values()}
        contexts = {None if one is None else one[1] for one in held}
        if mask is not None:
            contexts.add(mask)
        only = next(iter(contexts))
        whole = {(v.Item("input", *builder.read(copy.node, name)), only) for name in read}
        frozen = self.contexts.of(copy.region) if self.tree.regions[copy.region].claim.freeze_norm else None
        # What a node makes of a mean is not the mean of what it makes.
        clean = len(contexts) == 1 and held == whole and frozen in (None, only)
        if clean and only is not None and only.ablation is None:
            value = builder.output(copy.node, only)
        else:
            value = builder.run(copy.node, read, mask, frozen)
        self._runs[known] = value
        return value

    def _slot(self, copy: NodeCopy, slot: str) -> v.Value:
        known = copy, slot, self._state(copy.region)
        if known not in self._slots:
            self._slots[known] = self._assembled(copy, slot)
        return self._slots[known]

    def _assembled(self, copy: NodeCopy, slot: str) -> v.Value:
        cells: list[tuple[Where, tuple[v.Term, ...]]] = []
        for cell in self.tree.cells[copy, slot]:
            if cell.reader is not None:
                cells.append((cell.where, ((1, self._reader(copy.region, cell.readers[0], copy.node, slot)),)))
            else:
                below = slot if copy == self.tree.start(copy.region, copy.node) else None
                terms = tuple(term for entry in cell.entries for term in self._terms(copy.region, entry, below))
                cells.append((cell.where, terms))
        return self.builder.assembler.sum(cells, copy.node, slot, self.contexts.of(copy.region))

    def _reader(self, region: int, hit: Hit, node: Node, slot: str) -> v.Value:
        """What a slot reads under a claim on that slot."""
        index, freed = hit.region, self.contexts.freed(region, hit.target, slot)
        if freed is not None:
            return self.builder.input(node, slot, freed)
        if self.contexts.is_leaf(index):
            return self._enter(index, self.builder.input(node, slot, self.contexts.of(index)))
        return self._enter(index, self._slot(self.tree.start(index, node), slot))

    def _terms(self, region: int, entry: Contribution, slot: str | None) -> list[v.Term]:
        """One writer's contribution to a cell."""
        if entry.mixed is not None:
            return [(1, self._run(entry.mixed))]
        whole = [hit for hit in entry.claimed if hit.part is None]
        if whole:
            return [(1, self._claimed(region, whole[0], entry.parent, slot))]
        unclaimed = self.contexts.unclaimed(region, entry.parent)
        rest = self.builder.output(entry.parent, unclaimed)
        terms: list[v.Term] = [(1, rest)]
        for hit in entry.claimed:
            terms.append((1, self._claimed(region, hit, entry.parent, slot)))
            terms.append((-1, self._part(hit.part, rest, unclaimed)))
        return terms

    def _mask(self, copy: NodeCopy, slot: str) -> Context:
        """The context whose padding mask a head uses."""
        (cell,) = self.tree.cells[copy, slot]
        if cell.reader is not None:
            if (freed := self.contexts.freed(copy.region, cell.readers[0].target, slot)) is not None:
                return freed
            if self.contexts.is_leaf(cell.reader):
                return self._input(self.contexts.of(cell.reader), copy.region)
            return self._mask(self.tree.start(cell.reader, copy.node), slot)
        claimed = cell.entries[0].claimed
        context = self.contexts.of(claimed[0].region) if claimed else self.contexts.unclaimed(copy.region, MASK)
        return self._input(context, copy.region)

    def _input(self, context: Context, region: int) -> Context:
        # A mean of masks is no mask: where the unclaimed is ablated, the mask stays that of the claim's own input.
        if context.ablation is None:
            return context
        own = self.contexts.of(region)
        return own if own.ablation is None else REFERENCE
