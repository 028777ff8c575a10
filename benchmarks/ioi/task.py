"""The task of indirect object identification: the shipped small model, and GPT-2 small from its files."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.frozen import digest, verify
from benchmarks.ioi.prompts import NAMES, small, words
from benchmarks.ioi.settings import settings
from hypotheses.ioi import shipped
from scrubbing import Dataset, Task, transformer_graph
from scrubbing.metrics import AmongTokens

if TYPE_CHECKING:
    from scrubbing import ModelGraph
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent
PROMPTS = 3_000
_SEED = 1
"""Not one that the model was trained with."""
_DIGEST = "f7d4ed8fb24182b25c934d4afd172f441d854d7d9c7ac0136dec9a48e1c0c019"


@cache
def data() -> Dataset:
    """Prompts to scrub.

    Raises:
        BadData: SCR-FROZEN, they are not those that our numbers are about.
    """
    made = small().draw(PROMPTS, _SEED)
    made = made.with_columns(other=np.array([words().number(name) for name in made["slot.S"]]))
    numbers = "docs/explanation/ioi-model.md"
    remedy = "Install the version of numpy in constraints.txt: its random numbers are not promised to stay."
    verify("what the templates of IOI give", digest(made["tokens"]), _DIGEST, numbers, remedy)
    return made


def model() -> Transformer:
    """The shipped model, trained by `benchmarks.ioi.train`."""
    from scrubbing import from_file

    return from_file(HERE / "model.safetensors", name="small model of IOI")


def graph() -> ModelGraph:
    """The shipped model's graph, without weights."""
    sizes: dict[str, Any] = {"d_model": 64, "d_mlp": 256, "positions": small().length}
    return transformer_graph(shipped.LAYERS, shipped.HEADS, **sizes, causal=True, padded=False)


def loss() -> AmongTokens:
    """Cross-entropy of the indirect object's name among all names."""
    return AmongTokens(tuple(words().number(name) for name in NAMES), what="names")


def _gpt2(folder: Path | None = None) -> Task:
    from benchmarks.ioi import gpt2

    return gpt2.task(folder)


task = Task(
    name="ioi",
    graph=graph,
    data=data,
    model=model,
    loss=loss,
    ladder=shipped.ladder,
    settings=settings(400),
    variants={"gpt2": _gpt2},
)
