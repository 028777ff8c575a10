"""What a trace does not say of nodes, found on examples: their widths, positions, and what each position reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from scrubbing.errors import Fault, ModelMismatch
from scrubbing.graph.model_graph import ModelGraph, Reach, Slot
from scrubbing.graph.nodes import Node
from scrubbing.models.module.layout import Layout, Program
from scrubbing.models.module.operations import Shape

_PROBED = 16
"""Positions that are changed, to see which others notice."""
_NOTICED = 1e-6
"""Share of the largest value by which one has to change; matrix products of other batches differ by less."""


@dataclass(frozen=True)
class Reading:
    """What is known of a node beside its program."""

    width: int
    positions: int
    axes: tuple[int, ...] | None = None
    """Where it is the same for every input, the axes that it has in the sum it is part of, after that of inputs."""
    spread: bool = False
    """Whether it has no position axis and holds at each of them: an output that is read from the whole input."""
    reach: Mapping[str, Reach] = field(default_factory=dict[str, Reach])
    alone: bool = False
    """Whether a token by itself gives the same as among the others."""

    def flat(self, value: Tensor, rows: int, positions: int | None = None) -> Tensor:
        """What the module has there as `[rows, positions, width]`."""
        length = self.positions if positions is None else positions
        if self.axes is not None:
            value = value.expand(rows, *self.axes)
        if self.spread:
            return value.reshape(rows, 1, -1).expand(rows, length, -1)
        return value.reshape(rows, length, -1)


def probed(
    layout: Layout, examples: Mapping[str, Tensor], positions: bool | None, name: str
) -> tuple[ModelGraph, dict[Node, Reading]]:
    """The graph of a layout, and what is known of each node.

    Args:
        layout: whose `positional` is set here.
        examples: three inputs, by argument.
        positions: whether values have a position axis; None to find out.
        name: of the model.

    Raises:
        ModelMismatch: SCR-TRACE, a value has no axis of inputs, or no position axis.
    """
    axes = {node: _axes(layout.shape(node)) for node in layout.programs}
    arguments = {node: tuple(examples[argument].shape[1:]) for node, argument in layout.columns.items()}
    length = _length(layout, examples, axes, positions)
    layout.positional = length is not None
    faults: list[Fault] = []
    for node, own in {**arguments, **axes}.items():
        if own is None:
            problem = f"its values have the shape {layout.told(node)} on three inputs, whose axis is not the first."
            remedy = "Name a submodule whose values come with the axis of inputs first, or one that contains it."
        elif length is not None and node != layout.output and own[:1] != (length,):
            problem = f"its values have the shape {list(own)} for each input, without a position axis of {length}."
            remedy = "Leave it out, or give positions=False: each value is then one vector per input."
        else:
            continue
        faults.append(Fault("SCR-TRACE", f"{name}, node {node}", problem, remedy))
    if faults:
        raise ModelMismatch(faults, "" if len(faults) == 1 else "The values of this module do not fit together")
    rows, one = len(next(iter(examples.values()))), length or 1
    known: dict[Node, Reading] = {}
    written: dict[Node, Tensor] = {}
    slots: dict[Node, dict[str, Slot]] = {}
    for node, argument in layout.columns.items():
        written[node] = examples[argument].to(layout.dtype).reshape(rows, one, -1)
        known[node], slots[node] = Reading(written[node].shape[-1], one), {}
    for node, made in layout.programs.items():
        given = {slot: torch.stack([written[one] for one in parents]).sum(0) for slot, parents in made.slots.items()}
        own = axes[node] or ()
        constant = None if layout.shapes[layout.written[node]].by_input else own
        found = Reading(0, one, constant, length is not None and (len(own) < 2 or own[0] != length))
        written[node] = found.flat(layout.evaluate(made, given, rows, examples), rows).to(layout.dtype)
        found = replace(found, width=written[node].shape[-1])
        reach: dict[str, Reach] = {slot: _reach(layout, made, found, given, slot, written[node]) for slot in made.slots}
        known[node] = replace(found, reach=reach)
        known[node] = replace(known[node], alone=_is_alone(layout, made, known[node], given, written[node]))
        slots[node] = {slot: Slot(parents, reach[slot]) for slot, parents in made.slots.items()}
    mixing = {node for node, made in known.items() if any(one != "same" for one in made.reach.values())}
    for argument, readers in layout.embeddings(mixing).items():
        del slots[argument], known[argument]
        for node in readers:
            slots[node], known[node] = {}, replace(known[node], reach={})
    widths = {known[node].width for node in slots if node != layout.output}
    return ModelGraph(slots, layout.output, one, {}, widths.pop() if len(widths) == 1 else 0), known


def _axes(shape: Shape | None) -> tuple[int, ...] | None:
    """The axes of a value after that of inputs; None where that is not the first."""
    if shape is None:
        return None
    return shape.fixed[1:] if shape.by_input else shape.fixed if shape.constant else None


def _length(
    layout: Layout, examples: Mapping[str, Tensor], axes: Mapping[Node, tuple[int, ...] | None], wanted: bool | None
) -> int | None:
    """Length of the position axis; None where there is none."""
    if wanted is False:
        return None
    lengths = [x.shape[1] if x.ndim > 1 else None for x in examples.values()]
    length = next((one for one in lengths if one is not None), None)
    if wanted is None:
        tokens = all(x.ndim == 2 and not x.is_floating_point() for x in examples.values())
        kept = [own is not None and len(own) > 1 and own[0] == length for node, own in axes.items()
                if node != layout.output]  # fmt: skip
        return length if tokens and len(set(lengths)) == 1 and length != 1 and all(kept) else None
    return length or 1


def _reach(
    layout: Layout, made: Program, reading: Reading, given: Mapping[str, Tensor], slot: str, before: Tensor
) -> Reach:
    """Which positions of a slot are noticed at which positions of the result."""
    if not layout.positional or reading.positions == 1:
        return "same"
    x, length = given[slot], reading.positions
    found: Reach = "same"
    generator = torch.Generator().manual_seed(0)
    for position in np.unique(np.linspace(0, length - 1, min(length, _PROBED)).astype(int)).tolist():
        other = x.roll(1, 0)[:, position]
        if not layout.reads_integers(made, slot):
            other = other + x.std() * torch.randn(other.shape, generator=generator, dtype=x.dtype).to(x.device)
        changed = x.clone()
        changed[:, position] = other
        after = reading.flat(layout.evaluate(made, {**given, slot: changed}, len(x)), len(x))
        noticed = (after - before).abs().amax((0, 2)) > _NOTICED * before.abs().max().clamp(min=1e-30)
        if bool(noticed[:position].any()):
            return "every"
        found = "earlier" if bool(noticed[position + 1 :].any()) else found
    return found


def _is_alone(layout: Layout, made: Program, reading: Reading, given: Mapping[str, Tensor], before: Tensor) -> bool:
    """Whether each token can be computed without the others."""
    if not layout.positional:
        return True
    plain = all(layout.shapes[one].by_input for one in made.given)
    if reading.spread or not plain or not made.slots or any(one != "same" for one in reading.reach.values()):
        return False
    tokens = before.shape[0] * before.shape[1]
    single = {slot: x.reshape(tokens, 1, -1) for slot, x in given.items()}
    try:
        found = reading.flat(layout.evaluate(made, single, tokens), tokens, 1)
    except Exception:  # what it computes is written for one length only
        return False
    size = before.abs().max().clamp(min=1)
    return found.numel() == before.numel() and bool((found.reshape(before.shape) - before).abs().max() <= 1e-5 * size)
