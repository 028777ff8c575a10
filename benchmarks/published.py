"""GPT-2 small, or another model in a folder, for tasks with a published circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrubbing import ModelMismatch
from scrubbing.data import begin_token, fetch, load_tokenizer, tokenizer_file
from scrubbing.errors import fail

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from scrubbing.models.transformer import Transformer

HUB = "openai-community/gpt2"


@dataclass(frozen=True)
class Subject:
    """A model with its tokenizer and the heads that a circuit names in it; loaded when first asked for, once."""

    name: str
    folder: Path
    heads: tuple[tuple[int, int], ...]

    @classmethod
    def at(cls, folder: Path | None, heads: tuple[tuple[int, int], ...]) -> Subject:
        """In a folder, or GPT-2 small from the hub or its cache.

        Raises:
            FileError: SCR-FILE, SCR-HUB, it is not here. UsageError: SCR-EXTRA.
        """
        name = HUB if folder is None else str(folder)
        return cls(name, fetch(name), heads)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Of the model.

        Raises:
            FileError: SCR-FILE, SCR-HUB, it is not here.
        """
        return load_tokenizer(tokenizer_file(self.folder, self.name))

    @property
    def begin(self) -> int | None:
        """The token that the model expects at the start of a text."""
        return begin_token(self.tokenizer, self.folder)

    @cached_property
    def model(self) -> Transformer:
        """The model, checked.

        Raises:
            ModelMismatch: SCR-ROLES, it lacks a head of the circuit.
        """
        from scrubbing import from_folder

        made = from_folder(self.folder, name=self.name)
        layer, index = max(layer for layer, _ in self.heads), max(index for _, index in self.heads)
        if layer >= made.n_layers or index >= made.n_heads:
            problem = f"the circuit has heads up to layer {layer} and index {index}; "
            problem += f"the model has {made.n_layers} layers of {made.n_heads} heads."
            remedy = (
                "Give GPT-2 small, or the heads of this model by role, as benchmarks.ioi.gpt2.task(folder, circuit)."
            )
            fail(ModelMismatch, "SCR-ROLES", problem, remedy, self.name)
        return made


def single_tokens(tokenizer: Any, words: Sequence[str]) -> dict[str, int]:
    """Words that a tokenizer of the library `tokenizers` makes one token, with the space before it; and the token."""
    found = {word: tokenizer.encode(f" {word}", add_special_tokens=False).ids for word in words}
    return {word: ids[0] for word, ids in found.items() if len(ids) == 1}
