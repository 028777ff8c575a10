"""Measuring what a machine can do: a few seconds of the operations that plans are made of."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import everything, feature
from scrubbing.device import accelerator, free, waits
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Compiled, Engine
from scrubbing.engine.machine import Machine, work
from scrubbing.hypothesis.claims import OUTPUT, head, reads
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Transformer, Weights
from scrubbing.rng import uniform
from scrubbing.samplers import separate

_WIDTHS = (16, 64, 128, 256, 512, 1024, 2048)
_PIECE = 2**20
"""Numbers of one value in a batch on a CPU, as `batches` has it."""
_KEPT = 2**26
"""Numbers of a store that no cache holds."""
_LEAST = 0.15
"""Seconds that each rate is measured for."""
_AGREEING = 2
"""What a draw takes beside its random number, in such numbers: finding the inputs that agree, and taking one."""


def machine_of(device: torch.device, devices: int = 1) -> Machine:
    """Measure a device with the threads that torch has, and the processor that feeds it."""
    size = _PIECE if device.type == "cpu" else 16 * _PIECE
    told = accelerator(device, tf32=False) or f"{platform.machine()}, {torch.get_num_threads()} threads"
    x, y = (torch.randn(size // 128, 128, device=device) for _ in range(2))
    kept, rows = torch.zeros(_KEPT // 64, 64, device=device), torch.randint(_KEPT // 64, (size // 64,), device=device)
    ids = np.arange(2**15)
    found = Machine(
        name=told,
        products=tuple((d, _products(d, size, device)) for d in _WIDTHS),
        moved=12 * size / _seconds(lambda: torch.add(x, y)),
        gathered=8 * size / _seconds(lambda: kept.index_select(0, rows)),
        exponentials=size / _seconds(lambda: _summed(x.reshape(-1, 512))),
        draws=len(ids) / _AGREEING / _seconds(lambda: uniform(1, ids, ids % 4)),
        step=0.0,
        memory=free(device) or _memory(),
        devices=devices,
    )
    return _fitted(found, device)


def _products(d: int, size: int, device: torch.device) -> float:
    x, w = torch.randn(max(1, size // d), d, device=device), torch.randn(d, d, device=device)
    return 2 * x.numel() * d / _seconds(lambda: x @ w)


def _summed(logits: Tensor) -> Tensor:
    """As a loss takes it: relative to the largest of each row."""
    return (logits - logits.amax(1, keepdim=True)).exp_().sum(1, dtype=torch.float64).log()


def _seconds(run: Callable[[], object]) -> float:
    """Of one call: the processor's, or what a clock shows where a device computes."""
    result = run()
    device = result.device if isinstance(result, Tensor) else torch.device("cpu")
    clock = time.perf_counter if waits(device) else time.process_time
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begun < _LEAST:
        started = clock()
        result = run()
        if isinstance(result, Tensor) and waits(device):
            result.reshape(-1)[0].item()
        times.append(clock() - started)
    return float(np.median(times)) or _LEAST / len(times)


def _fitted(machine: Machine, device: torch.device) -> Machine:
    """The machine with what steps take beside matrix products, from plans about random models.

    Element-wise steps of a plan read and write what was just written, in pieces of many sizes, and no single operation
    shows what that takes. So a few small plans are run, and their times are shared out by non-negative least squares.
    """
    terms: list[list[float]] = []
    seconds: list[tuple[float, float]] = []
    for engine, compiled, examples in _plans(device):
        rows = np.arange(examples)

        def run(engine: Engine = engine, compiled: Compiled = compiled, rows: NDArray[np.int64] = rows) -> Tensor:
            return [one.outputs["scrubbed"] for one in engine.run(compiled, rows, 1, 0)][-1]

        def first(engine: Engine = engine, again: Callable[[], Tensor] = run) -> Tensor:
            engine.forget()
            return again()

        again, all_of_it = _seconds(run), _seconds(first)
        assert engine.store is not None
        kept = [work(one, examples, engine.memory, measured=False) for one in engine.store.plans()]
        for part, taken in (
            (work(compiled.plan, examples, engine.memory, measured=False), again),
            (sum(kept[1:], kept[0]), max(all_of_it - again, 0.1 * all_of_it)),
        ):
            rest = taken - part.flops / machine.product(part.width) - part.exponentials / machine.exponentials
            terms.append([part.moved, part.draws, part.steps])
            seconds.append((max(rest, 0.0), taken))
    rest, taken = np.array(seconds).T
    found = _least_squares(np.array(terms) / taken[:, None], rest / taken)
    moved, draws, step = found
    return replace(
        machine,
        moved=float(min(machine.moved, 1 / moved)) if moved > 0 else machine.moved,
        draws=float(min(machine.draws, 1 / draws)) if draws > 0 else machine.draws,
        step=float(step),
    )


def _least_squares(terms: NDArray[np.float64], seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative coefficients that come closest, by leaving out those that come out negative."""
    scale = terms.max(axis=0)
    kept = list(range(terms.shape[1]))
    while True:
        found = np.zeros(terms.shape[1])
        found[kept] = np.linalg.lstsq(terms[:, kept] / scale[kept], seconds, rcond=None)[0]
        if (found >= 0).all():
            return found / scale
        kept.remove(int(found.argmin()))


def _plans(device: torch.device) -> Iterator[tuple[Engine, Compiled, int]]:
    """Hypotheses about random models: heads that keep their input while all other writers draw one each, and a head
    that draws one for every position that it reads.
    """
    kept, token = Variable("all", everything), Variable("token", _token)
    for d, positions, examples in ((8, 4, 4), (32, 16, 64), (64, 40, 128), (128, 64, 64), (64, 24, 512)):
        data = Dataset({"tokens": np.random.default_rng(0).integers(0, 16, (examples, positions))})
        claims = {
            "heads": [head(layer, one).direct().carries(kept) for layer in range(2) for one in range(2)],
            "positions": [head(1, 0).direct().carries(kept, reads("k", "v", each=True).carries(token))],
        }
        for name, each in claims.items():
            engine = Engine(_random(device, d, positions), data, fixed(tuple(range(positions - 1))))
            made = Hypothesis(name, "A measurement.", OUTPUT.carries(kept, *each), unclaimed=separate())
            yield engine, engine.compile(made, with_model=True), examples


@feature(per="position")
def _token(data: Dataset) -> NDArray[np.int64]:
    return data["tokens"] % 4


def _random(device: torch.device, d: int, positions: int) -> Transformer:
    """Two layers of attention and MLPs, with random weights."""
    generator, heads = torch.Generator().manual_seed(0), 4

    def weight(*shape: int) -> Tensor:
        return (torch.randn(shape, generator=generator) / math.sqrt(d)).to(device)

    def attention() -> Attention:
        projections = [weight(heads, d, d // heads) for _ in "QKV"]
        return Attention(Norm("LN"), *projections, W_O=weight(heads, d // heads, d))

    def mlp() -> Mlp:
        return Mlp(Norm("LN"), weight(d, 2 * d), weight(2 * d, d))

    weights = Weights(
        weight(16, d), weight(d, 16), tuple(attention() for _ in "12"), tuple(mlp() for _ in "12"), Norm("LN"),
        W_pos=weight(positions, d),
    )  # fmt: skip
    return Transformer(Spec("random", causal=True, attention_scale=0.5), weights, None, "random weights")


def _memory() -> int:
    """Bytes that this machine has for others too."""
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 2**33
