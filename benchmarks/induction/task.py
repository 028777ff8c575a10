"""The induction task: the same ladder on a generated language and on this project's own sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frozen import digest, verify
from benchmarks.induction import language, text
from benchmarks.induction.common import LENGTH, SEQUENCES, WRITTEN_ON, loss, settings
from hypotheses.induction import features as f
from hypotheses.induction import ladder
from hypotheses.induction.roles import Roles
from scrubbing import Dataset, Hypothesis, ModelGraph, Task, transformer_graph

if TYPE_CHECKING:
    from scrubbing import Bigram, Series
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Corpus:
    """Where the text of one model comes from; texts are given by `(n, length, seed)`."""

    vocabulary: int
    trained_on: Callable[[int, int, int], NDArray[np.int64]]
    """To fit n-grams."""
    written_on: Callable[[int, int, int], NDArray[np.int64]]
    """To find roles and candidates, and to smooth n-grams."""
    scored_on: Callable[[int, int, int], dict[str, NDArray[np.int64]]]
    """Other text, to scrub, as columns: `tokens`, and `file` if sequences come from files."""
    words: Callable[[], tuple[str, ...]]
    digest: str
    """Of what is scrubbed (`benchmarks.frozen`)."""


CORPORA = {
    "language": Corpus(
        language.VOCABULARY,
        language.generate,
        language.generate,
        lambda n, length, seed: {"tokens": language.generate(n, length, seed)},
        language.words,
        "0ffd69240df190b0baed3636e57e0f35be626fae20fcd4b3e94fd78c4472aa21",
    ),
    "python": Corpus(
        text.VOCABULARY,
        lambda n, length, seed: text.sequences("train", n, length, seed),
        lambda n, length, seed: text.sequences("written on", n, length, seed),
        lambda n, length, seed: {
            "tokens": text.sequences("held out", n, length, seed),
            "file": text.files("held out", n, length, seed),
        },
        text.words,
        "c2523fab03a8d6d7cd4edcafc75109022d1c57cb46c852fa9228f8cb992dd48d",
    ),
}


@cache
def bigram(which: str) -> Bigram:
    """Fitted on text that is not scored."""
    from scrubbing import Bigram

    corpus = CORPORA[which]
    return Bigram.fit(corpus.trained_on(WRITTEN_ON, LENGTH, 11), corpus.written_on(1000, LENGTH, 12), corpus.vocabulary)


@cache
def dataset(which: str) -> Dataset:
    """Sequences to scrub, with the candidates marked; these are found on other text.

    Raises:
        BadData: SCR-FROZEN, they are not those that our numbers are about.
    """
    corpus = CORPORA[which]
    written = corpus.written_on(WRITTEN_ON, LENGTH, 11)
    chosen = f.candidates(written, bigram(which).losses(written), corpus.vocabulary)
    columns: dict[str, NDArray[Any]] = {**corpus.scored_on(SEQUENCES, LENGTH, 14)}
    columns["candidate"] = chosen[columns["tokens"]]
    numbers = f"the {which} column of docs/explanation/induction-models.md, and snapshots of induction hypotheses"
    remedy = "Install the versions of numpy and tokenizers in constraints.txt, and our own files as they were shipped."
    verify(f"the {which} text", digest(*columns.values()), corpus.digest, numbers, remedy)
    words = corpus.words()

    def show(data: Dataset, row: int) -> str:
        joined = "" if which == "python" else " "
        return repr(joined.join(words[token] for token in data["tokens"][row, 1:].tolist()))[:200]

    return Dataset(columns, name=f"{which} text", show=show)


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
        settings=settings(
            lambda: roles(which),
            lambda: bigram(which),
            series=lambda: _series(which),
            clusters=f.file if which == "python" else None,
        ),
        also=also,
        other=_other,
    )


def _other(model: str, documents: Callable[[], list[str]]) -> Task:
    from benchmarks.induction.yours import on

    return on(model, documents).task


task = _task("language", "induction", also=("induction-python",))
python_task = _task("python", "induction-python")
