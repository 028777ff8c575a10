"""The induction task on a model and text of the user's own.

The hypothesis is written on the first half of the text (roles of heads, candidate tokens, bigram) and scored on the
second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.induction.common import LENGTH, REFERENCES, SEQUENCES, WRITTEN_ON, loss, settings
from hypotheses.induction import features as f
from hypotheses.induction import ladder
from hypotheses.induction.roles import Roles, find_roles
from scrubbing import BadData, Dataset, Hypothesis, Task
from scrubbing.data import begin_token, fetch, load_tokenizer, stretches, tokenizer_file
from scrubbing.errors import fail

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from scrubbing import Bigram
    from scrubbing.models.transformer import Transformer

LEAST = 80
"""Sequences without which there is neither enough to write a hypothesis on nor to score it on."""
_ROLES_ON = 100
"""Sequences that roles are found on."""


def on(model: str, documents: Callable[[], list[str]]) -> Subject:
    """A model with its text, for another task of the same kind.

    Args:
        model: a folder, or a repository of the hub.
        documents: texts; asked for once the model is there.

    Raises:
        FileError: SCR-FILE, SCR-HUB, the model or its tokenizer is not here. UsageError: SCR-EXTRA.
    """
    folder = fetch(model)
    tokenizer = load_tokenizer(tokenizer_file(folder, model))
    return Subject(model, folder, tokenizer, documents())


@dataclass(frozen=True)
class Subject:
    """A model with its text; everything is computed when first asked for, once."""

    name: str
    folder: Path
    tokenizer: Tokenizer
    documents: list[str]

    @cached_property
    def model(self) -> Transformer:
        """The model, checked."""
        from scrubbing import from_folder

        return from_folder(self.folder, name=self.name)

    @cached_property
    def sequences(self) -> NDArray[np.int64]:
        """All of the text, in order, `[n, length]`.

        Raises:
            BadData: SCR-TEXT, too little text; SCR-TOKENS, the tokenizer is another model's.
        """
        weights = self.model.weights
        context = len(weights.rotary[0]) if weights.rotary is not None else LENGTH
        context = len(weights.W_pos) if weights.W_pos is not None else context
        begin = begin_token(self.tokenizer, self.folder)
        found = stretches(self.documents, self.tokenizer, begin, min(LENGTH, context), LEAST)
        vocabulary = len(weights.W_E)
        if int(found.max()) >= vocabulary:
            problem = f"token {int(found.max())} is outside the model's vocabulary of {vocabulary}."
            fail(BadData, "SCR-TOKENS", problem, "Put the model's own tokenizer.json into its folder.", self.name)
        return found

    @property
    def written(self) -> NDArray[np.int64]:
        """What hypotheses are written on: sequences of the first half."""
        return _some(self.sequences[: len(self.sequences) // 2], WRITTEN_ON + 1000, 11)

    @property
    def scored(self) -> NDArray[np.int64]:
        """What they are scored on: sequences of the second half."""
        return _some(self.sequences[len(self.sequences) // 2 :], SEQUENCES, 14)

    @cached_property
    def roles(self) -> Roles:
        """Found on text that is not scored."""
        return find_roles(self.model, _some(self.written, _ROLES_ON, 13))

    @cached_property
    def bigram(self) -> Bigram:
        """Of the text that is not scored; a fifth of it decides the smoothing."""
        from scrubbing import Bigram

        fifth = len(self.written) // 5
        return Bigram.fit(self.written[fifth:], self.written[:fifth], len(self.model.weights.W_E))

    @cached_property
    def data(self) -> Dataset:
        """Sequences to scrub, with the candidates marked.

        Raises:
            BadData: SCR-TEXT, copying helps after no token of the text.
        """
        vocabulary = len(self.model.weights.W_E)
        chosen = f.candidates(self.written, self.bigram.losses(self.written), vocabulary)
        marked = chosen[self.scored]
        if not marked[:, :-1].any():
            problem = "copying what followed an earlier copy helps after none of its tokens."
            fail(BadData, "SCR-TEXT", problem, "Give more text, or text that repeats itself within 128 tokens.", "text")

        def show(data: Dataset, row: int) -> str:
            return repr(self.tokenizer.decode(data["tokens"][row].tolist()))[:200]

        return Dataset({"tokens": self.scored, "candidate": marked}, name=f"text for {self.name}", show=show)

    @cached_property
    def rungs(self) -> list[Hypothesis]:
        """The rungs that say something about a model with these roles."""
        skipped = ladder.left_out(self.roles)
        return [rung for rung in ladder.ladder(self.roles) if rung.name.rpartition("/")[2] not in skipped]

    @property
    def task(self) -> Task:
        """The induction task."""
        return Task(
            name=f"induction on {self.name}",
            graph=lambda: self.model.graph(self.data),
            data=lambda: self.data,
            model=lambda: self.model,
            loss=loss,
            ladder=lambda: self.rungs,
            settings=settings(lambda: self.roles, lambda: self.bigram, min(REFERENCES, len(self.scored))),
            about=self.about,
        )

    def about(self) -> str:
        """What the hypotheses rest on."""
        skipped = ladder.left_out(self.roles)
        halves = (
            f"Roles and candidates are from {len(self.written):,} sequences, losses from {len(self.scored):,} others."
        )
        return "\n".join(
            [halves, self.roles.describe(), *(f"{name} is left out: {why}." for name, why in skipped.items())]
        )


def _some(sequences: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Not more than so many, in order."""
    if len(sequences) <= most:
        return sequences
    return sequences[np.sort(np.random.default_rng(seed).permutation(len(sequences))[:most])]
