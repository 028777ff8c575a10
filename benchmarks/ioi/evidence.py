"""What the roles in the shipped model were read from: `python -m benchmarks.ioi.evidence`.

Attention from the end to the names, and what it costs to lose a head there, alone and with others. Prompts here are not
those on which the ladder is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ioi.prompts import small
from benchmarks.ioi.task import loss, model
from hypotheses.ioi.shipped import COLLECTORS, HEADS, LAYERS, SUBTRACTOR, Head
from scrubbing import OUTPUT, Dataset, Experiment, Hypothesis, Variable, anything, everything, head
from scrubbing.data import place_of
from scrubbing.hypothesis import Bundle
from scrubbing.models.transformer import patterns
from scrubbing.samplers import exact

SEED = 2
PROMPTS = 2_000
EVERY = tuple((layer, index) for layer in range(LAYERS) for index in range(HEADS))


@dataclass(frozen=True)
class Attention:
    """Mean attention by layer and head, `[layers, heads]`."""

    to_object: NDArray[np.float64]
    """From the end to IO."""
    to_first: NDArray[np.float64]
    """From the end to the subject's first place."""
    to_second: NDArray[np.float64]
    """... and to its second."""
    duplicate: NDArray[np.float64]
    """From the subject's second place to its first: duplicate-token heads."""
    induction: NDArray[np.float64]
    """From there to what follows the first: induction heads."""
    previous: NDArray[np.float64]
    """From there to the first: previous-token heads."""


def attention(data: Dataset) -> Attention:
    """Of the shipped model."""
    made = model()
    with torch.inference_mode():
        layers = patterns(made.spec, made.weights, torch.tensor(data["tokens"]), None)
        found = np.stack([one.double().numpy() for one in layers])
    rows, end = np.arange(len(data)), data["tokens"].shape[1] - 1
    indirect, first, second = (place_of(*which)(data) for which in (("IO", 1), ("S", 1), ("S", 2)))

    def mean(query: NDArray[np.int64] | int, key: NDArray[np.int64]) -> NDArray[np.float64]:
        return found[:, rows, :, query, key].mean(axis=0)

    return Attention(
        mean(end, indirect),
        mean(end, first),
        mean(end, second),
        mean(second, first),
        mean(second, first + 1),
        mean(first + 1, first),
    )


def lost(experiment: Experiment, *heads: Head) -> float:
    """Loss in nats where what these heads write at the end is from another prompt, and the rest as it is."""
    above = {one: [head(*other) for other in heads if other[0] > one[0]] for one in heads}
    paths = Bundle(tuple(head(*one).at("last").any_path(avoid=above[one]) for one in heads))
    claim = paths.carries(Variable("nothing", anything))
    told = "What these heads write at the end does not matter."
    made = Hypothesis("ioi/lost", told, OUTPUT.carries(Variable("everything", everything), claim, unclaimed=exact))
    return experiment.run(made).loss("scrubbed").value


def main() -> None:
    """Print both."""
    data = small().draw(PROMPTS, SEED)
    found = attention(data)
    print("mean attention  end to IO  to S1  to S2   S2 to S1  to S1+1   S1+1 to S1")
    for one in EVERY:
        row = [getattr(found, name)[one] for name in Attention.__dataclass_fields__]
        print(f"{one[0]}.{one[1]}             " + "    ".join(f"{value:5.2f}" for value in row))
    experiment = Experiment(model(), data, loss(), references=500, draws=2, baselines=False)
    print("\nloss in nats with a head lost at the end")
    for one in EVERY:
        print(f"{one[0]}.{one[1]}  {lost(experiment, one):.3f}")
    layers = [tuple(one for one in COLLECTORS if one[0] == layer) for layer in (1, 2)]
    groups = {"layer 0": EVERY[:HEADS], "1.0 to 1.3": layers[0], "2.0, 2.2, 2.3": layers[1], "all seven": COLLECTORS}
    for name, heads in (*groups.items(), ("all but 2.1", tuple(one for one in EVERY if one != SUBTRACTOR))):
        print(f"{name}  {lost(experiment, *heads):.3f}")


if __name__ == "__main__":
    main()
