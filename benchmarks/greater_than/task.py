"""The task of greater-than: the shipped small model, and GPT-2 small from its files."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.frozen import digest, verify
from benchmarks.greater_than.prompts import NUMBERS, small, words
from hypotheses.greater_than.features import decade
from hypotheses.greater_than.ladder import SHIPPED, ladder
from scrubbing import Dataset, Settings, Task, transformer_graph
from scrubbing.metrics import AmongTokens, ProbabilityDifference

if TYPE_CHECKING:
    from scrubbing import ModelGraph
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent
PROMPTS = 3_000
_SEED = 1
"""Not one that the model was trained with."""
_DIGEST = "f7d3c4c6ced718d07425bb83257ecc4906a7909e349e03e609c450307eac31a9"


def with_larger(made: Dataset, numbers: Sequence[int]) -> Dataset:
    """Prompts with the column `larger`: which of these numbers are larger than the year."""
    return made.with_columns(larger=np.array(numbers)[None] > made["slot.YY"][:, None])


def settings(references: int) -> Settings:
    """Of a default run: the loss over numbers, and beside it the published difference of probabilities."""
    measures = ("accuracy", "kl", "changed", ProbabilityDifference(), ProbabilityDifference(of="model"))
    return Settings(references=references, draws=2, strata={"decade": decade}, measures=measures)


def loss_over(tokens: Sequence[int]) -> AmongTokens:
    """Cross-entropy of larger numbers, all equally likely, among these tokens."""
    return AmongTokens(tuple(tokens), label="larger", what="numbers")


@cache
def data() -> Dataset:
    """Prompts to scrub.

    Raises:
        BadData: SCR-FROZEN, they are not those that our numbers are about.
    """
    made = with_larger(small().draw(PROMPTS, _SEED), range(100))
    numbers = "docs/explanation/greater-than-model.md"
    remedy = "Install the version of numpy in constraints.txt: its random numbers are not promised to stay."
    verify("what the templates of greater-than give", digest(made["tokens"]), _DIGEST, numbers, remedy)
    return made


def model() -> Transformer:
    """The shipped model, trained by `benchmarks.greater_than.train`."""
    from scrubbing import from_file

    return from_file(HERE / "model.safetensors", name="small model of greater-than")


def graph() -> ModelGraph:
    """The shipped model's graph, without weights."""
    sizes: dict[str, Any] = {"d_model": 64, "d_mlp": 256, "positions": small().length}
    return transformer_graph(SHIPPED.layers, SHIPPED.heads_per_layer, **sizes, causal=True, padded=False)


def _gpt2(folder: Path | None = None) -> Task:
    from benchmarks.greater_than import gpt2

    return gpt2.task(folder)


task = Task(
    name="greater-than",
    graph=graph,
    data=data,
    model=model,
    loss=lambda: loss_over([words().number(one) for one in NUMBERS]),
    ladder=lambda: ladder(SHIPPED),
    settings=settings(400),
    variants={"gpt2": _gpt2},
)
