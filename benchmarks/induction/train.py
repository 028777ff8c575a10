"""Train the shipped attention-only models: one seed each, no selection.

    python -m benchmarks.induction.train language      # about 25 minutes on one core
    python -m benchmarks.induction.train python        # about 50 minutes on one core

Beside the weights this writes the training curve with the prefix-matching score of every head, and the weights at a few
moments of training, which say how much training a scrubbed model is worth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from benchmarks import moments as packed
from benchmarks.induction import language, text
from benchmarks.induction.network import AttentionOnly, Shape
from scrubbing.models.transformer import to_file

HERE = Path(__file__).parent
BATCH, RATE, WARM_UP = 32, 3e-3, 200
MOMENTS = (0.003, 0.01, 0.03, 0.1, 0.3, 0.6)
"""Shares of training after which weights are kept."""
_POOL = 100
"""Steps for which texts are made at a time."""


@dataclass(frozen=True)
class Recipe:
    """What one model is trained on."""

    shape: Shape
    steps: int
    texts: Callable[[int, int, int], NDArray[np.int64]]
    """Number, length and seed to token ids."""
    fresh: Callable[[int, int, int], NDArray[np.int64]]
    """The same, of texts that are never trained on."""
    spans: float = 0.0
    """Share of sequences with a recurring span at the start; falls to zero by three fifths of training."""
    random_spans: bool = False
    """Spans of random tokens instead of the text's own. The generated language is so predictable that copying its own
    spans taught no head to look for copies within 8 million tokens."""


RECIPES = {
    "language": Recipe(Shape(language.VOCABULARY, 128), 5_000, language.generate, language.generate, 0.75, True),
    "python": Recipe(
        Shape(text.VOCABULARY, 128),
        9_000,
        text.to_train_on,
        lambda n, length, seed: text.sequences("written on", n, length, seed),
        spans=0.75,
    ),
}


def with_spans(
    tokens: NDArray[np.int64], share: float, rng: np.random.Generator, vocabulary: int | None = None
) -> NDArray[np.int64]:
    """Sequences of which this share repeats a stretch of 8 to 55 tokens, at any distance; given a vocabulary, the
    stretch is random.
    """
    tokens = tokens.copy()
    length = tokens.shape[1]
    for row in np.flatnonzero(rng.random(len(tokens)) < share):
        span = int(rng.integers(8, 56))
        first = int(rng.integers(1, length - 2 * span))
        second = int(rng.integers(first + span, length - span + 1))
        if vocabulary is not None:
            tokens[row, first : first + span] = rng.integers(1, vocabulary, span)
        tokens[row, second : second + span] = tokens[row, first : first + span]
    return tokens


def loss_of(model: AttentionOnly, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of every next token, in nats."""
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@torch.no_grad()
def prefix_matching(model: AttentionOnly, seed: int = 0, n: int = 16) -> list[list[float]]:
    """Attention from the second half of repeated random tokens to one after the earlier copy, per layer and head.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", appendix.
    """
    half = model.shape.context // 2
    generator = torch.Generator().manual_seed(seed)
    random = torch.randint(1, model.shape.vocabulary, (n, half), generator=generator)
    tokens = torch.cat([random, random], dim=1)
    stream = model.embed(tokens)
    scores: list[list[float]] = []
    for block in model.blocks:
        x = block.norm(stream) + model.position[: 2 * half]  # pyright: ignore[reportCallIssue]
        query, key = block.query_key(x).unflatten(-1, (2 * model.shape.heads, -1)).transpose(1, 2).chunk(2, dim=1)  # pyright: ignore[reportCallIssue]
        above = torch.ones(2 * half, 2 * half, dtype=torch.bool).triu(1)
        pattern = (query @ key.transpose(2, 3) * model.shape.d_head**-0.5).masked_fill(above, -torch.inf).softmax(-1)
        scores.append(pattern.diagonal(1 - half, dim1=2, dim2=3).mean((0, 2)).tolist())
        stream = stream + block(stream, model.position[: 2 * half])
    return scores


def train(recipe: Recipe, seed: int) -> tuple[AttentionOnly, list[dict[str, object]], dict[int, dict[str, Tensor]]]:
    """The trained model, its curve, and its weights at the moments."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = AttentionOnly(recipe.shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / WARM_UP, total_iters=WARM_UP)
    cool = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps - WARM_UP, RATE / 30)
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm, cool], [WARM_UP])
    curve: list[dict[str, object]] = []
    kept: dict[int, dict[str, Tensor]] = {}
    moments = {max(1, round(share * recipe.steps)) for share in MOMENTS}
    fresh = torch.from_numpy(recipe.fresh(256, recipe.shape.context, 10_000_000 + seed))
    tokens, started = torch.empty(0), time.time()
    for step in range(recipe.steps):
        if step % _POOL == 0:
            share = recipe.spans * max(0.0, 1 - step / (0.6 * recipe.steps))
            made = recipe.texts(_POOL * BATCH, recipe.shape.context, 1_000_000 * seed + step)
            vocabulary = recipe.shape.vocabulary if recipe.random_spans else None
            tokens = torch.from_numpy(with_spans(made, share, rng, vocabulary))
        here = step % _POOL * BATCH
        loss = loss_of(model, tokens[here : here + BATCH])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        done = step + 1
        if done in moments:
            kept[done] = {key: value.detach().clone() for key, value in model.state_dict().items()}
        if done % 500 == 0 or done in moments:
            with torch.no_grad():
                plain = float(loss_of(model, fresh))
            matching = [[round(score, 4) for score in layer] for layer in prefix_matching(model)]
            count = done * BATCH * recipe.shape.context
            curve.append({"step": done, "tokens": count, "loss": round(plain, 4), "prefix_matching": matching})
            best = max(score for layer in matching for score in layer)
            print(f"step {done:6d}  loss {plain:.4f}  prefix {best:.3f}  {time.time() - started:.0f} s", flush=True)
    return model.eval(), curve, kept


def main() -> None:
    """Train one model and write weights, curve and moments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=sorted(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    recipe = RECIPES[options.which]
    model, curve, kept = train(recipe, options.seed)
    notes = {"trained_by": "benchmarks/induction/train.py", "seed": str(options.seed), "steps": str(recipe.steps)}
    to_file(model.scrubbable(options.which), options.out / f"{options.which}.safetensors", **notes)
    packed.store(kept, recipe.steps, options.out / f"{options.which}_training.safetensors.xz")
    lines = ",\n".join(json.dumps(point) for point in curve)
    (options.out / f"{options.which}_training.json").write_text(f'{{"curve": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
