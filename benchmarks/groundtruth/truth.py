"""What is known of a model whose mechanism was written into it, and the pieces such knowledge is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.groundtruth.columns import column
from scrubbing import Claim, Dataset, Hypothesis, Target, Variable

if TYPE_CHECKING:
    from benchmarks.groundtruth.compiler import Program
    from scrubbing import Loss, Model

Ints = NDArray[np.int64]

INPUTS = 600
"""Inputs of each program, drawn so that every value that matters is frequent."""


@dataclass(frozen=True, eq=False)
class Truth:
    """One model of which everything is known: it was made, from a seed, by a program of this folder."""

    program: str
    seed: int
    about: str
    """What it computes and how, in a sentence."""
    model: Model
    data: Dataset
    """Its columns are the variables of the program, and others that it does not use."""
    loss: Loss
    tight: tuple[Hypothesis, ...]
    """What is true, no finer and no wider than needed."""
    redundant: tuple[Hypothesis, ...] = ()
    """Of whose claims each can be given up alone, and not all of them."""
    idle: tuple[Target, ...] = ()
    """Nodes that nothing reads."""
    parts: tuple[Target, ...] = ()
    """The nodes of the mechanism."""
    unread: tuple[int, ...] = ()
    """Positions whose symbols no part of the mechanism reads."""

    @property
    def name(self) -> str:
        """Program and seed."""
        return f"{self.program}/{self.seed}"


class Layout:
    """Which role each position of an input plays; at the last, which has none, the answer is given.

    Args:
        of: the positions of each role.
    """

    def __init__(self, **of: Sequence[int]) -> None:
        self.of = {role: list(positions) for role, positions in of.items()}
        self.positions = sum(map(len, self.of.values())) + 1

    @classmethod
    def drawn(cls, seed: int, noise: int, **roles: int) -> Layout:
        """From how many positions each role has, and how many nothing reads, a layout drawn from the seed."""
        shuffled = np.random.default_rng([seed, 1]).permutation(sum(roles.values()) + noise)
        of: dict[str, list[int]] = {}
        for role, many in {**roles, "noise": noise}.items():
            of[role] = sorted(map(int, shuffled[:many]))
            shuffled = shuffled[many:]
        return cls(**of)

    def __getitem__(self, role: str) -> list[int]:
        """The positions of a role, in order."""
        return self.of[role]

    def symbols(self, end: int, **roles: Ints) -> Ints:
        """Inputs `[n, positions]` from the symbols of each role, `[n, how many]`."""
        made = np.full((len(next(iter(roles.values()))), self.positions), end)
        for role, values in roles.items():
            made[:, self.of[role]] = values
        return made


def all_rows(*choices: int) -> Ints:
    """Every row with `choices[i]` values in column i, `[product, columns]`."""
    return np.stack(np.meshgrid(*map(np.arange, choices), indexing="ij"), axis=-1).reshape(-1, len(choices))


def balanced_rows(rng: np.random.Generator, strata: ArrayLike, n: int = INPUTS) -> Ints:
    """Rows drawn such that every stratum is equally frequent, `[n]`."""
    _, member, size = np.unique(np.asarray(strata), return_inverse=True, return_counts=True)
    weight = 1 / size[member]
    return rng.choice(len(member), n, p=weight / weight.sum())


@dataclass(frozen=True, eq=False)
class Maker:
    """What the models of one program and seed have in common; turns them into a `Truth`."""

    program: str
    seed: int
    layout: Layout
    built: Program

    @property
    def name(self) -> str:
        """Program and seed."""
        return f"{self.program}/{self.seed}"

    def data(self, symbols: Ints, label: ArrayLike, **variables: ArrayLike) -> Dataset:
        """Inputs with the variables of the program, and with what it does not read as columns of their own."""
        others = {f"noise_{i}": symbols[:, position] for i, position in enumerate(self.layout["noise"])}
        columns = {"tokens": self.built.tokens[symbols], "label": np.asarray(label).astype(np.int64)}
        return Dataset({**columns, "each_symbol": symbols, **others, **variables}, name=f"inputs of {self.name}")

    def truth(
        self, about: str, model: Model, data: Dataset, *tight: Hypothesis, loss: Loss | None = None,
        redundant: tuple[Hypothesis, ...] = (),
    ) -> Truth:  # fmt: skip
        """All of it; the loss is the cross-entropy of the label at the last position unless another is given."""
        from scrubbing import Classification

        return Truth(
            self.program,
            self.seed,
            about,
            model,
            data,
            loss or Classification("label", position=-1),
            tight,
            redundant,
            tuple(self.built.idle),
            tuple(self.built.found.values()),
            tuple(self.layout["noise"]),
        )


def says(target: Target, name: str, *children: Claim) -> Claim:
    """The claim that the target carries the variable in this column. Each node has variables of its own."""
    return target.carries(Variable(f"{name} of {target.node}", column(name)), *children)
