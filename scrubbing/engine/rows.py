"""The rows of a frame as tensors: whose inputs, whose masks, which tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.engine.demand import Demand
from scrubbing.graph.positions import Where
from scrubbing.models.protocol import Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.sampling.contexts import Context
from scrubbing.sampling.frames import Frame


@dataclass(eq=False)
class FrameRows:
    """A frame seen from the model's device; everything derived from it is computed once."""

    frame: Frame
    model: Model
    positions: int
    _rows: dict[Context, Tensor] = field(default_factory=dict[Context, Tensor])
    _tokens: dict[tuple[Demand, bool], Tokens] = field(default_factory=dict[tuple[Demand, bool], Tokens])
    _visible: dict[Context, Tensor | None] = field(default_factory=dict[Context, Tensor | None])

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self.model.device

    @property
    def focus(self) -> Tensor | None:
        """Position of each row, in frames that draw per position."""
        return None if self.frame.focus is None else torch.as_tensor(self.frame.focus, device=self.device)

    def __len__(self) -> int:
        return len(self.frame)

    def below(self, region: int, tokens: Tokens) -> FrameRows:
        """One row per token, for a claim that draws per position."""
        rows, positions = tokens.rows.cpu().numpy(), tokens.positions.cpu().numpy()
        return FrameRows(self.frame.below(region, rows, positions, self.positions), self.model, self.positions)

    def data(self, context: Context) -> Dataset:
        """The dataset of a context's inputs."""
        return self.frame.source(context)[0]

    def rows(self, context: Context) -> Tensor:
        """Rows of a context's inputs in their dataset, int64 `[rows]`."""
        if context not in self._rows:
            self._rows[context] = torch.as_tensor(self.frame.source(context)[1], device=self.device)
        return self._rows[context]

    def inputs(self, context: Context) -> ModelInputs:
        """The columns that the model reads, of the dataset of a context's inputs."""
        return model_inputs(self.model, self.data(context))

    def visible(self, context: Context) -> Tensor | None:
        """See `demand.Rows`."""
        if context not in self._visible:
            visible = self.inputs(context).visible
            self._visible[context] = None if visible is None else visible.index_select(0, self.rows(context))
        return self._visible[context]

    def real(self, context: Context) -> Tensor | None:
        """Which positions of a context's inputs are real, bool `[rows, positions]`, whether or not the model sees the
        mask; None where nothing is padded.
        """
        data, device = self.data(context), self.device
        mask = data.mask
        if mask is None:
            return None
        on_device = data.remember(("mask", device), lambda: torch.as_tensor(mask.copy(), device=device))
        return on_device.index_select(0, self.rows(context))

    def satisfied(self, where: Where, context: Context) -> Tensor:
        """See `demand.Rows`."""
        inside = torch.zeros(self.positions, dtype=torch.bool, device=self.device)
        inside[list(where.fixed)] = True
        inside = inside.expand(len(self), -1)
        for by, wanted in where.conditions:
            data = self.data(context)
            chosen = data.remember(("positions", by), lambda by=by, data=data: by.chosen(data, self.positions))
            here = torch.as_tensor(chosen, device=self.device)[self.rows(context)]
            inside = inside & (here if wanted else ~here)
        return inside

    def tokens(self, demand: Demand, exactly: bool = False) -> Tokens:
        """The tokens of a demand, or a rectangle around them; one object each, so that equal sets are recognised."""
        key = (demand, exactly)
        if key not in self._tokens:
            if demand.kind == "fixed":
                made = Tokens.rectangle(len(self), demand.fixed, self.device)
            elif demand.kind == "focus":
                assert self.focus is not None
                made = Tokens.one_each(self.focus)
            else:
                made = Tokens.where(demand.chosen(self), exactly)
            self._tokens[key] = made
        return self._tokens[key]


def model_inputs(model: Model, data: Dataset) -> ModelInputs:
    """The columns a model reads of a dataset, moved to its device once."""
    return data.remember(("inputs", model), lambda: model.inputs(data))
