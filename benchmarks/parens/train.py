"""Train the shipped paren balancer: the original study's architecture, one seed, no selection.

    python -m benchmarks.parens.train            # about 45 minutes on one core
    python -m benchmarks.parens.train --moments  # the first 10 % of the same run, of which only moments are kept

The recipe was fixed before its result was known and run once, with seed 0. The files it writes are those in this
folder.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import moments
from benchmarks.parens.strings import PAD, POSITIONS, drawn, is_balanced, tokens_of
from scrubbing.models.transformer import to_file
from scrubbing.models.transformer_lens import boot, from_bridge

HERE = Path(__file__).parent
WEIGHTS = HERE / "model.safetensors"
CURVE = HERE / "training.json"
EARLIER = HERE / "training.safetensors.xz"

CONFIG = {
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
    "seed": 0,
}
STEPS, BATCH, RATE = 12_000, 512, 1e-3
MOMENTS = (36, 360, 1_200)
"""Steps after which the weights are kept, in half precision."""
_POOL = 200
"""Steps for which strings are generated at a time."""


def batch_of(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Tokens `[n, 42]` of fresh strings and their labels `[n]`, 1 for balanced."""
    strings = drawn(n, seed)
    return torch.from_numpy(tokens_of(*strings)), torch.from_numpy(is_balanced(*strings).astype(np.int64))


def train(seed: int, steps: int, until: int) -> tuple[nn.Module, list[dict[str, float]], dict[int, dict[str, Tensor]]]:
    """The model after `until` of its steps, its loss over time, and its weights at `MOMENTS`.

    Every step sees fresh strings.
    """
    torch.manual_seed(seed)
    model = boot({**CONFIG, "seed": seed}, head_bias=True).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.05)
    curve: list[dict[str, float]] = []
    kept: dict[int, dict[str, Tensor]] = {}
    smooth, started = 0.0, time.time()
    tokens = labels = torch.empty(0)
    for step in range(until):
        if step % _POOL == 0:
            tokens, labels = batch_of(_POOL * BATCH, seed=1000 * (seed + 1) + step)
        here = slice(step % _POOL * BATCH, (step % _POOL + 1) * BATCH)
        logits = model(tokens[here], attention_mask=(tokens[here] != PAD).long())[:, 0]
        loss = nn.functional.cross_entropy(logits, labels[here])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        smooth = loss.item() if step == 0 else 0.99 * smooth + 0.01 * loss.item()
        if step + 1 in MOMENTS:
            now = from_bridge(model.eval()).weights.learned()
            kept[step + 1] = {name: weights.clone() for name, weights in now}
            model.train()
        if step % 500 == 0 or step == steps - 1:
            curve.append({"step": step, "loss": round(smooth, 6)})
            print(f"step {step:6d}  loss {smooth:.5f}  {time.time() - started:.0f} s", flush=True)
    return model.eval(), curve, kept


def evaluate(model: nn.Module, n: int, seed: int) -> dict[str, float]:
    """Loss in nats per string, its standard error, and accuracy, on fresh strings."""
    tokens, labels = batch_of(n, seed)
    with torch.inference_mode():
        logits = torch.cat([model(part, attention_mask=(part != PAD).long())[:, 0] for part in tokens.split(2000)])
    loss = nn.functional.cross_entropy(logits, labels, reduction="none")
    correct = (logits.argmax(1) == labels).float()
    return {"n": n, "loss": float(loss.mean()), "se": float(loss.std() / n**0.5), "accuracy": float(correct.mean())}


def main() -> None:
    """Train, evaluate on 100,000 fresh strings, and write weights, curve and moments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--moments", action="store_true")
    options = parser.parse_args()
    model, curve, kept = train(options.seed, options.steps, MOMENTS[-1] if options.moments else options.steps)
    if options.out == WEIGHTS:
        moments.store(kept, options.steps, EARLIER)
    if options.moments:
        return
    result = evaluate(model, 100_000, seed=777)
    print(json.dumps(result))
    notes = {"trained_by": "benchmarks/parens/train.py", "seed": str(options.seed), "steps": str(options.steps)}
    to_file(from_bridge(model), options.out, **notes)  # pyright: ignore[reportArgumentType]
    if options.out == WEIGHTS:
        CURVE.write_text(json.dumps({"curve": curve, "fresh_strings": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
