from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

class ScalarResult:
    x: float

class VectorResult:
    x: NDArray[np.float64]

def brentq(f: Callable[[float], float], a: float, b: float) -> float: ...
def minimize(
    fun: Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]],
    x0: NDArray[np.float64],
    *,
    jac: Literal[True],
    method: str,
    bounds: Sequence[tuple[float | None, float | None]],
) -> VectorResult: ...
def minimize_scalar(
    fun: Callable[[float], float],
    *,
    bounds: tuple[float, float],
    method: str,
    options: Mapping[str, Any] | None = None,
) -> ScalarResult: ...
