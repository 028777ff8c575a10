"""Where users wait on a CPU: the first hypothesis, the shape of GPT-2 small, and memory with large vocabularies.

    OMP_NUM_THREADS=1 python -m benchmarks.speed waits            # three tables in Markdown
    OMP_NUM_THREADS=1 python -m benchmarks.speed waits --write    # into docs/design/speed.md

Times are seconds of the processor on one thread, in plain forward passes of as many inputs, the least of three. Memory
is the most that a process has resident beside what it had with its model loaded and run once, and a tiny one scrubbed,
which brings the code in; each row is a process of its own, on Linux.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.induction.task import dataset, model, python_task, roles
from benchmarks.speed import resampling
from benchmarks.speed.gpu import Run, Shape, claim
from benchmarks.speed.induction import PREDICTIONS, batches, network_of, outputs
from benchmarks.speed.verdict import PAGE, written
from scrubbing import OUTPUT, Experiment, Hypothesis, NextToken, Variable, anything, everything, head
from scrubbing.data import choose
from scrubbing.engine import Engine
from scrubbing.models.transformer import Transformer
from scrubbing.samplers import exact

REPEATS = 3
GPT2 = Shape("GPT-2 small", 12, 12, 768, 50_257, 24)
TINY = Shape("tiny", 2, 4, 16, 50, 8)
HEADS = 26
MEMORY = (
    (50_257, 100, 200), (50_257, 16, 200), (50_257, 1024, 200), (50_257, 100, 64), (50_257, 16, 64),
    (50_257, 1024, 1024), (1_000, 100, 200), (1_000, 1024, 200), (1_000, 16, 64), (1_000, 100, 1024),
)  # fmt: skip
"""Tokens that a model knows, positions, and MiB that a run is given."""


def least(run: Callable[[], object]) -> float:
    """Seconds of the processor, of the fastest run."""
    taken: list[float] = []
    for _ in range(REPEATS):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


@torch.inference_mode()
def first_rows() -> Iterator[list[str]]:
    """The engine from nothing to all outputs, with clean activations kept or computed in place, and once more."""
    data, ours, found = dataset("python"), model("python"), roles("python")
    network = network_of(ours)
    cases = {case.name: case.hypothesis for case in resampling.cases(found, False)}
    for name, hypothesis, references in (
        ("a slot: v alone", cases["v alone"], 100),
        ("heads together", cases["induction heads together"], 100),
        ("naive", python_task.rung("naive"), 300),
        ("other heads, a draw each", cases["other heads, a draw each"], 100),
    ):
        rows = choose(data, references, seed=0)
        tokens = torch.from_numpy(data["tokens"][rows].astype(np.int64))
        plain = least(lambda tokens=tokens: batches(network, tokens))
        made: list[Engine] = []

        def first(
            store: bool, made: list[Engine] = made, hypothesis: Hypothesis = hypothesis, rows: Any = rows
        ) -> None:
            made.clear()  # memory of the engine before
            engine = Engine(ours, data, PREDICTIONS, store=store)
            made.append(engine)
            outputs(engine, engine.compile(hypothesis), rows)

        without, kept = least(lambda first=first: first(False)), least(lambda first=first: first(True))
        compiled = made[0].compile(hypothesis)
        again = least(lambda made=made, compiled=compiled, rows=rows: outputs(made[0], compiled, rows))
        yield [name, *(f"{seconds / plain:.2f}" for seconds in (kept, without, again))]


def heads_of_gpt2() -> Hypothesis:
    """As many heads as the published circuit has, each on an input of its own wherever it is read; the rest is kept."""
    chosen = np.sort(np.random.default_rng(0).choice(GPT2.layers * GPT2.heads, HEADS, replace=False))
    them = [head(int(one) // GPT2.heads, int(one) % GPT2.heads) for one in chosen]
    drawn, kept = Variable("anything", anything), Variable("all", everything)
    claims = [one.any_path(avoid=[other for other in them if other is not one]).carries(drawn) for one in them]
    return Hypothesis("speed/heads", "These heads do not matter.", OUTPUT.carries(kept, *claims, unclaimed=exact))


def shape_row(references: int = 32) -> list[str]:
    """Compiling; the first run, which fills what is kept of four times as many inputs; and a further one."""
    shape, data = GPT2.model(torch.device("cpu"), torch.float32), GPT2.data(4 * references)
    inputs, hypothesis = shape.inputs(data), heads_of_gpt2()
    plain = least(lambda: [shape.own_output(inputs, rows) for rows in torch.arange(references).split(16)])
    started = time.process_time()
    made = Experiment(shape, data, NextToken(), references=references, draws=1, baselines=False, series=None)
    run = Run(made, hypothesis)
    compiled = time.process_time() - started
    run()
    first = time.process_time() - started
    seconds = compiled, first, least(run)
    return [f"{HEADS} heads, a draw each", *(f"{one / plain:.2f}" for one in seconds)]


def memory_row(vocabulary: int, positions: int, budget: int) -> list[str]:
    """Of two runs in this process, the first of which fills what is kept."""
    _run(TINY, TINY.model(torch.device("cpu"), torch.float32), 16, 8)()
    shape = Shape("large", 2, 4, 256, vocabulary, positions)
    loaded, references = shape.model(torch.device("cpu"), torch.float32), max(2, 32 * budget // positions)
    some = torch.arange(max(1, 128 // positions))  # as many tokens as make a matrix product take its workspace
    loaded.own_output(loaded.inputs(shape.data(len(some))), some)
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # nothing that was freed counts as there already
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    run = _run(shape, loaded, references, budget)
    run()
    run()
    peak = (_resident("VmHWM") - before) / 2**10
    return [f"{vocabulary:,}", f"{positions:,}", str(references), str(budget), f"{peak:.0f}", f"{peak / budget:.0%}"]


def _run(shape: Shape, loaded: Transformer, references: int, budget: int) -> Run:
    """A hypothesis on a model, of four times as many inputs as references, within so many MiB."""
    return Run(
        Experiment(
            loaded,
            shape.data(4 * references),
            NextToken(),
            references=references,
            draws=1,
            baselines=False,
            series=None,
            memory=budget * 2**20,
        ),
        claim(shape),
    )


def _resident(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1])


def memory_rows() -> Iterator[list[str]]:
    """Each in a process of its own."""
    for one in MEMORY:
        command = [sys.executable, "-m", "benchmarks.speed", "waits", "--memory", *map(str, one)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        yield done.stdout.strip().split("\t")


def markdown(columns: tuple[str, ...], rows: Iterator[list[str]]) -> str:
    """A table, printed row by row."""
    lines: list[str] = []
    for row in itertools.chain([list(columns), ["---"] * len(columns)], rows):
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/design/speed.md")
    parser.add_argument("--memory", nargs=3, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.memory:
        print("\t".join(memory_row(*options.memory)))
        return
    made = {
        "first": markdown(("hypothesis", "first, kept", "first, in place", "further"), first_rows()),
        "shape": markdown(("GPT-2 small's shape, 24 positions", "compiling", "first", "further"), iter([shape_row()])),
        "memory": markdown(("tokens", "positions", "references", "MiB given", "MiB taken", "share"), memory_rows()),
    }
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        for name, table in made.items():
            page = written(page, table, name)
        PAGE.write_text(page, encoding="utf-8")
