"""Going on where a device runs out of memory: with half the rows at a time, until they fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.device import forget_freed
from scrubbing.errors import UsageError, fail

T = TypeVar("T")
Rows = NDArray[np.int64]


class Fitting:
    """How many rows at a time a device turned out to hold. It is learned from failures, and never forgotten.

    Memory budgets are estimates, and other programs use the device too. Results do not depend on how rows are taken
    together, beyond rounding.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.most: int | None = None
        """Rows at a time; None if the device never ran out of memory."""

    def each(self, rows: Rows, attempt: Callable[[Rows], T]) -> Iterator[tuple[T, bool]]:
        """What `attempt` returns for the rows, or for one run of them after another; and whether it is the last.

        Args:
            rows: to be computed.
            attempt: computes some of them; it must leave nothing behind when it fails.

        Raises:
            UsageError: SCR-MEMORY, not even a single row fits.
        """
        done = 0
        while done < len(rows):
            now = rows[done : done + (self.most or len(rows))]
            try:
                made = attempt(now)
            except torch.OutOfMemoryError:
                if len(now) == 1:
                    problem = f"a single input does not fit into what {self.device} has free."
                    remedy = "Free it of what else uses it, or use --device cpu."
                    fail(UsageError, "SCR-MEMORY", problem, remedy)
                self.most = (len(now) + 1) // 2
                made = None
            if made is None:  # not above, where the exception still holds what did not fit
                forget_freed(self.device)
                continue
            done += len(now)
            yield made, done == len(rows)
