"""What scrubbing a model of 70 billion parameters would take: its plan, compiled without weights, on assumed machines.

    python -m benchmarks.speed large                # a table in Markdown
    python -m benchmarks.speed large --write        # into docs/how-to/plan-a-run.md

Nothing is computed and no weight is made: tensors of the shape of Llama 3 70B hold no numbers. Rates of the device are
assumptions, which the page states; the counts are those of the plans that would run.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.speed.verdict import written
from scrubbing import OUTPUT, Claim, Dataset, Hypothesis, Variable, everything, feature, head, reads
from scrubbing.engine import Machine, compiled_without_weights
from scrubbing.engine.machine import Work, filled, work
from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Transformer, Weights

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "plan-a-run.md"
COMPILED = 3, 5
"""Layers of the models whose plans are compiled: with 80, the graph has 13 million edges, too many for ours."""
LAYERS, HEADS, KV_HEADS, D, D_HEAD, D_MLP, VOCABULARY = 80, 64, 8, 8192, 128, 28_672, 128_256
POSITIONS, REFERENCES, DRAWS, POOL = 256, 400, 4, 5_000
DEVICE = Machine(
    name="one device",
    products=((4096, 3.5e14), (16384, 3.5e14)),
    moved=1e12,
    gathered=2e10,
    exponentials=2e11,
    draws=1e7,
    step=2e-4,
    memory=80 * 2**30,
)
"""Assumed: products in bfloat16 at about a third of what an H100 is sold for, element-wise steps at a third of its
memory's bandwidth, clean activations in the memory of the host behind a bus, steps and draws as measured on a CPU."""
BUDGET = 8 * 2**30


def shape(layers: int) -> Transformer:
    """Tensors without numbers, for so many layers."""

    def weight(*sizes: int) -> Tensor:
        return torch.empty(sizes, dtype=torch.bfloat16, device="meta")

    def norm() -> Norm:
        return Norm("RMS", weight=weight(D))

    def attention() -> Attention:
        k, v = (weight(KV_HEADS, D, D_HEAD) for _ in "kv")
        return Attention(norm(), weight(HEADS, D, D_HEAD), k, v, W_O=weight(HEADS, D_HEAD, D))

    mlps = tuple(Mlp(norm(), weight(D, D_MLP), weight(D_MLP, D), W_gate=weight(D, D_MLP)) for _ in range(layers))
    weights = Weights(
        weight(VOCABULARY, D), weight(D, VOCABULARY), tuple(attention() for _ in range(layers)), mlps, norm(),
        rotary=(weight(POSITIONS, D_HEAD), weight(POSITIONS, D_HEAD)),
    )  # fmt: skip
    spec = Spec("Llama 3 70B", True, D_HEAD**-0.5, activation="silu", positions="rotary_half")
    return Transformer(spec, weights, None, "Llama 3 70B")


@feature(per="position")
def token(data: Dataset) -> NDArray[np.int64]:
    """What stands there."""
    return data["tokens"]


KEPT, TOKEN = Variable("all", everything), Variable("token", token)
HYPOTHESES: dict[str, Callable[[int], list[Claim]]] = {
    "a head of the middle layer, straight to the output": lambda layers: [head(layers // 2, 0).direct().carries(KEPT)],
    "the same head by what it reads at each position": lambda layers: [
        head(layers // 2, 0).direct().carries(KEPT, reads("k", "v", each=True).carries(TOKEN))
    ],
    "a head of every layer, straight to the output": lambda layers: [
        head(layer, 0).direct().carries(KEPT) for layer in range(layers)
    ],
    "a head of the middle layer, by all its paths": lambda layers: [head(layers // 2, 0).any_path().carries(KEPT)],
}


@dataclass(frozen=True)
class Taken:
    """What a hypothesis takes about a model of some layers."""

    scrub: Work
    clean: Work
    kept: float
    """Bytes of clean activations."""


def taken(claims: Callable[[int], list[Claim]], layers: int) -> Taken:
    """Of its plans."""
    tokens = np.random.default_rng(0).integers(0, 50, (64, POSITIONS))
    data = Dataset({"tokens": tokens}, name="random tokens")
    made = Hypothesis("large", "A size.", OUTPUT.carries(KEPT, *claims(layers)))
    plan, fill = compiled_without_weights(made, shape(layers), data)
    examples = REFERENCES * DRAWS
    inputs = filled(POOL, examples + REFERENCES)
    numbers = sum(
        len(demand.fixed) * (plan.model.raw_width(item.node, item.part) if item.kind == "output" else D)
        for item, demand in plan.items().items()
    )
    clean = work(fill, inputs, BUDGET, measured=False)
    return Taken(work(plan, examples, BUDGET), clean, 2.0 * numbers * inputs)


def rows() -> Iterator[list[str]]:
    """Of every hypothesis, continued in a straight line from models of few layers to all."""
    few, more = COMPILED
    for name, claims in HYPOTHESES.items():
        first, second = taken(claims, few), taken(claims, more)

        def line(of: Callable[[Taken], float], first: Taken = first, second: Taken = second) -> float:
            return of(second) + (LAYERS - more) * (of(second) - of(first)) / (more - few)

        scrub, clean = line(lambda one: one.scrub.seconds(DEVICE)), line(lambda one: one.clean.seconds(DEVICE))
        kept = line(lambda one: one.kept)
        told = (scrub / 60, clean / 60, kept / 2**30, (clean + 30 * scrub) / 3600)
        yield [name, *(f"{number:,.1f} {unit}" for number, unit in zip(told, ("min", "min", "GiB", "h"), strict=True))]


COLUMNS = ("hypothesis", "a scrub", "clean runs", "kept", "clean runs and a verdict of 30 scrubs")


def main(arguments: list[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/how-to/plan-a-run.md")
    options = parser.parse_args(arguments)
    lines: list[str] = []
    for row in itertools.chain([[*COLUMNS], ["---"] * len(COLUMNS)], rows()):
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    if options.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), "\n".join(lines), "large"), encoding="utf-8")
