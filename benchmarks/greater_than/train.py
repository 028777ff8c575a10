"""Train the shipped model of greater-than: `python -m benchmarks.greater_than.train`.

Two layers with four heads each and MLPs, on fresh prompts at every step, each with a later year of the century, all
equally likely; one seed. About three minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.decoder import Recipe, Shape, train
from benchmarks.greater_than.prompts import NUMBERS, small, words

WEIGHTS = Path(__file__).parent / "model.safetensors"


def texts(n: int, seed: int) -> torch.Tensor:
    """Prompts with an answer as tokens, `[n, 13]`."""
    data = small().draw(n, seed)
    year = data["slot.YY"]
    later = year + 1 + (np.random.default_rng(seed + 1).random(n) * (99 - year)).astype(np.int64)
    number = np.array([words().number(one) for one in NUMBERS])
    return torch.from_numpy(np.concatenate([data["tokens"], number[later][:, None]], axis=1))


def main() -> None:
    """Train, and write weights and curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    shape = Shape(len(words()), small().length, layers=2)
    recipe = Recipe(shape, texts, steps=options.steps, seed=options.seed)
    train(recipe, "benchmarks/greater_than/train.py", options.out)


if __name__ == "__main__":
    main()
