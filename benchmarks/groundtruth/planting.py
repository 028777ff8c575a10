"""Train the models of `planted.py`: interchange intervention training, one seed each, no selection.

    python -m benchmarks.groundtruth.planting            # about a minute on one core

Beside the task a model is trained on *interchange interventions*: a node that is to carry a variable holds another
input's activation, and the model has to answer what the interpretation answers when that variable is set to the other
input's value. Source: Geiger, Wu, Lu, Rozner, Kreiss, Icard, Goodman and Potts, "Inducing causal structure for
interpretable neural networks" (2022). That all variables are set at once, and all that is not planted holds other
inputs meanwhile, is ours: without it a node may carry a variable that other nodes carry as well. Answers that are the
parity of two variables were tried first, and not learned.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.groundtruth.planted import DIGITS, NEURONS, PLANS, Plan
from benchmarks.groundtruth.truth import all_rows
from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Weights, assemble, to_file

WIDTH, HEADS, OF_A_HEAD, LAYERS = 32, 2, 16, 2
STEPS, BATCH, RATE = 1_500, 256, 3e-3
_SPEC = Spec("planted", False, OF_A_HEAD**-0.5)


def fresh(plan: Plan, generator: torch.Generator) -> Weights:
    """Random weights that can be trained."""

    def made(*shape: int, scale: float) -> Tensor:
        return (torch.randn(*shape, generator=generator) * scale).requires_grad_()

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(*shape).requires_grad_()

    norm, small = Norm("none"), WIDTH**-0.5
    attention = [
        Attention(
            norm,
            W_Q=made(HEADS, WIDTH, OF_A_HEAD, scale=small),
            W_K=made(HEADS, WIDTH, OF_A_HEAD, scale=small),
            W_V=made(HEADS, WIDTH, OF_A_HEAD, scale=small),
            W_O=made(HEADS, OF_A_HEAD, WIDTH, scale=small),
        )
        for _ in range(LAYERS)
    ]
    mlps = [
        Mlp(
            norm,
            made(WIDTH, NEURONS, scale=small),
            made(NEURONS, WIDTH, scale=NEURONS**-0.5),
            zeros(NEURONS),
            zeros(WIDTH),
        )
        for _ in range(LAYERS)
    ]
    return Weights(
        made(plan.kinds + 1, WIDTH, scale=1.0),
        made(WIDTH, plan.outputs, scale=small),
        tuple(attention),
        tuple(mlps),
        norm,
        b_U=zeros(plan.outputs),
        W_pos=made(DIGITS + 2, WIDTH, scale=1.0),
    )


def heads(attention: Attention, stream: Tensor) -> list[Tensor]:
    """What each head writes, `[n, positions, d]`."""
    q, k, v = (
        torch.einsum("npd,hde->hnpe", stream, matrix) for matrix in (attention.W_Q, attention.W_K, attention.W_V)
    )
    pattern = (q @ k.transpose(-1, -2) * _SPEC.attention_scale).softmax(-1)
    return list(torch.einsum("hnpe,hed->hnpd", pattern @ v, attention.W_O))


def neurons(mlp: Mlp, stream: Tensor) -> Tensor:
    """Activations of an MLP's neurons."""
    return torch.relu(stream @ mlp.W_in + _there(mlp.b_in))


def writes(weights: Weights, plan: Plan, tokens: Tensor) -> list[Tensor]:
    """What each node below MLP 1 writes at the last position, `[n, d]`; first the two that are to carry variables."""
    (first, second), (mlp, _) = weights.attention, weights.mlps
    embedded, bias = weights.W_E[tokens] + _there(weights.W_pos), _there(mlp.b_out)
    below = heads(first, embedded)
    active = neurons(mlp, embedded + sum(below))
    after = heads(second, embedded + sum(below) + active @ mlp.W_out + bias)
    groups = plan.groups or ()
    parts = [active[..., one] @ mlp.W_out[one] for one in groups] or [active @ mlp.W_out]
    order = [*parts, *after] if groups else [*after, *parts]
    return [one[:, -1] for one in (*order, embedded + bias, *below)]


def answers(weights: Weights, read: Tensor, beside: Tensor) -> Tensor:
    """Logits, from what MLP 1 reads, and what reaches the output beside it."""
    mlp = weights.mlps[1]
    return (neurons(mlp, read) @ mlp.W_out + _there(mlp.b_out) + beside) @ weights.W_U + _there(weights.b_U)


def _there(bias: Tensor | None) -> Tensor:
    assert bias is not None
    return bias


def interchange(weights: Weights, plan: Plan, symbols: np.ndarray, rng: np.random.Generator) -> Tensor:
    """The loss of one batch: the task, each variable exchanged alone, and both with all else exchanged too."""
    n = len(symbols)
    written = writes(weights, plan, torch.tensor(plan.tokens(symbols, rng.integers(plan.kinds, size=n))))
    first, second, label = plan.of(symbols)
    own = sum(written, torch.zeros(()))

    def another() -> np.ndarray:
        return rng.permutation(n)

    def rest(nodes: list[Tensor]) -> Tensor:
        """Held by another input, one for all or one for each."""
        one = another()
        apart = rng.random() < 0.5
        return sum((node[another() if apart else one] for node in nodes), torch.zeros(()))

    def loss(logits: Tensor, wanted: np.ndarray) -> Tensor:
        return F.cross_entropy(logits, torch.tensor(wanted))

    total = loss(answers(weights, own, own), label)
    a, b = another(), another()
    for i, (rows, wanted) in enumerate(((a, plan.answer(first[a], second)), (b, plan.answer(first, second[b])))):
        read = own - written[i] + written[i][rows]
        total = total + loss(answers(weights, read, own), wanted)
    read = written[0][a] + written[1][b] + rest(written[2:])
    return total + 2 * loss(answers(weights, read, rest(written)), plan.answer(first[a], second[b]))


def train(plan: Plan, seed: int, steps: int) -> tuple[Weights, float]:
    """Trained weights, and the mean loss of the last hundred steps."""
    rng = np.random.default_rng([seed, 5])
    weights = fresh(plan, torch.Generator().manual_seed(seed))
    learned = [tensor for _, tensor in weights.learned()]
    optimizer = torch.optim.AdamW(learned, lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    rows, last = all_rows(*[plan.kinds] * DIGITS), list[float]()
    first, second, _ = plan.of(rows)
    _, stratum, size = np.unique(10 * first + second, return_inverse=True, return_counts=True)
    share = 1 / size[stratum]
    started = time.perf_counter()
    for step in range(steps):
        loss = interchange(weights, plan, rows[rng.choice(len(rows), BATCH, p=share / share.sum())], rng)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        last = [*last[-99:], loss.item()]
        if step % 500 == 0 or step == steps - 1:
            told = f"step {step:5d}  loss {np.mean(last):.5f}  {time.perf_counter() - started:.0f} s"
            sys.stdout.write(f"{plan.name}  {told}\n")
            sys.stdout.flush()
    return weights.to("cpu", torch.float32), float(np.mean(last))


def main() -> None:
    """Train both, and write their weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for plan in PLANS.values():
        weights, loss = train(plan, options.seed, options.steps)
        stored = weights.replaced({name: tensor.detach() for name, tensor in weights.learned()})
        out = plan.weights if options.out is None else options.out / plan.weights.name
        notes = {"trained_by": "benchmarks/groundtruth/planting.py", "seed": str(options.seed), "loss": f"{loss:.6f}"}
        to_file(assemble(_SPEC, stored, plan.name), out, **notes)


if __name__ == "__main__":
    main()
