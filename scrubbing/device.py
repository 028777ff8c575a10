"""Where a model computes: names of devices made devices, what is said of them in records, and how they multiply."""

from __future__ import annotations

import platform
import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import UsageError, brief, fail

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WRITTEN = re.compile(r"auto|[a-z]+(:\d{1,3})?")
"""How a device is written; whether it exists is seen when torch is loaded."""
PRECISIONS = ("float32", "float64", "float16", "bfloat16")
"""Names of precisions that models are scrubbed in."""
_SHARE = 0.8
"""Of what a device has free, for activations; the rest is for what is computed in passing, and for others."""
_HALF_SUMS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
"""Switches of torch that let sums of half precision be in half precision."""
_OLDEST_MPS = (2, 9)
"""The first release of torch whose results on Apple GPUs are right."""


def resolve(wanted: str | torch.device, where: str = "") -> torch.device:
    """The device of a name, with its number.

    Args:
        wanted: `auto` for the first GPU, or the CPU where there is none; `cpu`, `cuda`, `cuda:1`, `mps`, or another
            name that this build of torch knows.
        where: for messages.

    Raises:
        UsageError: SCR-DEVICE, there is no such device here, or torch computes wrong results on it.
    """
    import torch

    if wanted == "auto":
        mps = torch.backends.mps.is_available() and not outdated("mps")
        wanted = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    remedy = f"There are: auto, {', '.join(_present())}."
    try:
        found = torch.device(wanted)
        # `cuda` is the current one of them, and a tensor on it says which that is.
        found = found if found.type == "cpu" else torch.empty(0, device=found).device
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        fail(UsageError, "SCR-DEVICE", f"there is no device {str(wanted)!r} here ({brief(error)}).", remedy, where)
    if found.type == "meta":
        fail(UsageError, "SCR-DEVICE", "the meta device holds shapes and no numbers.", remedy, where)
    if told := outdated(found.type):
        fail(UsageError, "SCR-DEVICE", told, "Use torch 2.9 or newer, or the CPU.", where)
    return torch.device("cpu") if found.type == "cpu" else found


def outdated(kind: str) -> str:
    """What is wrong with this release of torch on this kind of device; empty where nothing is."""
    import torch

    if kind != "mps" or tuple(map(int, re.findall(r"\d+", torch.__version__)[:2])) >= _OLDEST_MPS:
        return ""
    return f"torch {torch.__version__} computes wrong results on MPS."


def accelerator(device: torch.device, tf32: bool) -> str | None:
    """What decides the last digits on a device beside its kind; None for the CPU.

    A GPU, the version of CUDA that torch was built with, and whether its matrix products may round to TF32.
    """
    import torch

    if device.type == "cpu":
        return None
    if device.type == "cuda":
        version = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
        return f"{torch.cuda.get_device_name(device)}, {version}, TF32 {'on' if tf32 else 'off'}"
    return f"MPS, macOS {platform.mac_ver()[0]}" if device.type == "mps" else device.type


@contextmanager
def multiplying(device: torch.device, tf32: bool = False) -> Generator[None]:
    """Within, matrix products on a GPU sum in float32, and those of float32 round to TF32 only where that was asked.

    These are switches of the whole process. Some containers and other libraries turn TF32 on, and by default sums of
    half precision may be in half precision too.
    """
    import torch

    if device.type != "cuda":
        yield
        return
    products = torch.backends.cuda.matmul
    before = torch.get_float32_matmul_precision()
    halves = [(name, getattr(products, name)) for name in _HALF_SUMS]
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    for name in _HALF_SUMS:
        setattr(products, name, False)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        for name, value in halves:
            setattr(products, name, value)


def upload(values: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """What the host holds as a tensor on a device, without waiting for what the device is doing.

    CUDA copies pinned memory while the host goes on, and waits for all earlier work before it copies other memory. On
    the CPU the tensor shares the given memory, so neither may be changed.
    """
    import torch

    if isinstance(values, np.ndarray) and not (values.flags.writeable and values.flags.c_contiguous):
        values = values.copy()
    tensor = torch.as_tensor(values, device="cpu")
    if device.type == "cpu":
        return tensor
    pinned = tensor.pin_memory() if device.type == "cuda" and tensor.numel() else tensor
    return pinned.to(device, non_blocking=True)


@cache
def indices(numbers: tuple[int, ...], device: torch.device) -> Tensor:
    """The same few numbers as an index, int64, for all batches; a list as an index would be copied for each."""
    return upload(np.array(numbers, dtype=np.int64), device)


def read_back(tensors: Sequence[Tensor]) -> list[NDArray[np.float64]]:
    """Tensors of one shape as arrays of the host. Those on a device are copied together, since that waits for it."""
    import torch

    double = [with_double(one).double() for one in tensors]
    there = [one for one in double if waits(one.device)]
    copied = iter(torch.stack(there).cpu().numpy() if there else ())
    return [next(copied) if waits(one.device) else one.numpy() for one in double]


def waits(device: torch.device) -> bool:
    """Whether asking for a value of a tensor makes the host wait for everything that a device has still to do."""
    return device.type != "cpu"


def budget(device: torch.device, asked: int, default: int) -> int:
    """Bytes for activations on a device: what was asked for, or by default most of what the device has free, and never
    more than that.

    A share of what is free is rounded down to a power of two, so that a run that goes on later has the same batches.

    Args:
        device: where they will be.
        asked: bytes that were asked for.
        default: bytes that stand for nothing having been asked; on the CPU they are taken as they are.
    """
    there = free(device)
    if there is None:
        return asked
    share = 2 ** max(0, int(_SHARE * there).bit_length() - 1)
    return share if asked == default else min(asked, share)


def free(device: torch.device) -> int | None:
    """Bytes that a device has free; None for the CPU, and where it does not tell."""
    import torch

    if device.type == "cpu":
        return None
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    info = getattr(torch.get_device_module(device), "mem_get_info", None)
    return None if info is None else int(info(device)[0])


def forget_freed(device: torch.device) -> None:
    """Give freed memory, which torch keeps in the pieces it was asked for in, back to the device."""
    import torch

    empty = None if device.type == "cpu" else getattr(torch.get_device_module(device), "empty_cache", None)
    if empty is not None:
        empty()


def has_double(device: torch.device) -> bool:
    """Whether there are float64 numbers on a device; Apple GPUs have none."""
    import torch

    if device.type in ("cpu", "cuda"):
        return True
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def with_double(x: Tensor) -> Tensor:
    """The tensor where it can be made float64: on its device, or on the host if the device has no such numbers."""
    return x if has_double(x.device) else x.cpu()


def _present() -> list[str]:
    import torch

    gpus = [f"cuda:{number} ({torch.cuda.get_device_name(number)})" for number in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
