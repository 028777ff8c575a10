"""Whether the tensors that were stored are those of the model; if not, one error that lists all that differs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor

from scrubbing.errors import Fault, ModelMismatch
from scrubbing.models.precision import TOLERANCE

Shape = tuple[int, ...]
_SHOWN = 8
"""Tensors of each kind of difference that are named."""


def fit(
    stored: Mapping[str, Tensor],
    wanted: Mapping[str, Shape],
    where: str,
    *,
    optional: Collection[str] = (),
    further: Iterable[str] = (),
) -> None:
    """Refuse tensors that are not, one by one, those of the model.

    Args:
        stored: every tensor of the checkpoint that is not deliberately ignored.
        wanted: every tensor of the model, with its shape.
        where: named in the error.
        optional: tensors of `wanted` that may be missing.
        further: other differences that were found.

    Raises:
        ModelMismatch: SCR-WEIGHTS, tensors are missing, unexpected, of another shape, or do not hold numbers of a
            precision that models are scrubbed in.
    """
    missing = sorted(set(wanted) - set(stored) - set(optional))
    unexpected = sorted(set(stored) - set(wanted))
    both = sorted(set(stored) & set(wanted))
    kinds = [f"{key} {told}" for key in both if (told := unusable(stored[key]))]
    shapes = [
        f"{key} is {list(stored[key].shape)} instead of {list(wanted[key])}"
        for key in both
        if isinstance(stored[key], Tensor) and tuple(stored[key].shape) != wanted[key]
    ]
    told = [
        _listed("missing: ", missing),
        _listed("unexpected: ", unexpected),
        _listed("", shapes),
        _listed("", kinds),
        _listed("", list(further)),
    ]
    if not any(told):
        return
    problem = f"its tensors are not those of the model that its config describes: {'; '.join(filter(None, told))}."
    remedy = "Load weights that are plain numbers: not quantised, not sparse, and converted to floats."
    if any(told[:3]) or any(told[4:]):
        remedy = _remedy(stored, wanted, optional)
    raise ModelMismatch(Fault("SCR-WEIGHTS", where, problem, remedy))


def unusable(tensor: object) -> str:
    """Why something cannot be weights; empty if it can."""
    if not isinstance(tensor, Tensor):
        return f"is a {type(tensor).__name__}"
    if tensor.layout != torch.strided or tensor.is_quantized:
        return "is sparse or quantised"
    if tensor.dtype not in TOLERANCE:
        return f"holds {str(tensor.dtype).removeprefix('torch.')}"
    if tensor.device.type == "meta" or tensor.untyped_storage().nbytes() < tensor.nbytes:
        return "has a shape but not as many numbers"
    return ""


def _listed(before: str, told: list[str]) -> str:
    if not told:
        return ""
    more = f", and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return before + ", ".join(told[:_SHOWN]) + more


def _remedy(stored: Mapping[str, Tensor], wanted: Mapping[str, Shape], optional: Collection[str]) -> str:
    needed, prefix = set(wanted) - set(optional), ""
    for column in zip(*(key.split(".") for key in stored), strict=False):
        if len(set(column)) > 1:
            break
        prefix += f"{column[0]}."
        if needed <= {key.removeprefix(prefix) for key in stored} <= set(wanted):
            return f"Every name begins with {prefix!r}: strip that, and pass the tensors to from_state_dict."
    return "Give the config the weights were trained with, and all of the weights under the names they were saved with."
