"""For every input another one: a fixed permutation, for controls that exchange labels or the values of features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.rng import stream_key, uniform


def other_inputs(data: Dataset, name: str) -> NDArray[np.int64]:
    """A permutation of the inputs, as rows `[n]`, that maps no input to itself unless there is only one input.

    Args:
        data: the inputs.
        name: seeds the permutation, which depends on this name and on the ids, not on the order of the rows.
    """

    def permutation() -> NDArray[np.int64]:
        order = np.lexsort((data.ids, uniform(stream_key(0, name), data.ids, 0)))
        found = np.empty_like(order)
        found[order] = np.roll(order, 1)
        return found

    return data.remember(("other inputs", name), permutation)
