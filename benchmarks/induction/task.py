"""The induction task: the same ladder on a generated language and on Python's own sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.induction import language, text
from benchmarks.induction.common import LENGTH, SEQUENCES, WRITTEN_ON, loss, settings
from hypotheses.induction import features as f
from hypotheses.induction import ladder
from hypotheses.induction.roles import Roles
from scrubbing import Dataset, Hypothesis, ModelGraph, Task, transformer_graph

if TYPE_CHECKING:
    from scrubbing import Bigram, Series
    from scrubbing.models.transformer.model import Transformer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Corpus:
    """Where the text of one model comes from; every function is `(n, length, seed) -> tokens`."""

    vocabulary: int
    written_on: Callable[[int, int, int], NDArray[np.int64]]
    """To find roles and candidates, and to fit n-grams."""
    scored_on: Callable[[int, int, int], NDArray[np.int64]]
    """Other text, to scrub."""
    words: Callable[[], tuple[str, ...]]


CORPORA = {
    "language": Corpus(language.VOCABULARY, language.generate, language.generate, language.words),
    "python": Corpus(
        text.VOCABULARY,
        lambda n, length, seed: text.sequences("written on", n, length, seed),
        lambda n, length, seed: text.sequences("held out", n, length, seed),
        text.words,
    ),
}


@cache
def bigram(which: str) -> Bigram:
    """Fitted on the text that the hypotheses were written on."""
    from scrubbing import Bigram

    corpus = CORPORA[which]
    return Bigram.fit(corpus.written_on(WRITTEN_ON, LENGTH, 11), corpus.written_on(1000, LENGTH, 12), corpus.vocabulary)


@cache
def dataset(which: str) -> Dataset:
    """Sequences to scrub, with the candidates marked; these are found on other text."""
    corpus = CORPORA[which]
    written = corpus.written_on(WRITTEN_ON, LENGTH, 11)
    chosen = f.candidates(written, bigram(which).losses(written), corpus.vocabulary)
    tokens = corpus.scored_on(SEQUENCES, LENGTH, 14)
    words = corpus.words()

    def show(data: Dataset, row: int) -> str:
        joined = "" if which == "python" else " "
        return repr(joined.join(words[token] for token in data["tokens"][row, 1:].tolist()))[:200]

    return Dataset({"tokens": tokens, "candidate": chosen[tokens]}, name=f"{which} text", show=show)


def model(which: str) -> Transformer:
    """The shipped model, trained by `benchmarks.induction.train`."""
    from scrubbing import from_file

    return from_file(HERE / f"{which}.safetensors", name=f"two-layer attention-only, {which}")


def roles(which: str) -> Roles:
    """Of the shipped model, as found by `find_roles` and written down."""
    return Roles.load(HERE / f"{which}_roles.json")


def graph() -> ModelGraph:
    """Both models' graph, without weights."""
    sizes = {"d_model": 128, "d_mlp": None, "positions": LENGTH}
    return transformer_graph(2, 8, **sizes, causal=True, padded=False, learned_positions=False)  # pyright: ignore


def rungs(which: str) -> list[Hypothesis]:
    """The ladder for one model."""
    return ladder.ladder(roles(which))


def _series(which: str) -> Series:
    from benchmarks.induction.moments import series

    return series(which, lambda: model(which))


def _task(which: str, name: str, also: tuple[str, ...] = ()) -> Task:
    return Task(
        name=name,
        graph=graph,
        data=lambda: dataset(which),
        model=lambda: model(which),
        loss=loss,
        ladder=lambda: rungs(which),
        settings=settings(lambda: roles(which), lambda: bigram(which), series=lambda: _series(which)),
        also=also,
        other=_other,
    )


def _other(model: str, documents: Callable[[], list[str]]) -> Task:
    from benchmarks.induction.yours import on

    return on(model, documents).task


task = _task("language", "induction", also=("induction-python",))
python_task = _task("python", "induction-python")
