"""Real text that every machine has: the sources of Python's own standard library, as byte-level BPE tokens."""

from __future__ import annotations

import hashlib
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

HERE = Path(__file__).parent
TOKENIZER = HERE / "tokenizer.json"
BEGIN = 0
VOCABULARY = 512
_PARTS = {"train": range(80), "written on": range(80, 90), "held out": range(90, 100)}
"""Files by a hash of their name modulo 100: to train on, to write hypotheses on, to score them on."""


def files(part: str) -> list[Path]:
    """Source files of one part of the corpus, in order of their names; files are never in two parts."""
    root = Path(sysconfig.get_paths()["stdlib"])
    found = [path for path in root.rglob("*.py") if "site-packages" not in path.parts]
    named = sorted((path.relative_to(root).as_posix(), path) for path in found)
    return [path for name, path in named if _hash(name) in _PARTS[part]]


def _texts(part: str) -> list[str]:
    return [path.read_bytes().decode("utf-8", errors="ignore") for path in files(part)]


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % 100


@cache
def tokenizer() -> Tokenizer:
    """The committed tokenizer, trained by `train_tokenizer`."""
    from scrubbing.data.text import load_tokenizer

    return load_tokenizer(TOKENIZER)


def train_tokenizer() -> None:
    """Train byte-level BPE on the training part and write it down."""
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    made.train_from_iterator(_texts("train"), vocab_size=VOCABULARY, special_tokens=["<begin>"])
    made.save(str(TOKENIZER))


@cache
def stream(part: str) -> NDArray[np.uint16]:
    """All files of a part, one after another, each after BEGIN."""
    pieces: list[Any] = [[BEGIN, *one.ids] for one in tokenizer().encode_batch(_texts(part))]
    return np.concatenate([np.asarray(piece, dtype=np.uint16) for piece in pieces])


def sequences(part: str, n: int, length: int, seed: int) -> NDArray[np.int64]:
    """Stretches of text from random places, each after BEGIN, `[n, length]`."""
    tokens = stream(part)
    start = np.random.default_rng(seed).integers(0, len(tokens) - length, n)
    text = tokens[start[:, None] + np.arange(length - 1)].astype(np.int64)
    return np.concatenate([np.full((n, 1), BEGIN), text], axis=1)


@cache
def words() -> tuple[str, ...]:
    """How every token is written."""
    return tuple(tokenizer().decode([i], skip_special_tokens=False) for i in range(VOCABULARY))
