"""Indirect object identification on GPT-2 small, from the hub or a folder: the published circuit's ladder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ioi.prompts import NAMES, OBJECTS, PLACES, prompts, single_tokens
from benchmarks.ioi.settings import settings
from hypotheses.ioi import published
from hypotheses.ioi.published import GPT2_SMALL, Circuit
from scrubbing import Dataset, ModelMismatch, Task
from scrubbing.data import begin_token, fetch, load_tokenizer, tokenizer_file
from scrubbing.errors import fail
from scrubbing.metrics import AmongTokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from scrubbing.models.transformer import Transformer

HUB = "openai-community/gpt2"
PROMPTS = 1_000
_SEED = 1
_FEWEST = 10
"""Names that are tokens of their own, below which the tokenizer is another one than GPT-2's."""


def task(folder: Path | None = None, circuit: Circuit = GPT2_SMALL) -> Task:
    """The task on a model in a folder, or on GPT-2 small from the hub or its cache.

    Args:
        folder: with `config.json`, weights and `tokenizer.json`.
        circuit: its heads by role.

    Raises:
        FileError: SCR-FILE, SCR-HUB, the model or its tokenizer is not here. UsageError: SCR-EXTRA.
    """
    name = HUB if folder is None else str(folder)
    found = fetch(name)
    subject = _Subject(name, found, load_tokenizer(tokenizer_file(found, name)), circuit)
    return Task(
        name="ioi-gpt2",
        data=lambda: subject.data,
        model=lambda: subject.model,
        loss=lambda: subject.loss,
        config=found,
        ladder=lambda: published.ladder(circuit),
        settings=settings(100),
        about=subject.about,
    )


@dataclass(frozen=True)
class _Subject:
    """A model with its prompts; everything is made when first asked for, once."""

    name: str
    folder: Path
    tokenizer: Tokenizer
    circuit: Circuit

    @cached_property
    def model(self) -> Transformer:
        """The model, checked.

        Raises:
            ModelMismatch: SCR-ROLES, it has not as many heads as the circuit.
        """
        from scrubbing import from_folder

        made = from_folder(self.folder, name=self.name)
        layer, index = max(layer for layer, _ in self.circuit.heads), max(index for _, index in self.circuit.heads)
        if layer >= made.n_layers or index >= made.n_heads:
            problem = f"the circuit has heads up to {layer}.{index}; the model has {made.n_layers} layers of "
            remedy = "Give GPT-2 small, or the heads of this model by role: benchmarks.ioi.gpt2.task(folder, circuit)."
            fail(ModelMismatch, "SCR-ROLES", f"{problem}{made.n_heads} heads.", remedy, self.name)
        return made

    @cached_property
    def names(self) -> dict[str, int]:
        """Names that are a token of their own, with the space before it.

        Raises:
            ModelMismatch: SCR-TOKENS, hardly any is.
        """
        found = single_tokens(self.tokenizer, NAMES)
        if len(found) < _FEWEST:
            problem = f"only {len(found)} of {len(NAMES)} names are tokens of its tokenizer."
            fail(ModelMismatch, "SCR-TOKENS", problem, "Give GPT-2's own tokenizer.json.", str(self.folder))
        return found

    @cached_property
    def data(self) -> Dataset:
        """Prompts of the templates without a third name."""
        begin = begin_token(self.tokenizer, self.folder)
        places, objects = ([*single_tokens(self.tokenizer, some)] for some in (PLACES, OBJECTS))
        made = prompts(self.tokenizer, begin, [*self.names], places, objects, third_name=False)
        drawn = made.draw(PROMPTS, _SEED)
        return drawn.with_columns(other=np.array([self.names[name] for name in drawn["slot.S"]]))

    @cached_property
    def loss(self) -> AmongTokens:
        """Cross-entropy of the indirect object's name among all names."""
        return AmongTokens(tuple(self.names.values()), what="names")

    def about(self) -> str:
        """What is run."""
        count = len(self.circuit.heads)
        return f"{count} heads in the published roles; {len(self.names)} of {len(NAMES)} names are single tokens."
