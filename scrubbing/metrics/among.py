"""A loss over some of the tokens, such as names or years, one or several of which are right; and measures beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.errors import BadData, UsageError, fail
from scrubbing.guards import is_whole
from scrubbing.metrics.losses import Loss, Place, places
from scrubbing.metrics.measures import Predictions

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class AmongTokens(Loss):
    """Cross-entropy of the right answer when only some tokens are possible answers, in nats.

    Probabilities are among these tokens: their logits are compared with each other, and all others left out. Where
    several are right, each is as likely to be asked for; the loss is then at least the logarithm of their number.
    `constant` predicts the base rates of the answers. Source: ours.

    Raises:
        UsageError: SCR-LOSS, there are fewer than two tokens, or one is given twice.
    """

    tokens: tuple[int, ...]
    """The possible answers."""
    label: str = "label"
    """Column with the right token of each input, `[n]`, or with which of `tokens` are right, booleans `[n, tokens]`."""
    position: Place = "last"
    """Where the output is read; see `Classification`."""
    what: str = "answers"
    """What the tokens are, for the name of the loss."""
    outputs = "classes"

    def __post_init__(self) -> None:
        tokens = tuple(self.tokens)
        if len(tokens) < 2 or len(set(tokens)) < len(tokens) or not all(is_whole(one) and one >= 0 for one in tokens):
            remedy = "Give the numbers of two or more tokens, each once: AmongTokens((262, 287))."
            fail(UsageError, "SCR-LOSS", f"its tokens are {list(tokens)[:10]}.", remedy, "AmongTokens")
        object.__setattr__(self, "tokens", tuple(int(one) for one in tokens))

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.name`."""
        return f"cross-entropy among {len(self.tokens)} {self.what} (nats)"

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`."""
        where = places((self.position,), data, length, self.name)
        return np.arange(length) == where

    def per_token(self, output: Tensor, data: Dataset, rows: Ints, positions: Ints) -> Tensor:
        """See `Loss.per_token`."""
        right = self._right(data, rows, output.device)
        return -(self._logits(output).log_softmax(1) * right).sum(1) / right.sum(1)

    def correct(self, output: Tensor, data: Dataset, rows: Ints, positions: Ints) -> Tensor:
        """Whether the most likely of the tokens is a right one, bool `[tokens]`."""
        best = self._logits(output).argmax(1, keepdim=True)
        return self._right(data, rows, output.device).gather(1, best)[:, 0]

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See `Loss.constant`."""
        share = self.which(data) / self.which(data).sum(axis=1, keepdims=True)
        rate = share[counted.any(axis=1)].mean(axis=0)
        cost = -(share * np.log(np.where(rate > 0, rate, 1.0))).sum(axis=1)
        return np.where(counted, cost[:, None], 0.0)

    def probability(self, output: Tensor, data: Dataset, rows: Ints) -> Tensor:
        """Probability of the right tokens less that of the others among them, float64 `[outputs]`."""
        p = self._logits(output).softmax(1)
        right = self._right(data, rows, output.device)
        return (p * right).sum(1) - (p * ~right).sum(1)

    def which(self, data: Dataset) -> NDArray[np.bool_]:
        """Which of the tokens are right, bool `[n, tokens]`.

        Raises:
            BadData: SCR-LABEL, for some input none is, or the column is of another shape.
        """
        return data.remember(("right among", self.label, self.tokens), lambda: self._which(data))

    def _which(self, data: Dataset) -> NDArray[np.bool_]:
        column: NDArray[Any] = data[self.label]
        if column.dtype.kind in "iu" and column.ndim == 1:
            found = column[:, None] == np.array(self.tokens)
        elif column.dtype.kind == "b" and column.shape == (len(data), len(self.tokens)):
            found = column
        else:
            problem = f"column {self.label!r} is {column.dtype} of shape {list(column.shape)}."
            remedy = (
                f"Give the right token, [{len(data)}], or which are right, booleans {[len(data), len(self.tokens)]}."
            )
            fail(BadData, "SCR-LABEL", problem, remedy, data.name)
        if not found.any(axis=1).all():
            problem = (
                f"none of the {len(self.tokens)} tokens is right for input id {data.ids[(~found.any(1)).argmax()]}."
            )
            fail(BadData, "SCR-LABEL", problem, "Put every right token among the possible ones.", data.name)
        return found

    def _right(self, data: Dataset, rows: Ints, device: torch.device) -> Tensor:
        return upload(self.which(data)[rows], device)

    def _logits(self, output: Tensor) -> Tensor:
        if max(self.tokens) >= output.shape[1]:
            problem = f"token {max(self.tokens)} is a possible answer, and the model predicts {output.shape[1]}."
            fail(BadData, "SCR-LABEL", problem, "Tokenise with the model's own tokenizer.", self.name)
        return output[:, list(self.tokens)].double()


@dataclass(frozen=True)
class LogitDifference:
    """Logit of the right token less that of another one, of the scrubbed model, or of the model itself.

    For indirect object identification the published metric: the indirect object's logit less the subject's.
    """

    other: str = "other"
    """Column with the other token of each input, `[n]`."""
    label: str = "label"
    """Column with the right one."""
    of: str = "scrubbed"
    """`scrubbed`, or `model`."""
    unit = "logits"

    @property
    def name(self) -> str:
        """See `Measure.name`."""
        return "logit difference" if self.of == "scrubbed" else "logit difference of the model"

    @property
    def meaning(self) -> str:
        """See `Measure.meaning`."""
        return f"logit of {self.label} less that of {self.other}, of the {self.of}{' model' * (self.of != 'model')}"

    def defined(self, loss: Loss) -> bool:
        """For losses whose outputs are logits of classes."""
        return loss.outputs == "classes"

    def per_token(self, predictions: Predictions) -> Tensor:
        """In logits, float64 `[outputs]`."""
        output = predictions.scrubbed if self.of == "scrubbed" else predictions.model
        first, second = (
            output.gather(1, upload(predictions.data[name][predictions.rows].astype(np.int64), output.device)[:, None])
            for name in (self.label, self.other)
        )
        return (first - second)[:, 0].double()


@dataclass(frozen=True)
class ProbabilityDifference:
    """Probability of the right tokens less that of the others among the possible answers of `AmongTokens`.

    For greater-than the published metric: the probability of larger years less that of smaller ones.
    """

    of: str = "scrubbed"
    """`scrubbed`, or `model`."""
    unit = "probability"

    @property
    def name(self) -> str:
        """See `Measure.name`."""
        return "probability difference" if self.of == "scrubbed" else "probability difference of the model"

    @property
    def meaning(self) -> str:
        """See `Measure.meaning`."""
        return f"probability of right answers less that of others, of the {self.of}{' model' * (self.of != 'model')}"

    def defined(self, loss: Loss) -> bool:
        """For `AmongTokens` alone."""
        return isinstance(loss, AmongTokens)

    def per_token(self, predictions: Predictions) -> Tensor:
        """Between -1 and 1, float64 `[outputs]`."""
        loss, output = predictions.loss, predictions.scrubbed if self.of == "scrubbed" else predictions.model
        assert isinstance(loss, AmongTokens)
        return loss.probability(output, predictions.data, predictions.rows)
