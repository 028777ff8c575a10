"""The paren task: our model on generated strings, and the original model on the original strings."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.frozen import digest, verify
from benchmarks.parens.strings import CLOSE, END, OPEN, PAD, POSITIONS, START, drawn, tokenize, tokens_of
from hypotheses.parens import features as f
from hypotheses.parens import original, shipped
from scrubbing import Dataset, FileError, ModelGraph, Settings, Task, transformer_graph
from scrubbing.errors import fail

if TYPE_CHECKING:
    from scrubbing import Classification, Series
    from scrubbing.models.transformer import Transformer

HERE = Path(__file__).parent
STRINGS = 100_000
"""Strings in the generated dataset, as many as the original had."""
_SEED = 1
"""Not one that the model was trained with."""
_DIGEST = "67a8fbb750dc158880d9dbe639913068acf3b5f36400647a42d1a679bd3c4324"

SETTINGS = Settings(
    strata={"balanced": f.balanced, "count fails": ~f.count_ok, "horizon fails": ~f.horizon_ok},
    memory=5 * 2**30,  # the whole ladder keeps 1.9 GiB of the strings' activations, which are slow to read from files
)

ORIGINAL_CONFIG = {
    "n_layers": 3,
    "n_heads": 2,
    "d_model": 56,
    "d_head": 28,
    "d_mlp": 56,
    "n_ctx": POSITIONS,
    "d_vocab": 5,
    "d_vocab_out": 2,
    "act_fn": "relu",
    "normalization_type": "LN",
    "attention_dir": "bidirectional",
}
ORIGINAL_WEIGHTS_HASH = "f716c3f20c8644d6c28eac94d5c35fc9"
ORIGINAL_STRINGS_HASH = "5c32d5b31bb6912bb3455186c516c11d"
_WEIGHT_FILES = ("model.safetensors", "brackets_model_state_dict.pt")
_STRING_FILES = ("strings.txt.gz", "strings.txt")


def dataset(tokens: np.ndarray, name: str) -> Dataset:
    """Tokens as a dataset with them, their padding mask, and a label (1 for balanced)."""
    data = Dataset({"tokens": tokens, "mask": tokens != PAD}, name=name, show=show, pad=PAD)
    return data.with_columns(label=f.balanced(data).astype(np.int64))


def show(data: Dataset, row: int) -> str:
    """One input as the string it is."""
    character = {OPEN: "(", CLOSE: ")", START: "", END: "", PAD: ""}
    return "".join(character[token] for token in data["tokens"][row].tolist())


def graph() -> ModelGraph:
    """Both models' graph, without weights."""
    return transformer_graph(3, 2, d_model=56, d_mlp=56, positions=POSITIONS, causal=False, padded=True)


def loss() -> Classification:
    """Cross-entropy of the label at position 0."""
    from scrubbing import Classification

    return Classification("label", position=0)


def our_model() -> Transformer:
    """The shipped model, trained by `benchmarks.parens.train`."""
    from scrubbing import from_file

    return from_file(HERE / "model.safetensors", name="paren balancer")


def our_data(n: int = STRINGS, seed: int = _SEED) -> Dataset:
    """Strings by the original recipe.

    Raises:
        BadData: SCR-FROZEN, those of the benchmark came out otherwise than where its numbers were measured.
    """
    made = dataset(tokens_of(*drawn(n, seed)), f"generated parens (seed {seed})")
    if (n, seed) == (STRINGS, _SEED):
        numbers = "docs/explanation/our-paren-model.md, the README, and snapshots of paren hypotheses"
        remedy = "Install the version of numpy in constraints.txt: its random numbers are not promised to stay."
        verify("what the recipe of the parens gives", digest(made["tokens"]), _DIGEST, numbers, remedy)
    return made


def original_task(folder: str | Path) -> Task:
    """The original model and strings, from files the user has fetched; their contents are checked by hash.

    Args:
        folder: with `model.safetensors` or `brackets_model_state_dict.pt`, and `strings.txt.gz` or `strings.txt`.

    Raises:
        FileError: SCR-FILE, a file is missing, unreadable, or not the original.
    """
    path = Path(folder)

    def model() -> Transformer:
        from scrubbing import from_file

        file = _first(path, _WEIGHT_FILES)
        loaded = from_file(file, ORIGINAL_CONFIG, name="original paren balancer")
        _verify(file, "weights", loaded.weights_hash(), ORIGINAL_WEIGHTS_HASH)
        return loaded

    def data() -> Dataset:
        file = _first(path, _STRING_FILES)
        text = _text(file)
        _verify(file, "strings", hashlib.sha256(text.encode()).hexdigest()[:32], ORIGINAL_STRINGS_HASH)
        made = dataset(tokenize(text.split()), "original parens")
        from benchmarks.parens.adjusted import adjusted_open_share

        return made.with_columns(adjusted_open_share=adjusted_open_share(once(), made["tokens"]))

    once = _cached(model)
    return Task("parens-original", graph, data, once, loss, ladder=original.ladder, settings=SETTINGS)


def _cached(make: Callable[[], Transformer]) -> Callable[[], Transformer]:
    made: list[Transformer] = []

    def once() -> Transformer:
        if not made:
            made.append(make())
        return made[0]

    return once


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    problem = f"{folder} has none of: {', '.join(names)}."
    remedy = (
        "Fetch the weights from callummcdougall/ARENA_2.0 (part4_interp_on_algorithmic_model) and the strings from "
        "redwoodresearch/remix_public (remix_d4_data/parens.zip, as one string per line)."
    )
    fail(FileError, "SCR-FILE", problem, remedy)


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
        return (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        problem = f"it cannot be read ({type(error).__name__}: {error})."
        fail(FileError, "SCR-FILE", problem, "The file is truncated or of another kind: fetch it again.", str(file))


def _verify(file: Path, what: str, found: str, wanted: str) -> None:
    if found != wanted:
        problem = f"these {what} are not the original study's (content hash {found}, expected {wanted})."
        fail(
            FileError,
            "SCR-FILE",
            problem,
            "Fetch the original files; converted ones must hold the same numbers.",
            str(file),
        )


def _series() -> Series:
    from benchmarks.parens.moments import series

    return series()


task = Task(
    name="parens",
    graph=graph,
    data=our_data,
    model=our_model,
    loss=loss,
    ladder=shipped.ladder,
    settings=replace(SETTINGS, series=_series),
    variants={"redwood": original_task},
)
