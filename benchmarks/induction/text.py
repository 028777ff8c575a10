"""Real text, the same on every machine: the sources of this project at version 0.1, as byte-level BPE tokens.

Hypotheses are written on some of its files and scored on others. The model was trained on the rest of them, and on
the sources of packages that `constraints.txt` pins.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.frozen import digest, verify

if TYPE_CHECKING:
    from tokenizers import Tokenizer

HERE = Path(__file__).parent
SOURCES = HERE / "sources.json.gz"
"""Every Python file of version 0.1, as a JSON object of name and text. `python -m benchmarks.induction.text REVISION`
wrote it, and is not needed again."""
SOURCES_DIGEST = "b6b08f4d41999abf32a00c0bb50d0a03a96b9bad6a00ee33030874c79f33c6d4"
TOKENIZER = HERE / "tokenizer.json"
BEGIN = 0
VOCABULARY = 512
PACKAGES = {
    "accelerate": "1.15.0",
    "datasets": "5.2.0",
    "huggingface_hub": "2.4.0",
    "Jinja2": "3.1.6",
    "mpmath": "1.3.0",
    "networkx": "3.6.1",
    "pydantic": "2.14.3",
    "pytest": "9.2.0",
    "rich": "15.0.0",
    "transformer-lens": "4.3.0",
}
"""Read for training only. All are pure Python, so their files are the same everywhere."""
PACKAGES_DIGEST = "5c23e22c09257378c1f80b2558e496bfb62becacead3b4b597e738b3beca65c5"
NUMBERS = "the shipped Python model, its roles, and what docs/explanation/induction-models.md says of them"
_PARTS = {"train": range(50), "written on": range(50, 70), "held out": range(70, 100)}
"""Files by a hash of their name modulo 100: to train on, to write hypotheses on, to score them on."""
_OWN_SHARE = 0.2
"""Of the sequences that are trained on. More would be learned by heart: it comes to about 20 times the text."""


def documents(part: str) -> list[str]:
    """Texts of one part of our sources, in order of their names; a file is never in two parts.

    Raises:
        BadData: SCR-FROZEN, the file of sources is not the one that our numbers are about.
    """
    return [text for name, text in _sources().items() if _hash(name) in _PARTS[part]]


@cache
def _sources() -> dict[str, str]:
    raw = SOURCES.read_bytes() if SOURCES.is_file() else b""
    with suppress(OSError, EOFError, zlib.error):  # a file that cannot be unpacked is not the text either
        raw = gzip.decompress(raw)
    verify(
        SOURCES.name, digest(raw), SOURCES_DIGEST, NUMBERS, "Install the package again, or check the file out again."
    )
    return json.loads(raw)


def _hash(name: str) -> int:
    return int(digest(name)[:16], 16) % 100


@cache
def tokenizer() -> Tokenizer:
    """The committed tokenizer, trained by `train_tokenizer`."""
    from scrubbing.data import load_tokenizer

    return load_tokenizer(TOKENIZER)


@cache
def words() -> tuple[str, ...]:
    """How every token is written."""
    return tuple(tokenizer().decode([i], skip_special_tokens=False) for i in range(VOCABULARY))


@cache
def _stretches(part: str, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All of a part that fills whole stretches, `[n, length]`, and the number of the file of each, `[n]`."""
    cut: list[NDArray[np.int64]] = []
    for one in tokenizer().encode_batch(documents(part)):
        n = len(one.ids) // (length - 1)
        cut.append(np.array(one.ids[: n * (length - 1)], dtype=np.int64).reshape(n, length - 1))
    file = np.repeat(np.arange(len(cut)), [len(one) for one in cut])
    return np.insert(np.concatenate(cut), 0, BEGIN, axis=1), file


def sequences(part: str, n: int, length: int, seed: int) -> NDArray[np.int64]:
    """At most so many stretches of text, each of one file, none of which overlap, after BEGIN, `[n, length]`.

    Args:
        part: of the files.
        n: sequences; fewer if the part is shorter.
        length: tokens of a sequence, BEGIN included.
        seed: decides which they are, and their order.
    """
    return _stretches(part, length)[0][_order(part, n, length, seed)]


def files(part: str, n: int, length: int, seed: int) -> NDArray[np.int64]:
    """The number of the file that each of these `sequences` is from, `[n]`."""
    return _stretches(part, length)[1][_order(part, n, length, seed)]


def _order(part: str, n: int, length: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(len(_stretches(part, length)[1]))[:n]


# What follows makes the tokenizer, and the text that the model is trained on.


def packages() -> list[str]:
    """Texts of the packages' Python files.

    Raises:
        BadData: SCR-FROZEN, a package is missing or of another version.
    """
    install = "pip install " + " ".join(f"{name}=={version}" for name, version in PACKAGES.items())
    found: dict[str, bytes] = {}
    for name in PACKAGES:
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            files = ()
        found |= {one.as_posix(): Path(str(one.locate())).read_bytes() for one in files if one.suffix == ".py"}
    named = [part for name in sorted(found) for part in (name, found[name])]
    verify("the text to train on", digest(*named), PACKAGES_DIGEST, NUMBERS, f"To train it again: {install}.")
    return [found[name].decode(errors="ignore") for name in sorted(found)]


def train_tokenizer() -> None:
    """Train byte-level BPE on what the model is trained on, and write it down."""
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    texts = [*documents("train"), *packages()]
    made.train_from_iterator(texts, vocab_size=VOCABULARY, special_tokens=["<begin>"])
    made.save(str(TOKENIZER))


@cache
def _stream(own: bool) -> NDArray[np.uint16]:
    """Documents to train on, one after another, each after BEGIN."""
    encoded = tokenizer().encode_batch(documents("train") if own else packages())
    pieces: list[Any] = [[BEGIN, *one.ids] for one in encoded]
    return np.concatenate([np.asarray(piece, dtype=np.uint16) for piece in pieces])


def to_train_on(n: int, length: int, seed: int) -> NDArray[np.int64]:
    """Stretches from random places, each after BEGIN, `[n, length]`: a fifth of our sources, the rest of packages."""
    rng = np.random.default_rng(seed)
    own = rng.random(n) < _OWN_SHARE
    found = np.full((n, length), BEGIN, dtype=np.int64)
    for rows, stream in ((own, _stream(True)), (~own, _stream(False))):
        start = rng.integers(0, len(stream) - length, int(rows.sum()))
        found[rows, 1:] = stream[start[:, None] + np.arange(length - 1)]
    return found


def freeze(revision: str) -> None:
    """Write every Python file of a revision of this project, but the empty ones, into `SOURCES`."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=HERE.parents[1], check=True, capture_output=True).stdout.decode()

    names = sorted(git("ls-tree", "-r", "--name-only", revision).split("\n"))
    texts = {name: git("show", f"{revision}:{name}") for name in names if name.endswith(".py")}
    raw = json.dumps({name: text for name, text in texts.items() if text}, indent=0).encode()
    SOURCES.write_bytes(gzip.compress(raw, mtime=0))


if __name__ == "__main__":
    freeze(sys.argv[1])
