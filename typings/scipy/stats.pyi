import numpy as np

class _Norm:
    def logsf(self, x: float) -> np.float64: ...

class _NoncentralT:
    def sf(self, x: float, df: float, nc: float) -> np.float64: ...

norm: _Norm
nct: _NoncentralT
