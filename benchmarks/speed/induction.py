"""How long the induction ladder takes, against plain forward passes and against hooks, pyvene and nnsight.

    OMP_NUM_THREADS=1 python -m benchmarks.speed induction            # every rung of both models, ours alone
    OMP_NUM_THREADS=1 python -m benchmarks.speed induction --peers    # and what other tools can do, side by side

`--peers` needs the `peers` group. Everything runs in one process on one thread, in turns. Times are medians of
processor time in plain forward passes over as many inputs, the fastest we know how to write: the training module with
fused attention, or for TransformerLens the bridge itself.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.induction.task import LENGTH, dataset, model, python_task, roles, rungs, task
from benchmarks.speed import resampling
from benchmarks.speed.gpu import Run
from benchmarks.speed.interventions import Bridge, NetworkWeights, Nnsight, Pyvene, Tool, network_of
from benchmarks.speed.resampling import Case, Pool, Weights
from hypotheses.induction.roles import Roles
from scrubbing import Dataset
from scrubbing.data import choose
from scrubbing.engine import Compiled, Engine, fixed
from scrubbing.models.transformer import Transformer

BATCH = 32
"""Sequences at a time, of everything but our engine, which chooses; plain passes are fastest with 16 or 32."""
PREDICTIONS = fixed(tuple(range(LENGTH - 1)))


def in_turns(repeats: int, **runs: Callable[[], object]) -> dict[str, float]:
    """Median seconds of processor time of each run, all of them once per turn; on one thread, that is what a clock
    would show if nothing else ran.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    return {name: median(times) for name, times in seconds.items()}


def ladder_table(which: str, references: int, repeats: int) -> Table:
    """Operations and time of every rung; times are of a further hypothesis, clean activations at hand: of the engine
    alone, and as users run it, with losses and measures.
    """
    data, network = dataset(which), network_of(model(which))
    of = {"language": task, "python": python_task}[which]
    experiment = of.experiment(references=references, draws=1, baselines=False, series=None)
    engine, rows = Engine(model(which), data, PREDICTIONS), choose(data, references, seed=0)
    tokens = torch.from_numpy(data["tokens"][rows].astype(np.int64))
    table = Table(title=f"{which}: a scrubbed sequence ÷ a plain forward pass, {references} references")
    for column in ("rung", "operations", "time", "as users run it"):
        table.add_column(column, justify="left" if column == "rung" else "right")
    for hypothesis in rungs(which):
        compiled = engine.compile(hypothesis)
        run = Run(experiment, hypothesis)
        outputs(engine, compiled, rows)  # fills the store
        run()
        taken = in_turns(
            repeats,
            ours=lambda c=compiled: outputs(engine, c, rows),
            measured=run,
            plain=lambda: batches(network, tokens),
        )
        ratios = (compiled.cost.ratio, taken["ours"] / taken["plain"], taken["measured"] / taken["plain"])
        table.add_row(hypothesis.name, *(f"{ratio:.2f}" for ratio in ratios))
    return table


def outputs(engine: Engine, compiled: Compiled, rows: NDArray[np.int64]) -> None:
    """Compute every scrubbed output, and drop it."""
    for _ in engine.run(compiled, rows, 1, 0):
        pass


def batches(run: Callable[[Tensor], object], tokens: Tensor) -> None:
    """Run on batches."""
    for batch in tokens.split(BATCH):
        run(batch)


class Side:
    """One tool beside our engine on the same model, data and references.

    Args:
        tool: the peer.
        weights: of its model.
        ours: the same model for our engine.
        data: to draw from.
        found: roles of heads.
        references: how many.
    """

    def __init__(
        self, tool: Tool, weights: Weights, ours: Transformer, data: Dataset, found: Roles, references: int
    ) -> None:
        self.tool, self.weights, self.ours, self.data, self.roles = tool, weights, ours, data, found
        self.engine = Engine(ours, data, PREDICTIONS)
        self.rows = choose(data, references, seed=0)
        self.tokens = torch.from_numpy(data["tokens"].astype(np.int64))

    def collected(self, case: Case, rows: NDArray[np.int64]) -> Pool:
        """One source pass per input."""
        found = [self.tool.collect(batch, case.sites) for batch in self.tokens[rows].split(BATCH)]
        return Pool(rows, {site: torch.cat([one[site] for one in found]) for site in case.sites})

    def each_draw(self, case: Case, held: dict[Any, NDArray[np.int64]]) -> None:
        """A source pass for the draw of every head, as multi-source interventions make them."""
        for rows in {one.tobytes(): one for one in held.values()}.values():
            batches(lambda batch: self.tool.collect(batch, case.sites), self.tokens[rows])

    def patched(self, case: Case, pool: Pool, held: dict[Any, NDArray[np.int64]]) -> list[Tensor]:
        """The references with everything exchanged that the claim leaves open, in batches."""
        made: list[Tensor] = []
        for place in np.split(np.arange(len(self.rows)), range(BATCH, len(self.rows), BATCH)):
            rows, taken = self.rows[place], {node: one[place] for node, one in held.items()}
            edits = resampling.edits(case, self.roles, self.weights, self.tokens, pool, rows, taken)
            made.append(self.tool.patched(self.tokens[rows], edits))
        return made

    def measure(self, case: Case, repeats: int) -> dict[str, float]:
        """Times in plain forward passes: `first`, with what must be known of other inputs, and `again`, with that kept;
        `each draw`, the first with a source pass for every draw; and the largest difference of a sequence's loss.
        """
        compiled = self.engine.compile(case.hypothesis)
        held = resampling.drawn(compiled, self.rows)
        inputs = resampling.needed(case, self.rows, held)
        pool = self.collected(case, inputs)
        ours = self.engine.outputs(compiled, self.rows, 1, 0)[0]
        theirs = torch.cat(self.patched(case, pool, held))[:, :-1]
        off = (self._losses(ours) - self._losses(theirs)).abs().max().item()

        def first(store: bool) -> None:
            fresh = Engine(self.ours, self.data, PREDICTIONS, store=store)
            outputs(fresh, fresh.compile(case.hypothesis), self.rows)

        taken = in_turns(
            repeats,
            plain=lambda: batches(self.tool.plain, self.tokens[self.rows]),
            ours_first=lambda: first(True),
            ours_in_place=lambda: first(False),
            ours_again=lambda: outputs(self.engine, compiled, self.rows),
            collected=lambda: self.collected(case, inputs),
            patched=lambda: self.patched(case, pool, held),
            **({"each": lambda: self.each_draw(case, held)} if case.apart else {}),
        )
        unit = {name: seconds / taken["plain"] for name, seconds in taken.items()}
        each = unit["each"] + unit["patched"] if case.apart else float("nan")
        times = {"first": unit["collected"] + unit["patched"], "again": unit["patched"], "each draw": each}
        ours = {f"ours {name}": unit[f"ours_{name.replace(' ', '_')}"] for name in ("first", "in place", "again")}
        return times | ours | {"off": off}

    def _losses(self, logits: Tensor) -> Tensor:
        following = self.tokens[self.rows][:, 1:].flatten()
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), following, reduction="none")
        return losses.reshape(len(self.rows), -1).mean(1)


def sides(references: int) -> list[tuple[Side, list[Case]]]:
    """The trained model for tools that take any module; a TransformerLens model of the same size, with random weights
    and ordinary positions, since TransformerLens has no shortformer.
    """
    from scrubbing.models.transformer_lens import boot, from_bridge

    data, found, ours = dataset("python"), roles("python"), model("python")
    sizes = {"n_layers": 2, "n_heads": 8, "d_model": 128, "d_head": 16, "n_ctx": LENGTH}
    bridge = boot({**sizes, "d_vocab": ours.weights.W_E.shape[0], "attn_only": True, "normalization_type": "LN"})
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        for parameter in bridge.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    lens = Bridge(bridge)
    made = [(Side(lens, lens, from_bridge(bridge), data, found, references), resampling.cases(found, True))]
    for tool in (Pyvene, Nnsight):
        network = network_of(ours)
        side = Side(tool(network), NetworkWeights(network), ours, data, found, references)
        made.append((side, resampling.cases(found, False)))
    return made


@torch.inference_mode()
def peers_table(references: int, repeats: int) -> Table:
    """Every tool on every case, and our engine on the same model."""
    table = Table(title=f"a scrubbed sequence, in plain forward passes of the same model; {references} references")
    ours = ("ours first", "ours in place", "ours again")
    columns = ("case", "tool", "each draw", "first", "again", *ours, "÷ first", "÷ in place", "÷ again", "off")
    for column in columns:
        table.add_column(column, justify="left" if column in ("case", "tool") else "right")
    for side, listed in sides(references):
        for case in listed:
            found = side.measure(case, repeats)
            times = ["" if np.isnan(found[name]) else f"{found[name]:.2f}" for name in columns[2:8]]
            first, in_place, again = (found[name] for name in ours)
            ratios = [f"{found['first'] / one:.1f}" for one in (first, in_place)] + [f"{found['again'] / again:.1f}"]
            table.add_row(case.name, side.tool.name, *times, *ratios, f"{found['off']:.0e}")
    return table


def main(arguments: list[str]) -> None:
    """Print the ladder of both models or, with --peers, the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="run TransformerLens, pyvene and nnsight as well")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    console = Console(width=170)
    for which in ("language", "python"):
        console.print(ladder_table(which, options.references, options.repeats))
    if options.peers:
        console.print(peers_table(options.references, options.repeats))
