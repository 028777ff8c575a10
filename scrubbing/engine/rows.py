"""The rows of a frame: whose inputs, whose masks, which tokens."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.engine.demand import Demand
from scrubbing.graph.positions import Where
from scrubbing.models.protocol import Model, ModelInputs
from scrubbing.models.tokens import Tokens
from scrubbing.sampling.contexts import Context
from scrubbing.sampling.frames import Frame


@dataclass(frozen=True, eq=False)
class Index:
    """Places in a tensor, on the host and, once something reads them there, on a device."""

    on_host: NDArray[np.int64]
    device: torch.device

    @cached_property
    def there(self) -> Tensor:
        """On the device."""
        return upload(self.on_host, self.device)


@dataclass(eq=False)
class FrameRows:
    """A frame with its tokens; everything derived from it is computed once, on the host.

    Only what a model reads is copied to its device.
    """

    frame: Frame
    model: Model
    positions: int
    _rows: dict[Context, NDArray[np.int64]] = field(default_factory=dict[Context, NDArray[np.int64]])
    _seen: dict[Context, NDArray[np.bool_] | None] = field(default_factory=dict[Context, NDArray[np.bool_] | None])
    _tokens: dict[tuple[Demand, bool], Tokens] = field(default_factory=dict[tuple[Demand, bool], Tokens])
    _indices: dict[Hashable, Index | None] = field(default_factory=dict[Hashable, Index | None])
    _visible: dict[Context, Tensor | None] = field(default_factory=dict[Context, Tensor | None])

    @property
    def device(self) -> torch.device:
        """The model's."""
        return self.model.device

    @property
    def focus(self) -> NDArray[np.int64] | None:
        """Position of each row, in frames that draw per position."""
        return self.frame.focus

    def __len__(self) -> int:
        return len(self.frame)

    def below(self, region: int, tokens: Tokens) -> FrameRows:
        """One row per token, for a claim that draws per position."""
        below = self.frame.below(region, tokens.row, tokens.position, self.positions)
        return FrameRows(below, self.model, self.positions)

    def data(self, context: Context) -> Dataset:
        """The dataset of a context's inputs."""
        return self.frame.source(context)[0]

    def index(self, of: Hashable, compute: Callable[[], NDArray[np.int64] | None]) -> Index | None:
        """Places that many values are read at, found and copied to the device once; None for all, in order."""
        if of not in self._indices:
            found = compute()
            self._indices[of] = None if found is None else Index(found, self.device)
        return self._indices[of]

    def select(self, tokens: Tokens, wanted: Tokens) -> Tensor | None:
        """See `Tokens.select`; on the device."""
        found = self.index((tokens, wanted), lambda: tokens.select(wanted))
        return None if found is None else found.there

    def rows(self, context: Context) -> NDArray[np.int64]:
        """Rows of a context's inputs in their dataset, `[rows]`."""
        if context not in self._rows:
            self._rows[context] = self.frame.source(context)[1]
        return self._rows[context]

    def inputs(self, context: Context) -> ModelInputs:
        """The columns that the model reads, of the dataset of a context's inputs."""
        return model_inputs(self.model, self.data(context))

    def visible(self, context: Context) -> Tensor | None:
        """`seen` on the model's device, to be read by the model."""
        if context not in self._visible:
            seen = self.seen(context)
            self._visible[context] = None if seen is None else upload(seen, self.device)
        return self._visible[context]

    def seen(self, context: Context) -> NDArray[np.bool_] | None:
        """See `demand.Rows`."""
        if context not in self._seen:
            seen = self.inputs(context).seen
            self._seen[context] = None if seen is None else seen[self.rows(context)]
        return self._seen[context]

    def real(self, context: Context) -> NDArray[np.bool_] | None:
        """Which positions of a context's inputs are real, bool `[rows, positions]`, whether or not the model sees the
        mask; None where nothing is padded.
        """
        mask = self.data(context).mask
        return None if mask is None else mask[self.rows(context)]

    def satisfied(self, where: Where, context: Context) -> NDArray[np.bool_]:
        """See `demand.Rows`."""
        inside = np.zeros(self.positions, dtype=bool)
        inside[list(where.fixed)] = True
        inside = np.broadcast_to(inside, (len(self), self.positions))
        for by, wanted in where.conditions:
            data = self.data(context)
            chosen = data.remember(("positions", by), lambda by=by, data=data: by.chosen(data, self.positions))
            here = chosen[self.rows(context)]
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
                made = Tokens.one_each(self.focus, self.device)
            else:
                made = Tokens.where(demand.chosen(self), self.device, exactly)
            self._tokens[key] = made
        return self._tokens[key]


def model_inputs(model: Model, data: Dataset) -> ModelInputs:
    """The columns a model reads of a dataset, moved to its device once."""
    return data.remember(("inputs", model), lambda: model.inputs(data))
