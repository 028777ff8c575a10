"""Perturbations: inputs that a dataset lacks, declared by whoever knows what it never varies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import Fault, UsageError, fail, located
from scrubbing.rng import stream_key, uniform
from scrubbing.samplers.base import Uniform
from scrubbing.user_code import running


@dataclass(frozen=True)
class Perturb:
    """Further inputs on which claims are meant to hold: those of the dataset with something changed.

    Two features that coincide on a dataset are one to every test that draws from it, and a value that it never takes is
    never set. A perturbation takes them apart, and adds values. The verdict then also draws from the dataset and its
    changed inputs together; references, and so labels, stay those of the dataset. Source: ours.

    Args:
        name: what is changed, in words, such as `"z apart from x"`.
        change: `(inputs, uniform) -> columns`, those that change, one entry per input. `uniform(k)` gives float
            `[n, k]` in [0, 1) that depend only on seed, name and input id; use no other randomness. Columns that
            follow from what is changed, and that the model or a feature reads, have to be given too; the label only
            where an interpretation is run whose output takes values that it never takes on the dataset.
    """

    name: str
    change: Callable[[Dataset, Uniform], Mapping[str, ArrayLike]]

    def of(self, data: Dataset, seed: int) -> Dataset:
        """The dataset, and after it the changed copy of each of its inputs.

        Raises:
            UsageError: SCR-PERTURB, it changes nothing, or a column to something of another shape or type, or one that
                there is not; SCR-CODE, its function raised an exception.
        """
        return data.remember(("perturbed", self, seed), lambda: self._made(data, seed))

    def _made(self, data: Dataset, seed: int) -> Dataset:
        key = stream_key(seed, f"perturbation {self.name}")

        def numbers(k: int) -> NDArray[np.float64]:
            return np.stack([uniform(key, data.ids, draw) for draw in range(k)], axis=1)

        where = f"perturbation {self.name!r}"
        with running(where):
            changed = {name: np.asarray(values) for name, values in self.change(data, numbers).items()}
        faults = list(_faults(changed, data, where))
        if faults:
            raise UsageError(faults)
        columns = {name: changed.get(name, data[name]) for name in data}
        if all((columns[name] == data[name]).all() for name in changed):
            fail(UsageError, "SCR-PERTURB", "no input is changed.", "Return columns with other values.", where)
        for name in changed:
            if data[name].dtype.kind not in "SU":
                columns[name] = columns[name].astype(data[name].dtype)
        with located(where):
            return data.with_inputs(columns)


def _faults(changed: Mapping[str, NDArray[Any]], data: Dataset, where: str) -> Iterator[Fault]:
    """What is wrong with changed columns."""
    for name, values in changed.items():
        if name not in data:
            remedy = f"Change some of its columns: {', '.join(data)}."
            yield Fault("SCR-PERTURB", where, f"it changes {name!r}, which is no column of {data.name}.", remedy)
            continue
        own = data[name]
        if values.shape != own.shape or not np.can_cast(values.dtype, own.dtype, "same_kind"):
            told = f"{values.dtype} {list(values.shape)}, and it is {own.dtype} {list(own.shape)}."
            problem = f"it changes {name!r} to {told}"
            yield Fault("SCR-PERTURB", where, problem, "Return one entry of the same type per input.")
