"""Weights of a shipped model at moments of its training, in one packed file."""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safetensors.torch import load, save
from torch import Tensor

_FILTERS: list[dict[str, Any]] = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 1, "pb": 1}]
"""Half of the bytes of numbers in half precision are sign and exponent, which vary little, and the others noise: `lp`
codes them apart. Packed in the wheel alone, by deflate, the same files take a tenth more."""


@dataclass(frozen=True)
class Moments:
    """Weights by step, and by name; and how many steps the whole training has."""

    weights: Mapping[int, Mapping[str, Tensor]]
    steps: int


def store(weights: Mapping[int, Mapping[str, Tensor]], steps: int, path: Path) -> None:
    """Write weights to a file that `stored` reads, in half precision."""
    tensors = {f"{step}/{name}": one.half() for step, named in weights.items() for name, one in named.items()}
    path.write_bytes(lzma.compress(save(tensors, {"steps": str(steps)}), filters=_FILTERS))


@cache
def stored(path: Path) -> Moments:
    """What `store` wrote, in single precision."""
    raw = lzma.decompress(path.read_bytes())
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    weights: dict[int, dict[str, Tensor]] = {}
    for key, one in load(raw).items():
        step, _, name = key.partition("/")
        weights.setdefault(int(step), {})[name] = one.float()
    return Moments(dict(sorted(weights.items())), int(header["__metadata__"]["steps"]))
