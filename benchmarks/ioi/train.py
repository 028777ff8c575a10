"""Train the shipped model of indirect object identification: `python -m benchmarks.ioi.train`.

Three layers with four heads each and MLPs, on fresh prompts at every step, to predict every next token; one seed. The
recipe was fixed before it was known what the model would come to do. About six minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.decoder import Recipe, Shape, train
from benchmarks.ioi.prompts import small, words

WEIGHTS = Path(__file__).parent / "model.safetensors"


def texts(n: int, seed: int) -> torch.Tensor:
    """Prompts with their answers as tokens, `[n, 20]`."""
    data = small().draw(n, seed)
    return torch.from_numpy(np.concatenate([data["tokens"], data["label"][:, None]], axis=1))


def main() -> None:
    """Train, and write weights and curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5_000)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    shape = Shape(len(words()), small().length)
    recipe = Recipe(shape, texts, steps=options.steps, seed=options.seed)
    train(recipe, "benchmarks/ioi/train.py", options.out)


if __name__ == "__main__":
    main()
