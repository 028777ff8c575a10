"""Exact expectations on tiny datasets: every possible draw, each with its probability."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.testing.oracle import Oracle


def expected_output(
    oracle: Oracle, hypothesis: Hypothesis, row: int, measure: Callable[[Tensor], float], most: int = 200_000
) -> float:
    """The exact expectation of a measure of the scrubbed output over all draws, for one reference input.

    All combinations of choices are enumerated like an odometer: each run repeats the recorded choices and takes the
    first option where the recursion needs a new one.

    Args:
        oracle: evaluates single draws.
        hypothesis: a hypothesis whose samplers draw inputs of the dataset only.
        row: row of the reference input.
        measure: function of the output `[positions, d_out]`.
        most: largest number of combinations that is accepted.

    Raises:
        ValueError: there are more than `most` combinations.
    """
    choices: list[list[int]] = []  # [picked, number of options], in the order the recursion asks
    total, seen = 0.0, 0
    while True:
        asked = 0

        def choose(name: str, options: list[int], reference: int, draw: int, counter: int) -> int:
            nonlocal asked
            if asked == len(choices):
                choices.append([0, len(options)])
            picked, _ = choices[asked]
            asked += 1
            return options[picked]

        output = oracle.output(hypothesis, row, 0, choose)
        weight = 1.0
        for _, options in choices:
            weight /= options
        total += weight * measure(output)
        seen += 1
        if seen > most:
            raise ValueError(f"more than {most} combinations of draws; use a smaller dataset")
        while choices and choices[-1][0] + 1 == choices[-1][1]:
            choices.pop()
        if not choices:
            return total
        choices[-1][0] += 1
