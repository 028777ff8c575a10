"""The cheapest way to write a residual mixture: from scratch, from a clean prefix, or from an earlier mixture.

A mixture is a sum over all earlier writers, each from an input of its own. Stacking and summing all writers costs as
much as attention does. Three cheaper forms give the same sum:

- *from scratch*: every writer's contribution, plus constants;
- *from a clean prefix*: the residual of one input, as stored, with the writers that come from elsewhere exchanged;
- *from an earlier mixture*: what an earlier slot of the same region read, plus the writers since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from scrubbing.engine import values as v
from scrubbing.engine.interning import Table
from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Where
from scrubbing.sampling.contexts import REFERENCE, Context

Terms = tuple[v.Term, ...]

OUTPUT_OF = "output"
"""Slot name of sums that are a node's output put together from parts, not a slot's input."""

_FLOPS_PER_NUMBER_MOVED = 16.0
"""Floating-point operations that take about as long as moving one number; only ratios of costs matter."""


class Assembler:
    """Chooses forms for the sums of one plan, and remembers earlier ones to build on."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._earlier: dict[tuple[Where, ...], list[tuple[tuple[frozenset[v.Term], ...], v.Sum]]] = {}
        """Mixtures by their cells, with the terms each cell was asked for."""
        self._costs: dict[v.Value, float] = {}

    def sum(
        self, cells: list[tuple[Where, Terms]], node: Node, slot: str, context: Context, clean: bool = False
    ) -> v.Value:
        """A slot's input from its cells.

        Args:
            cells: positions and signed terms; a single term that is already a slot's input is taken as it is.
            node: the reading node.
            slot: its slot.
            context: whose input conditions on positions are about.
            clean: whether this is a clean run computed in place, which must not be looked up as one.

        Returns:
            The whole input, unnormed: a `Sum`, or a clean input where the mixture is of one input only.
        """
        node, slot = self.table.read(node, slot)
        wheres = tuple(where for where, _ in cells)
        given = tuple(frozenset(terms) for _, terms in cells)
        formed = self._merged([(where, self._form(where, terms, node, slot, clean)) for where, terms in cells])
        if len({terms for _, terms in formed}) == 1 and len(formed[0][1]) == 1:
            ((sign, value),) = formed[0][1]
            if sign == 1 and self._is_input(value):
                return value
        onward = self._onward(wheres, given, cells, node, slot)
        if onward is not None and self._cost(onward) < self._mean_cost(formed):
            formed = [(self._everywhere(), onward)]
        conditions = any(where.conditions for where, _ in formed)
        made: v.Sum = self.table.intern(v.Sum, tuple(formed), context if conditions else REFERENCE, node, slot)
        self._earlier.setdefault(wheres, []).append((given, made))
        if len(cells) == 1 and not clean:
            self._recognise(made, cells[0][1], node, slot)
        return made

    def _recognise(self, made: v.Sum, terms: Terms, node: Node, slot: str) -> None:
        """Note that a sum is a clean input, every writer being of one input, though adding is cheaper than reading."""
        whole = self._whole_outputs(terms)
        contexts = {context for _, context in whole.values()}
        parents = self.table.graph.slots[node][slot].parents
        if len(contexts) == 1 and {writer for writer, _ in whole.values()} == set(parents) and len(whole) == len(terms):
            self.table.clean_of.setdefault(made, (v.Item("input", node, slot), contexts.pop()))

    def _merged(self, cells: list[tuple[Where, Terms]]) -> list[tuple[Where, Terms]]:
        """Cells with the same terms as one, where no condition tells them apart."""
        merged: list[tuple[Where, Terms]] = []
        for where, terms in cells:
            same = next((i for i, (w, t) in enumerate(merged) if t == terms and not w.conditions), None)
            if same is not None and not where.conditions:
                merged[same] = (Where(tuple(sorted(merged[same][0].fixed + where.fixed))), terms)
            else:
                merged.append((where, terms))
        return merged

    def _everywhere(self) -> Where:
        return Where(tuple(range(self.table.graph.positions)))

    def _mean_cost(self, cells: list[tuple[Where, Terms]]) -> float:
        """Per token, plus what taking cells apart and putting them together costs."""
        total = sum(len(where.fixed) for where, _ in cells)
        mean = sum(len(where.fixed) * self._cost(terms) for where, terms in cells) / max(total, 1)
        return mean + (2.0 * self.table.graph.d_model if len(cells) > 1 else 0.0)

    def _onward(
        self,
        wheres: tuple[Where, ...],
        given: tuple[frozenset[v.Term], ...],
        cells: list[tuple[Where, Terms]],
        node: Node,
        slot: str,
    ) -> Terms | None:
        """An earlier mixture over the same cells plus terms that all cells share."""
        if len(cells) == 1:
            return None  # the forms of a single cell include this
        if any(self._ablated(value) for terms in given for _, value in terms):
            return None  # a statistic stands for the sum that one slot reads, and is no part of another's
        best: Terms | None = None
        for before, earlier in self._earlier.get(wheres, []):
            rests = {now - then for now, then in zip(given, before, strict=True)}
            if len(rests) == 1 and all(then < now for now, then in zip(given, before, strict=True)):
                (rest,) = rests
                ordered = tuple(term for term in cells[0][1] if term in rest)
                found = ((1, earlier), *ordered, *self._constant_change(earlier, node, slot))
                best = found if best is None or self._cost(found) < self._cost(best) else best
        return best

    def _is_input(self, value: v.Value) -> bool:
        """Whether a value is a whole slot input, rather than one writer's contribution."""
        if isinstance(value, v.PerPosition):
            return self._is_input(value.of)
        if isinstance(value, v.Sum):
            return value.slot != OUTPUT_OF
        if isinstance(value, v.Statistic):
            return value.is_input
        known = self.table.clean_of.get(value)
        return known is not None and known[0].kind == "input"

    def _form(self, where: Where, terms: Terms, node: Node, slot: str, clean: bool) -> Terms:
        """The cheapest equal list of terms."""
        terms, complete = self._ablate(terms, node, slot)
        if complete or (len(terms) == 1 and self._is_input(terms[0][1])):
            return terms
        forms = [terms + self._constant(1, node, slot)]
        if not clean:
            forms += self._from_prefixes(terms, node, slot)
        forms += self._from_earlier(where, terms, node, slot)
        return min(forms, key=self._cost)

    def _constant(self, sign: int, node: Node, slot: str) -> Terms:
        if self.table.model.constant(node, slot) is None:
            return ()
        return ((sign, self.table.intern(v.Constant, node, slot)),)

    def _from_prefixes(self, terms: Terms, node: Node, slot: str) -> list[Terms]:
        whole = self._whole_outputs(terms)
        held = Counter(context for _, context in whole.values())
        return [self._exchange(terms, whole, context, node, slot) for context, n in held.items() if n > 1]

    def _whole_outputs(self, terms: Terms) -> dict[v.Term, tuple[Node, Context]]:
        """The terms that are one writer's whole contribution from a clean run."""
        found: dict[v.Term, tuple[Node, Context]] = {}
        for sign, value in terms:
            item, context = self.table.clean_of.get(value, (None, None))
            if sign == 1 and item is not None and item.kind == "output" and item.part is None and context is not None:
                found[sign, value] = (item.node, context)
        return found

    def _exchange(
        self, terms: Terms, whole: dict[v.Term, tuple[Node, Context]], context: Context, node: Node, slot: str
    ) -> Terms:
        """The clean input of `context`, with every writer that comes from elsewhere exchanged."""
        kept = {term: writer for term, (writer, held) in whole.items() if held is context}
        base = self.table.input(node, slot, context)
        others = tuple(term for term in terms if term not in kept)
        parents = self.table.graph.slots[node][slot].parents
        gone = tuple((-1, self.table.output(p, context)) for p in parents if p not in kept.values())
        return ((1, base), *others, *gone)

    def _from_earlier(self, where: Where, terms: Terms, node: Node, slot: str) -> list[Terms]:
        """The earlier mixture that covers the cell and saves most, plus the terms that it lacks."""
        given = frozenset(terms)
        found: list[tuple[frozenset[v.Term], v.Sum]] = []
        for covering in dict.fromkeys([(where,), (self._everywhere(),)]):
            found += [(before, earlier) for (before,), earlier in self._earlier.get(covering, []) if before < given]
        if not found:
            return []
        # Only the one that saves most is written out: a large model has hundreds of them, with hundreds of terms each.
        before, earlier = max(found, key=lambda one: self._saved(*one, node, slot))
        rest = tuple(term for term in terms if term not in before)
        return [((1, earlier), *rest, *self._constant_change(earlier, node, slot))]

    def _saved(self, before: frozenset[v.Term], earlier: v.Sum, node: Node, slot: str) -> float:
        """What an earlier mixture costs less than the terms that it stands for."""
        return self._cost(before) - self._cost(self._constant_change(earlier, node, slot))

    def _constant_change(self, earlier: v.Sum, node: Node, slot: str) -> Terms:
        """Biases written between an earlier slot and this one."""
        model = self.table.model
        if model.constant(node, slot) is None:
            return ()
        if model.constant(earlier.node, earlier.slot) is None:
            return self._constant(1, node, slot)
        return self._constant(1, node, slot) + self._constant(-1, earlier.node, earlier.slot)

    def _cost(self, terms: Iterable[v.Term]) -> float:
        """Numbers moved per token, roughly: what adding these terms costs beyond computing what is computed anyway."""
        total = 0.0
        for _, value in terms:
            if (known := self._costs.get(value)) is None:
                known = self._costs[value] = self._cost_of(value)
            total += known
        return total

    def _cost_of(self, value: v.Value) -> float:
        model, d = self.table.model, float(max(self.table.graph.d_model, 1))
        raw = v.written(value)
        if isinstance(value, v.Constant):
            return 0.1 * d
        if isinstance(value, v.Embedded):
            return 0.5 * d
        if raw is None:
            return d
        gathered = float(model.raw_width(*raw)) if isinstance(value, v.Clean) else 0.0
        return gathered + 0.5 * d + model.write_flops(*raw) / _FLOPS_PER_NUMBER_MOVED

    def _ablated(self, value: v.Value) -> Context | None:
        """The ablated context of a value, if it is one writer's contribution or input under an ablation."""
        _, context = self.table.clean_of.get(value, (None, None))
        if isinstance(value, v.Apply):
            context = value.context
        return context if context is not None and context.ablation is not None else None

    def _ablate(self, terms: Terms, node: Node, slot: str) -> tuple[Terms, bool]:
        """Put the ablated terms together as one statistic: noise of matching covariance is drawn for their sum.

        Returns:
            The terms, and whether they are the complete sum, constants included.
        """
        ablated = tuple(term for term in terms if self._ablated(term[1]))
        if not ablated:
            return terms, False
        rest = tuple(term for term in terms if term not in ablated)
        context = self._ablated(ablated[0][1])
        assert context is not None and all(self._ablated(value) is context for _, value in ablated)
        if context.ablation == "zero":
            return rest + self._constant(1, node, slot), True
        complete = len(ablated) == 1 and self._is_input(ablated[0][1])
        whole = self._whole_outputs(ablated)
        parents = self.table.graph.slots[node][slot].parents
        if not complete and 2 * len(whole) > len(parents):
            # Most writers are ablated: take the stored prefix less the others, instead of storing every writer.
            ablated, complete = self._exchange(ablated, whole, context, node, slot), True
        return (*rest, (1, self.statistic(ablated, node, slot, context, complete))), complete

    def statistic(self, ablated: Terms, node: Node, slot: str, context: Context, complete: bool = False) -> v.Value:
        """What stands in for the sum of these terms, all of one ablated context."""
        terms = tuple((sign, self._at_reference(value)) for sign, value in ablated)
        whole = self.table.intern(v.Sum, ((self._everywhere(), terms),), REFERENCE, node, slot)
        return self.table.intern(v.Statistic, context.ablation, whole, context, complete)

    def _at_reference(self, value: v.Value) -> v.Value:
        if isinstance(value, v.Apply):
            inner = None if value.of is None else self._at_reference(value.of)
            return self.table.intern(v.Apply, value.part, inner, REFERENCE)
        item, _ = self.table.clean_of[value]
        return self.table.clean(item, REFERENCE)
