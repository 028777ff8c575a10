"""A device that does not exist: it computes on the CPU, refuses what CUDA refuses, and counts what CUDA waits for.

Its tensors wrap those of the CPU. Every operation passes through `Pretend`, which looks at where its arguments are,
runs it on the CPU, and wraps what comes out. A device is registered for the whole process, so tests that use it have
one of their own. It says nothing about kernels, rounding, or speed.
"""

from __future__ import annotations

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

import scrubbing

ops = torch.ops.aten
OURS = f"{Path(scrubbing.__file__).parent}/"
TRANSFERS = {ops._to_copy, ops.to, ops.copy_, ops._copy_from}
INDEXING = {ops.index, ops._unsafe_index, ops.index_put, ops.index_put_, ops._index_put_impl_}
WAITING = {
    ops._local_scalar_dense, ops.item, ops.is_nonzero, ops.equal, ops.allclose, ops.nonzero, ops.nonzero_numpy,
    ops.masked_select, ops._unique, ops._unique2, ops.unique_dim, ops.unique_consecutive, ops.bincount,
    ops._linalg_eigh, ops.linalg_eigh, ops.linalg_svd, ops._linalg_svd,
}  # fmt: skip
"""The shape of the result, or a number that Python asks for, is known when the device is done."""
FRESH = {ops.empty, ops.new_empty, ops.empty_like, ops.empty_strided, ops.new_empty_strided}
UNORDERED = {
    ops.index_add, ops.index_add_, ops.scatter_add, ops.scatter_add_, ops.scatter_reduce, ops.scatter_reduce_,
    ops.index_reduce, ops.index_reduce_, ops.cumsum, ops.cumsum_, ops.cumprod, ops.bincount, ops.histc,
}  # fmt: skip
"""Their sums are in another order every time on CUDA."""


FREE = 3 * 2**29
"""Bytes that it says are free, so that by default batches are those of the CPU."""


class _Memory:
    """What tensors take on the device, each memory once however many views there are of it."""

    def __init__(self) -> None:
        self.users: Counter[int] = Counter()
        self.taken = self.peak = 0
        self._tensors: set[weakref.ref[There]] = set()

    def add(self, tensor: There) -> None:
        """Count a tensor for as long as it lives."""
        storage = tensor.value.untyped_storage()
        place, size = storage.data_ptr(), storage.nbytes()

        def forget(reference: weakref.ref[There]) -> None:
            self._tensors.discard(reference)
            self.users[place] -= 1
            if not self.users[place]:
                del self.users[place]
                self.taken -= size

        self._tensors.add(weakref.ref(tensor, forget))
        self.users[place] += 1
        self.taken += size if self.users[place] == 1 else 0
        self.peak = max(self.peak, self.taken)


MEMORY = _Memory()


class _Module(_DummyBackendModule):
    def memory_allocated(self, _: Any = None) -> int:
        return MEMORY.taken

    def max_memory_allocated(self, _: Any = None) -> int:
        return MEMORY.peak

    def reset_peak_memory_stats(self, _: Any = None) -> None:
        MEMORY.peak = MEMORY.taken

    def get_rng_state(self, _: Any = None) -> Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, *_: Any) -> None:
        pass

    def mem_get_info(self, _: Any = None) -> tuple[int, int]:
        return FREE, 2 * FREE


_setup_privateuseone_for_python_backend("pretend", backend_module=_Module())
PRETEND = torch.device("pretend", 0)


class There(Tensor):
    """A tensor on the pretend device."""

    value: Tensor
    """What it holds, on the CPU."""
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, value: Tensor) -> There:
        with torch.inference_mode(False):  # so that views can be taken of it in either mode
            made = Tensor._make_wrapper_subclass(
                cls,
                value.shape,
                strides=value.stride(),
                storage_offset=value.storage_offset(),
                dtype=value.dtype,
                device=PRETEND,
            )
        made.value = value
        MEMORY.add(made)
        return made

    def __repr__(self, **_: Any) -> str:
        return f"There({self.value!r})"

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert pretend:0 device type tensor to numpy. Use Tensor.cpu() first.")

    __array__ = numpy

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on the pretend device, outside of `with Pretend():`")


class Pretend(TorchDispatchMode):
    """Within, the device `pretend` is there.

    Args:
        double: whether it has float64.
        largest: numbers in the largest tensor that it has room for; None for any.
        total: bytes that it has room for in all; None for any.
    """

    def __init__(self, double: bool = True, largest: int | None = None, total: int | None = None) -> None:
        super().__init__()
        self.double, self.largest, self.total = double, largest, total
        self.failed = 0
        """How often it ran out of memory."""
        self.waits: Counter[str] = Counter()
        """Where the host waits for the device, and for what."""
        self.unpinned: Counter[str] = Counter()
        """Where memory of the host that is not pinned is copied to the device, for which CUDA waits as well."""
        self.uploads: Counter[str] = Counter()
        """Where pinned memory is: what passes through `device.upload`."""

    def __enter__(self) -> Pretend:
        self._lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=) then moves where it is seen
        return super().__enter__()

    def __exit__(self, *raised: object) -> None:
        torch._C._set_only_lift_cpu_tensors(self._lifted)
        super().__exit__(*raised)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = list(_leaves((args, kwargs)))
        there = [one for one in leaves if isinstance(one, There)]
        asked = [one for one in leaves if isinstance(one, torch.device)]
        if not there and PRETEND.type not in {one.type for one in asked}:
            return func(*args, **(kwargs or {}))
        op = func.overloadpacket
        onto = asked[0].type == PRETEND.type if asked else bool(there)
        if op is ops.copy_:
            onto = isinstance(args[0], There)
        if op in TRANSFERS:
            if there and not onto:
                self._wait(f"{op} to the host")
            elif onto and not isinstance(args[-1] if op is ops.copy_ else args[0], There):
                self._upload(str(op))
        elif op in INDEXING:
            self._index(op, args)
        else:
            self._together(func, args, leaves, there)
        if op in WAITING or (op is ops.repeat_interleave and isinstance(args[-1], Tensor)):
            self._wait(str(op))
        if op in UNORDERED and any(isinstance(one, Tensor) and one.is_floating_point() for one in leaves):
            raise AssertionError(f"{op} of floats: on CUDA no two runs would be the same")
        made = func(*_changed(args, _on_host), **_changed(kwargs or {}, _on_host))
        if op in TRANSFERS and not func._schema.is_mutable and onto != bool(there):
            made = made.clone()  # another device is other memory
        if op in FRESH and made.is_floating_point():
            made.fill_(torch.nan)  # what was there before
        if not onto:
            return made
        same = {id(one.value): one for one in there}

        def put(one: Any) -> Any:
            return one if not isinstance(one, Tensor) else same[id(one)] if id(one) in same else self._put(one)

        return _changed(made, put)

    def _put(self, value: Tensor) -> There:
        if value.dtype in (torch.float64, torch.complex128) and not self.double:
            raise TypeError("Cannot convert a pretend tensor to float64, which the device does not have.")
        if self.largest is not None and value.numel() > self.largest:
            self.failed += 1
            raise torch.OutOfMemoryError(f"pretend out of memory: {value.numel()} numbers")
        made = There(value)
        if self.total is not None and MEMORY.taken > self.total:
            self.failed += 1
            raise torch.OutOfMemoryError(f"pretend out of memory: {MEMORY.taken} bytes")
        return made

    def _together(self, func: Any, args: Any, leaves: list[Any], there: list[There]) -> None:
        """Arguments are on one device; a number in a tensor may be on the host, unless it is written to."""
        for one in leaves:
            elsewhere = there and isinstance(one, Tensor) and not isinstance(one, There)
            if elsewhere and (one.dim() or (func._schema.is_mutable and one is args[0])):
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found {PRETEND} and cpu! ({func})"
                )

    def _index(self, op: Any, args: Any) -> None:
        """Indices may be on the host, where a tensor on the device is indexed, but not the other way round."""
        on_device = isinstance(args[0], There)
        for index in args[1]:
            if isinstance(index, There) and not on_device:
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
            if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8) and on_device:
                self._wait(f"{op} by a mask")
            elif isinstance(index, Tensor) and on_device and not isinstance(index, There):
                self._upload(f"{op} by a list")
        values = args[2] if len(args) > 2 else None
        if isinstance(values, Tensor) and values.dim() and isinstance(values, There) != on_device:
            raise RuntimeError("Expected all tensors to be on the same device, but the values are on another.")

    def _wait(self, what: str) -> None:
        self.waits[_place(what)[0]] += 1

    def _upload(self, what: str) -> None:
        place, pinned = _place(what)
        (self.uploads if pinned else self.unpinned)[place] += 1


def _leaves(value: Any) -> Iterator[Any]:
    """What the arguments of an operation hold. They nest a list at most, so that torch's trees are far too slow."""
    if isinstance(value, (tuple, list)):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, dict):
        yield from _leaves(tuple(value.values()))
    elif value is not None:
        yield value


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same, with each leaf changed."""
    if isinstance(value, (tuple, list)):
        return type(value)([_changed(one, change) for one in value])
    if isinstance(value, dict):
        return {name: _changed(one, change) for name, one in value.items()}
    return change(value)


def _on_host(one: Any) -> Any:
    return one.value if isinstance(one, There) else torch.device("cpu") if isinstance(one, torch.device) else one


def _place(what: str) -> tuple[str, bool]:
    """The line of ours that does something, and whether it is done in `device.upload`."""
    frame: Any = sys._getframe(3)
    pinned = False
    while frame is not None:
        file: str = frame.f_code.co_filename
        if file == f"{OURS}device.py" and frame.f_code.co_name == "upload":
            pinned = True
        elif file.startswith(OURS):
            return f"{file.removeprefix(OURS)}:{frame.f_lineno} {what}".replace("aten.", ""), pinned
        frame = frame.f_back
    return f"? {what}".replace("aten.", ""), pinned
