import numpy as np

class _Norm:
    def logsf(self, x: float) -> np.float64: ...

class _NoncentralT:
    def sf(self, x: float, df: float, nc: float) -> np.float64: ...

class _Hypergeometric:
    def sf(self, k: int, M: int, n: int, N: int) -> np.float64: ...

norm: _Norm
nct: _NoncentralT
hypergeom: _Hypergeometric
