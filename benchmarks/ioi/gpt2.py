"""Indirect object identification on GPT-2 small, from the hub or a folder: the published circuit's ladder."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.ioi.prompts import NAMES, OBJECTS, PLACES, prompts
from benchmarks.ioi.settings import settings
from benchmarks.published import Subject, single_tokens
from hypotheses.ioi import published
from hypotheses.ioi.published import GPT2_SMALL, Circuit
from scrubbing import Dataset, ModelMismatch, Task
from scrubbing.errors import fail
from scrubbing.metrics import AmongTokens

PROMPTS = 1_000
_SEED = 1
_FEWEST = 10
"""Names that are tokens of their own, below which the tokenizer is another one than GPT-2's."""


def task(folder: Path | None = None, circuit: Circuit = GPT2_SMALL) -> Task:
    """The task on a model in a folder, or on GPT-2 small from the hub or its cache.

    Prompts are of the templates without a third name; of names, places and objects, those that are single tokens.

    Args:
        folder: with `config.json`, weights and `tokenizer.json`.
        circuit: its heads by role.

    Raises:
        FileError: SCR-FILE, SCR-HUB, the model or its tokenizer is not here. UsageError: SCR-EXTRA.
    """
    subject = Subject.at(folder, circuit.heads)

    @cache
    def names() -> dict[str, int]:
        found = single_tokens(subject.tokenizer, NAMES)
        if len(found) < _FEWEST:
            problem = f"only {len(found)} of {len(NAMES)} names are tokens of its tokenizer."
            fail(ModelMismatch, "SCR-TOKENS", problem, "Give GPT-2's own tokenizer.json.", str(subject.folder))
        return found

    @cache
    def data() -> Dataset:
        places, objects = ([*single_tokens(subject.tokenizer, some)] for some in (PLACES, OBJECTS))
        made = prompts(subject.tokenizer, subject.begin, [*names()], places, objects, third_name=False)
        drawn = made.draw(PROMPTS, _SEED)
        return drawn.with_columns(other=np.array([names()[name] for name in drawn["slot.S"]]))

    return Task(
        name="ioi-gpt2",
        data=data,
        model=lambda: subject.model,
        loss=lambda: AmongTokens(tuple(names().values()), what="names"),
        config=subject.folder,
        ladder=lambda: published.ladder(circuit),
        settings=settings(100),
        about=lambda: f"{len(circuit.heads)} heads in the published roles; {len(names())} names are single tokens.",
    )
