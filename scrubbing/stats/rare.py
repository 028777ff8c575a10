"""On how few inputs a mean rests, and how often something rare may happen that was hardly or never seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEW = 10.0
"""Effective number of units below which what is known of a mean is mostly what was not seen. Below it, percentile
bootstrap intervals of nominal 95 % covered less than 90 % in the simulations of docs/reference/statistics.md. Ours."""


def effective_number(values: NDArray[np.float64]) -> float:
    """Number of units of equal size whose sum would vary as much: `(sum |x|)^2 / sum x^2`; 0 where all are 0.

    It is 1 if one unit carries everything, and n if all n carry the same. Source: Kish, "Survey Sampling" (1965), for
    weights.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return 0.0
    shares = np.abs(values) / largest  # squares of tiny losses would underflow
    return float(shares.sum() ** 2 / (shares @ shares))


def share_at_most(count: int, n: int, alpha: float = 0.05) -> float:
    """Upper bound on the share of inputs with some property, of which `count` of `n` had it; wrong with probability
    `alpha`.

    0 of n gives `1 - alpha**(1 / n)`, about 3/n ("rule of three"). Source: Clopper and Pearson (1934).
    """
    from scipy import special

    return 1.0 if count >= n else float(special.betaincinv(count + 1, n - count, 1 - alpha))
