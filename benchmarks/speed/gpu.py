"""What a GPU makes of it: every rung beside the CPU, models of the size of GPT-2 small and larger, memory and waits.

    python -m benchmarks.speed gpu --device cuda --out docs/design/speed-on-a-gpu.md
    python -m benchmarks.speed gpu --device cpu --tiny           # whether it runs at all

Fails if a loss of any input is further than 1e-4 nats from the CPU's. Models of a size have random weights: they are
for time and memory alone. Kernels, busy share and waits are counted by CUDA, and left empty on other devices.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.induction.task import task as induction
from benchmarks.parens.task import task as parens
from scrubbing import OUTPUT, Dataset, Experiment, Hypothesis, InProcess, NextToken, Task, Variable, everything, head
from scrubbing.device import accelerator, free, multiplying, resolve
from scrubbing.experiment import Measured
from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Transformer, Weights
from scrubbing.samplers import separate

CLOSE = 1e-4
"""Nats per input between the CPU and the device."""


def made_on(device: torch.device) -> torch.device:
    """Where random weights are drawn: billions of them take too long on a CPU."""
    return device if device.type == "cuda" else torch.device("cpu")


@dataclass(frozen=True)
class Shape:
    """A decoder with random weights."""

    name: str
    layers: int
    heads: int
    width: int
    vocabulary: int
    positions: int

    def parameters(self) -> int:
        """Numbers in its weights."""
        return 12 * self.layers * self.width**2 + (2 * self.vocabulary + self.positions) * self.width

    def model(self, device: torch.device, dtype: torch.dtype) -> Transformer:
        """The model, made where it is used."""
        d, size = self.width, self.width // self.heads
        generator = torch.Generator(made_on(device)).manual_seed(0)

        def weight(*shape: int) -> Tensor:
            return (torch.randn(shape, generator=generator, device=generator.device) * 0.02).to(dtype).to(device)

        def norm() -> Norm:
            ones = torch.ones(d, dtype=dtype, device=device)
            return Norm("LN", weight=ones, bias=torch.zeros_like(ones))

        def attention() -> Attention:
            projections = [weight(self.heads, d, size) for _ in "QKV"]
            return Attention(norm(), *projections, W_O=weight(self.heads, size, d))

        layers = range(self.layers)
        weights = Weights(
            weight(self.vocabulary, d), weight(d, self.vocabulary), tuple(attention() for _ in layers),
            tuple(Mlp(norm(), weight(d, 4 * d), weight(4 * d, d)) for _ in layers), norm(),
            W_pos=weight(self.positions, d),
        )  # fmt: skip
        spec = Spec("GPT-2 shape", causal=True, attention_scale=1 / math.sqrt(size), activation="gelu_new")
        return Transformer(spec, weights, None, self.name)

    def data(self, inputs: int) -> Dataset:
        """Random tokens."""
        tokens = np.random.default_rng(0).integers(0, self.vocabulary, (inputs, self.positions))
        return Dataset({"tokens": tokens}, name="random tokens")


SHAPES = (
    Shape("GPT-2 small, 128 positions", 12, 12, 768, 50_257, 128),
    Shape("GPT-2 small, 1,024 positions", 12, 12, 768, 50_257, 1024),
    Shape("1.4 billion parameters, 128 positions", 24, 16, 2048, 50_257, 128),
)
TINY = (Shape("tiny, 8 positions", 2, 2, 16, 50, 8), Shape("tiny, 16 positions", 2, 2, 16, 50, 16))
TOKENS = 32_768
"""Of the references of a size, together."""
PRECISIONS: dict[str, tuple[torch.dtype, bool]] = {
    "float32": (torch.float32, False),
    "TF32": (torch.float32, True),
    "bfloat16": (torch.bfloat16, False),
}


def claim(shape: Shape) -> Hypothesis:
    """One head per layer is kept; every other writer draws an input of its own."""
    kept = Variable("all", everything)
    claims = [head(layer, 0).direct().carries(kept) for layer in range(shape.layers)]
    return Hypothesis("gpu/one head per layer", "A size.", OUTPUT.carries(kept, *claims), unclaimed=separate())


class Run:
    """A hypothesis on a device, with its clean activations kept, as `scrub run` measures it."""

    def __init__(self, experiment: Experiment, hypothesis: Hypothesis) -> None:
        self.job = experiment.jobs(hypothesis)[0]
        assert isinstance(experiment.executor, InProcess)
        self.executor = experiment.executor
        self.device = experiment.model.device
        self.compiled = self.executor.compile(self.job)

    def __call__(self) -> Measured:
        """Once."""
        found, engine = self.executor.empty(self.job), self.executor.engine(self.job.subject)
        with multiplying(self.device, self.executor.tf32):
            for batch in engine.run(self.compiled, self.job.reference.rows, self.job.draws, self.job.seed):
                found.add(batch, self.job, self.job.title)
        return found

    def losses(self) -> np.ndarray[Any, Any]:
        """Per input, of the scrubbed model."""
        return self().done(self.job.reference).values["loss."]

    def per_second(self) -> float:
        """Scrubbed examples. It ran before, so that everything that is kept is there."""
        started = time.perf_counter()
        self()  # ends with losses on the host, so the device is done too
        return len(self.job.reference.rows) * self.job.draws / (time.perf_counter() - started)

    def counted(self) -> tuple[str, str, str]:
        """Kernels and waits per batch, and the share of the time in which a kernel runs."""
        if self.device.type != "cuda":
            return "", "", ""
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")  # which itself warns that it is a prototype
            try:
                batches = self().batches
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits = sum("synchroniz" in str(one.message) for one in told)
        activities = [torch.profiler.ProfilerActivity.CUDA]
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it does at the end of cycles, of which there is one
            with torch.profiler.profile(activities=activities) as profile:
                self()
        seconds = time.perf_counter() - started
        events: list[Any] = [one for one in profile.events() or () if "CUDA" in str(one.device_type)]
        busy = sum(one.time_range.elapsed_us() for one in events) / 1e6 / seconds
        return f"{len(events) / batches:.0f}", f"{waits / batches:.1f}", f"{100 * busy:.0f} %"


def rungs(tiny: bool) -> Iterator[tuple[Task, Hypothesis, int]]:
    """The shipped ladders, or one rung of each, and how many references."""
    for task, few, many in ((parens, 16, 1000), (induction, 2, 100)):
        ladder = [task.rung({"parens": "signs", "induction": "heads-only"}[task.name])] if tiny else task.ladder()
        for one in ladder:
            yield task, one, few if tiny else many


@cache
def experiment_of(suite: str, references: int, device: str) -> Experiment:
    """All rungs of a suite share what is kept."""
    task = {"parens": parens, "induction": induction}[suite]
    return task.experiment(references=references, draws=1, baselines=False, series=None, device=device)


def rung_rows(device: torch.device, tiny: bool) -> Iterator[list[str]]:
    """Every rung on the CPU and on the device.

    Raises:
        SystemExit: a loss differs.
    """
    for task, hypothesis, references in rungs(tiny):
        here, there = (Run(experiment_of(task.name, references, str(one)), hypothesis) for one in ("cpu", device))
        off = float(np.abs(here.losses() - there.losses()).max())
        if off > CLOSE:
            sys.exit(f"{hypothesis.name}: a loss on {device} is {off:.2g} nats from the CPU's.")
        speeds = (f"{run.per_second():,.0f}" for run in (here, there))
        yield [hypothesis.name, f"{off:.0e}", *speeds, *there.counted()]


def shape_rows(device: torch.device, shapes: tuple[Shape, ...], tiny: bool) -> Iterator[list[str]]:
    """Every size in every precision, for which there is room."""
    for shape in shapes:
        for name, (dtype, tf32) in PRECISIONS.items():
            room, needed = free(device), shape.parameters() * dtype.itemsize
            if room is not None and 1.5 * needed > room:
                yield [shape.name, name, f"not run: {needed / 2**30:.1f} GiB of weights, {room / 2**30:.1f} GiB free"]
                continue
            references = 4 if tiny else TOKENS // shape.positions
            yield [shape.name, name, *shape_row(device, shape, dtype, tf32, references)]


BUDGETS, VOCABULARY = (64, 200, 1024), 50_257
"""MiB, and tokens that models know."""


def memory_rows(device: torch.device, scale: int = 1) -> Iterator[list[str]]:
    """The most memory that a run takes beside its model, and its budget; what is kept comes from files where it must.

    A first run fills what is kept and a second uses it. What is counted is what tensors take, without what the
    allocator holds back for later and without the workspace of matrix products.

    Args:
        device: any but the CPU.
        scale: divides budgets and vocabulary.
    """
    module = torch.get_device_module(device)
    for budget, positions in itertools.product(BUDGETS, (16, 100, 1024)):
        mib, vocabulary = budget / scale, VOCABULARY // scale
        shape = Shape(f"{vocabulary:,} tokens, {positions:,} positions", 2, 4, 256, vocabulary, positions)
        references = max(2, round(32 * mib) // positions)
        model, data = shape.model(device, torch.float32), shape.data(4 * references)
        model.own_output(model.inputs(data), torch.arange(1, device=device))
        before = module.memory_allocated(device)
        module.reset_peak_memory_stats(device)
        options: dict[str, Any] = {"references": references, "draws": 1, "baselines": False, "series": None}
        run = Run(Experiment(model, data, NextToken(), memory=round(mib * 2**20), **options), claim(shape))
        run()
        run()
        peak = (module.max_memory_allocated(device) - before) / 2**20
        yield [shape.name, f"{mib:,.4g}", f"{peak:,.0f}", f"{100 * peak / mib:.0f} %"]


def shape_row(device: torch.device, shape: Shape, dtype: torch.dtype, tf32: bool, references: int) -> list[str]:
    """Examples per second beside plain passes, what is counted, and memory above the model beside the budget."""
    model, data = shape.model(device, dtype), shape.data(4 * references)
    module = None if device.type == "cpu" else torch.get_device_module(device)
    allocated: Callable[[], int] = getattr(module, "memory_allocated", lambda: 0)
    before = allocated()
    getattr(module, "reset_peak_memory_stats", lambda: None)()
    experiment = Experiment(
        model, data, NextToken(), references=references, draws=1, baselines=False, tf32=tf32, series=None
    )
    run = Run(experiment, claim(shape))
    run()
    speed = run.per_second()
    peak = getattr(module, "max_memory_allocated", lambda: 0)() - before
    assert isinstance(experiment.executor, InProcess)
    memory = f"{peak / 2**20:,.0f}" if peak else ""
    budget = f"{experiment.executor.budget(device) / 2**20:,.0f}"
    counts = run.counted()
    del run, experiment, model
    passes = plain(shape, device, dtype, tf32, data, references)
    return [f"{passes:,.1f}", f"{speed:,.1f}", *counts, memory, budget]


def plain(shape: Shape, device: torch.device, dtype: torch.dtype, tf32: bool, data: Dataset, references: int) -> float:
    """Forward passes per second of the same shape in `transformers`, all logits computed, a few inputs at a time."""
    config = GPT2Config(
        vocab_size=shape.vocabulary, n_positions=shape.positions, n_embd=shape.width, n_layer=shape.layers,
        n_head=shape.heads, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    with made_on(device):
        made: Any = GPT2LMHeadModel(config)  # its `to` has no types
    model = made.to(device, dtype).eval()
    few = max(1, min(references, TOKENS // 8 // shape.positions))
    tokens = torch.tensor(data["tokens"][:references]).to(device)

    def passes() -> None:
        logits = [model(batch, use_cache=False).logits[0, 0, 0] for batch in tokens.split(few)]
        logits[-1].item()  # the device is done

    with torch.inference_mode(), multiplying(device, tf32):
        passes()
        started = time.perf_counter()
        passes()
        return references / (time.perf_counter() - started)


RUNGS = ("rung", "furthest loss", "CPU, examples/s", "device, examples/s", "kernels/batch", "waits/batch", "busy")
SIZES = (
    "model", "precision", "plain passes/s", "scrubbed/s", "kernels/batch", "waits/batch", "busy", "peak MiB",
    "budget MiB",
)  # fmt: skip


MEMORY = ("model", "budget MiB", "peak MiB", "of the budget")


def markdown(columns: tuple[str, ...], rows: Iterator[list[str]]) -> str:
    """A table, each row printed as soon as it is there; rows that are cut short are filled up."""
    lines: list[str] = []
    for row in itertools.chain([list(columns), ["---"] * len(columns)], rows):
        lines.append(f"| {' | '.join([*row, *[''] * (len(columns) - len(row))])} |")
        print(lines[-1], flush=True)
    print()
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the tables, and write them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="one rung of each suite and very small models")
    parser.add_argument("--out", type=Path, help="a Markdown file to write")
    options = parser.parse_args(arguments)
    device = resolve(options.device)
    told = accelerator(device, tf32=False) or "CPU"
    tables = [
        f"# Speed on {told}\n\n`make bench-gpu`, {date.today():%Y-%m-%d}, torch {torch.__version__}.",
        markdown(RUNGS, rung_rows(device, options.tiny)),
        markdown(SIZES, shape_rows(device, TINY if options.tiny else SHAPES, options.tiny)),
        markdown(MEMORY, iter(()) if device.type == "cpu" else memory_rows(device, 32 if options.tiny else 1)),
    ]
    if options.out is not None:
        options.out.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
