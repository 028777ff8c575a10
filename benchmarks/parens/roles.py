"""The evidence from which the roles in the shipped paren model were read: `python -m benchmarks.parens.roles`.

Three looks at the model, none of which uses a hypothesis of the ladder: what it costs to resample a path, or to keep
only that path; what heads attend to and write; which condition each neuron of the last MLP detects. Strings here are
not those on which the ladder is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.parens.strings import CLOSE, END, OPEN, START
from benchmarks.parens.task import our_data, our_model, task
from hypotheses.parens import features as f
from hypotheses.parens import shipped
from scrubbing import (
    EMBED,
    OUTPUT,
    Claim,
    Dataset,
    Experiment,
    Hypothesis,
    Target,
    Variable,
    anything,
    everything,
    head,
    mlp,
)
from scrubbing.samplers import exact, separate

if TYPE_CHECKING:
    from scrubbing.models.transformer import Transformer

SEED = 2
STRINGS = 10_000
LARGE = 0.3
"""A neuron is looked at if its size is at least this share of the largest; its size is the standard deviation of its
activation at position 0 times the norm of what it writes."""

CONDITIONS = {"more open": f.more_open, "more close": f.more_close, "balanced": f.balanced}
IN_THE_LADDER = {
    "more open": shipped.OPEN_NEURONS,
    "more close": shipped.CLOSE_NEURONS,
    "balanced": shipped.BALANCED_NEURONS,
}
_HEADS = [(layer, index) for layer in range(3) for index in range(2)]
_ITSELF, _ANY = Variable("itself", everything), Variable("anything", anything)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """What happens at position 0 and, for layer 1's heads, what every key position would write to it."""

    attention: dict[tuple[int, int], Floats]
    """From position 0, by layer and head, `[n, positions]`."""
    written: dict[tuple[int, int], Floats]
    """Along each head's main direction at position 0, `[n]`, and what share of its variance there that is."""
    share: dict[tuple[int, int], float]
    offered: dict[tuple[int, int], Floats]
    """What each position's value writes along the main direction if attended to fully, `[n, positions]`."""
    neurons: Floats
    """Of the last MLP at position 0, `[n, 56]`."""


def trace(model: Transformer, data: Dataset) -> Trace:
    """Run the model keeping these pieces; its output must equal the model's own."""
    import torch

    weights = model.weights
    found = Trace({}, {}, {}, {}, np.empty(0))
    visible = torch.tensor(data["mask"])
    hidden = torch.empty(0)
    with torch.no_grad():
        assert weights.W_pos is not None
        x = weights.W_E[torch.tensor(data["tokens"])] + weights.W_pos[: visible.shape[1]]
        for layer, (attention, block) in enumerate(zip(weights.attention, weights.mlps, strict=True)):
            assert attention.b_Q is not None and attention.b_K is not None
            assert attention.b_V is not None and attention.b_O is not None
            assert block.b_in is not None and block.b_out is not None
            normed, new = attention.norm(x), x + attention.b_O
            for index in range(2):
                q = normed @ attention.W_Q[index] + attention.b_Q[index]
                k = normed @ attention.W_K[index] + attention.b_K[index]
                v = (normed @ attention.W_V[index] + attention.b_V[index]) @ attention.W_O[index]
                scores = (q @ k.transpose(1, 2)) * model.spec.attention_scale
                pattern = scores.masked_fill(~visible[:, None], -torch.inf).softmax(-1)
                out = pattern @ v
                new = new + out
                main = shipped.main_direction_of(model, layer, index)
                found.attention[layer, index] = pattern[:, 0].double().numpy()
                found.offered[layer, index] = v.double().numpy() @ main
                here = out[:, 0].double().numpy()
                found.written[layer, index] = here @ main
                found.share[layer, index] = float((here @ main).var() / here.var(axis=0).sum())
            hidden = torch.relu(block.norm(new) @ block.W_in + block.b_in)
            x = new + hidden @ block.W_out + block.b_out
        assert weights.b_U is not None
        logits = weights.final(x)[:, :1] @ weights.W_U + weights.b_U
        own = model.own_output(model.inputs(data), torch.arange(len(data)))[:, :1]
        assert torch.allclose(logits, own, atol=1e-3), "this is another computation than the model's"
    return Trace(found.attention, found.written, found.share, found.offered, hidden[:, 0].double().numpy())


def knockouts(model: Transformer, data: Dataset, references: int = 2000) -> dict[str, dict[str, float]]:
    """Loss in nats by writer: some of its paths resampled and the rest exact, and the other way round, when everything
    else is resampled, each node by itself.
    """
    experiment = Experiment(model, data, task.loss(), references=references, draws=2, baselines=False)

    def loss(*claims: Claim, keep: bool) -> float:
        unclaimed = separate(exact) if keep else separate()
        root = OUTPUT.carries(_ITSELF, *claims, unclaimed=unclaimed)
        return float(experiment.run(Hypothesis("look", "One path at a time.", root)).losses["scrubbed"].mean())

    def row(writer: Target) -> dict[str, float]:
        return {
            "directly": loss(writer.direct().carries(_ANY), keep=True),
            "not by 2.0, 2.1": loss(writer.any_path(avoid=set(late) - {writer}).carries(_ANY), keep=True),
            "all paths": loss(writer.any_path().carries(_ANY), keep=True),
            "all others": loss(writer.any_path().carries(_ITSELF), keep=False),
        }

    late = head(2, 0), head(2, 1)
    writers = {"embed": EMBED, **{f"{a}.{b}": head(a, b) for a, b in _HEADS}, **{f"m{a}": mlp(a) for a in range(3)}}
    return {name: row(writer) for name, writer in writers.items()}


def correlations(found: Trace, data: Dataset) -> dict[str, dict[str, float]]:
    """What each head writes to position 0 along its main direction, against what it might report."""
    excess = (f.opens_from(data) - f.closes_from(data))[:, 0]
    reports = {"excess": excess, "sign": np.sign(excess), "horizon": f.horizon_ok(data), "balanced": f.balanced(data)}
    return {
        f"{layer}.{index}": {
            "share of variance": found.share[layer, index],
            **{name: _correlation(found.written[layer, index], values) for name, values in reports.items()},
        }
        for layer, index in _HEADS
    }


def watching(found: Trace, data: Dataset) -> dict[str, dict[str, float]]:
    """What head 1.1 gives to kinds of positions in strings that fail the horizon test, seen from position 0."""
    tokens, sign = data["tokens"], f.suffix_sign(data)
    kinds = {
        "( whose suffix opens too much": (tokens == OPEN) & (sign > 0),
        "( whose suffix is in order": (tokens == OPEN) & (sign <= 0),
        ")": tokens == CLOSE,
        "START": tokens == START,
        "END": tokens == END,
    }
    failing = ~f.horizon_ok(data)[:, None]
    return {
        kind: {
            "attention in all": float((found.attention[1, 1] * here).sum(1)[failing[:, 0]].mean()),
            "attention to one": float(found.attention[1, 1][here & failing].mean()),
            "writes if attended": float(found.offered[1, 1][here & failing].mean()),
            "the same, balanced": _mean(found.offered[1, 1][here & f.balanced(data)[:, None]]),
        }
        for kind, here in kinds.items()
    }


def detectors(model: Transformer, found: Trace, data: Dataset) -> dict[int, tuple[float, str, float]]:
    """Every large neuron of the last MLP: its size, the condition that explains most of its variance, and how much."""
    norms = model.weights.mlps[2].W_out.detach().double().norm(dim=1).cpu().numpy()
    size = found.neurons.std(axis=0) * norms
    large = [int(i) for i in np.argsort(-size) if size[i] >= LARGE * size.max()]
    rows: dict[int, tuple[float, str, float]] = {}
    for i in large:
        explained = {name: _correlation(found.neurons[:, i], here(data)) ** 2 for name, here in CONDITIONS.items()}
        best = max(explained, key=lambda name: explained[name])
        rows[i] = float(size[i] / size.max()), best, explained[best]
    return rows


def chosen(rows: dict[int, tuple[float, str, float]], condition: str) -> tuple[int, ...]:
    """The neurons that detect a condition."""
    return tuple(sorted(i for i, (_, best, _) in rows.items() if best == condition))


def _correlation(one: Floats, other: NDArray[np.generic]) -> float:
    return float(np.corrcoef(one, other.astype(np.float64))[0, 1])


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan


def _table(console: Console, title: str, rows: dict[str, dict[str, float]]) -> None:
    table = Table("", *next(iter(rows.values())), title=title)
    for name, row in rows.items():
        table.add_row(name, *(f"{value:.2f}" for value in row.values()))
    console.print(table)


def main() -> None:
    """Print all of it, and check that the ladder's neurons follow from the rule."""
    model, data, console = our_model(), our_data(STRINGS, SEED), Console(width=120)
    found = trace(model, data)
    _table(console, "Loss in nats when these paths are resampled", knockouts(model, data))
    _table(console, "What heads write to position 0 along their main direction", correlations(found, data))
    _table(console, "Head 1.1 from position 0, where the horizon test fails", watching(found, data))
    rows = detectors(model, found, data)
    console.print(f"Neurons of the last MLP at least {LARGE:.0%} as large as the largest:")
    for i, (size, condition, explained) in rows.items():
        console.print(f"  neuron {i:2}  size {size:.2f}  {condition}, which explains {explained:.0%}")
    for condition, neurons in IN_THE_LADDER.items():
        assert chosen(rows, condition) == neurons, f"the ladder has other neurons for {condition}"
    console.print("The ladder has these neurons.")


if __name__ == "__main__":
    main()
