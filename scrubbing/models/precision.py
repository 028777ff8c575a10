"""How closely two evaluations of a model must agree, by precision; computing in float32 what half precision spoils.

What our nodes add up to is compared with what the model's own forward pass returns *in the same precision*; why, and
how far apart the two were found, is in docs/explanation/precision.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scrubbing.errors import Fault, ModelMismatch, fail

if TYPE_CHECKING:
    from scrubbing.models.protocol import Model

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
"""Precisions that models are scrubbed in, and the largest difference between two evaluations of one model, relative to
the largest entry of the output (at least 1)."""
SAME_NODES = {**TOLERANCE, torch.float64: 1e-10, torch.float32: 1e-5}
"""The same of two evaluations with the same nodes, the engine's and the oracle's, which round alike but for the order
of sums. In half precision that order alone comes near to what two implementations differ by."""


def tolerance(model: Model, table: Mapping[torch.dtype, float] = TOLERANCE) -> float:
    """Largest difference from the model's own output, relative to its largest entry.

    A model whose own forward pass computes some of its steps in less precision than its dtype says so in an attribute
    `own_precision`: norms and softmaxes of Hugging Face models are in float32 even where the weights are float64.

    Raises:
        ModelMismatch: SCR-DTYPE, its dtype is not a precision that models are scrubbed in.
    """
    precisions = (model.dtype, getattr(model, "own_precision", model.dtype))
    for one in precisions:
        check_dtype(one, model.name)
    if model.device.type == "cuda" and torch.get_float32_matmul_precision() != "highest":
        precisions = (*precisions, torch.float16)  # TF32 has its ten bits of mantissa
    return max(table[one] for one in precisions)


def check_dtype(dtype: object, name: str) -> None:
    """Refuse what is not a precision that models are scrubbed in.

    Raises:
        ModelMismatch: SCR-DTYPE.
    """
    if dtype not in TOLERANCE:
        problem = f"dtype={dtype!r} is not a precision that models are scrubbed in."
        fail(ModelMismatch, "SCR-DTYPE", problem, f"Pass one of {', '.join(map(str, TOLERANCE))}.", name)


def check_dtypes(dtypes: dict[str, torch.dtype], wanted: torch.dtype, name: str) -> None:
    """Refuse tensors of another precision than the one that is wanted.

    Args:
        dtypes: of every tensor, by name.
        wanted: of all of them.
        name: of the model.

    Raises:
        ModelMismatch: SCR-DTYPE.
    """
    check_dtype(wanted, name)
    others = {key: dtype for key, dtype in dtypes.items() if dtype != wanted}
    if not others:
        return
    found = sorted({str(dtype) for dtype in others.values()})
    if len(found) == 1 and len(others) == len(dtypes):
        problem = f"its weights are {found[0]}, and {wanted} was expected."
    else:
        first = next(iter(others))
        problem = (
            f"{len(others)} of its {len(dtypes)} tensors are {' or '.join(found)}, first {first}, and not {wanted}."
        )
    only = next(iter(others.values()))
    one = (
        f"Pass dtype={only}, or load"
        if len(found) == 1 and only in TOLERANCE and len(others) == len(dtypes)
        else "Load"
    )
    raise ModelMismatch(Fault("SCR-DTYPE", name, problem, f"{one} it in {wanted}."))


def wide(x: Tensor) -> Tensor:
    """Convert to float32 if narrower: sums of squares and of exponentials lose too much in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
