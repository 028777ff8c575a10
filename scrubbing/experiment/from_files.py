"""A task without a line of code: a model, a file of inputs, and a loss by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing.data.dataset import Dataset
from scrubbing.data.hub import fetch, is_file
from scrubbing.data.tables import LENGTH, from_any_file
from scrubbing.errors import UsageError, fail, nearest
from scrubbing.experiment.task import Task, read_config
from scrubbing.graph.configs import is_encoder

if TYPE_CHECKING:
    from scrubbing.metrics.losses import Loss, Place
    from scrubbing.models.protocol import Model

LOSSES = ("next-token", "classification", "squared-error")
_CONTEXT = ("n_positions", "max_position_embeddings", "n_ctx")


def task_from_files(model: str, data: str | Path, loss: str = "next-token") -> Task:
    """A task of a model, a file of inputs and a loss. Nothing is read before it is asked for.

    Args:
        model: a folder with `config.json` and weights, a file of weights, or a name on the hub.
        data: text, or columns: see `scrubbing.data.from_any_file`. Text needs the model's `tokenizer.json`.
        loss: `next-token`; `classification` or `squared-error`, of the column `label`, or `classification:COLUMN`; read
            at the last position, or at the first of a classifier such as BERT's, which reads that one.

    Raises:
        UsageError: SCR-LOSS, there is no such loss, or it is one that the model is not for.
    """
    loss_named(loss)

    def made() -> Loss:
        found = config()
        fields: Mapping[str, Any] = {} if found is None else read_config(found)
        if loss == "next-token" and is_encoder(fields):
            remedy = "Hide tokens, and give --loss classification:COLUMN with what stood there."
            fail(
                UsageError,
                "SCR-LOSS",
                "it is an encoder, which sees the next token that it is to predict.",
                remedy,
                model,
            )
        return loss_named(loss, _read_at(fields))()

    @cache
    def inputs() -> Dataset:
        return from_any_file(data, model, _length(config()))

    @cache
    def loaded() -> Model:
        from scrubbing import load_model  # by the public door, as a task of a user's would

        return load_model(model)

    @cache
    def config() -> Path | None:
        if is_file(model):
            return None
        found = fetch(model) / "config.json"
        return found if found.is_file() else None

    return Task(Path(model).name or model, data=inputs, model=loaded, loss=made, config=config)


def loss_named(name: str, position: Place = "last") -> Callable[[], Loss]:
    """A function that makes the loss of this name, read at this position if it is read at one.

    Raises:
        UsageError: SCR-LOSS, there is none.
    """
    kind, _, column = name.partition(":")
    if kind not in LOSSES or (kind == "next-token" and column):
        remedy = f"Did you mean: {nearest(kind, LOSSES)}? A column follows a colon: classification:label."
        fail(UsageError, "SCR-LOSS", f"there is no loss {name!r}.", remedy)

    def make() -> Loss:
        from scrubbing.metrics.losses import Classification, SquaredError
        from scrubbing.metrics.next_token import NextToken

        if kind == "next-token":
            return NextToken()
        made = Classification if kind == "classification" else SquaredError
        return made(column or "label", position=position)

    return make


def _read_at(config: Mapping[str, Any]) -> Place:
    """The position at which a model of this config is read."""
    return 0 if "ForSequenceClassification" in str(config.get("architectures")) else "last"


def _length(config: Path | None) -> int:
    """Tokens of an input: no more than the model takes."""
    fields: Mapping[str, Any] = {} if config is None else read_config(config)
    known: list[int] = [fields[name] for name in _CONTEXT if isinstance(fields.get(name), int) and fields[name] > 1]
    return min([LENGTH, *known])
