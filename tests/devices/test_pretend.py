"""That the pretend device refuses what CUDA refuses, and counts what CUDA waits for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import NAME

from scrubbing.device import upload

if NAME != "pretend":
    pytest.skip("CUDA itself needs no test", allow_module_level=True)
from pretend import PRETEND, Pretend

HERE = torch.ones(3, 4)
REFUSED = {
    "a sum": lambda x: x + HERE,
    "a product": lambda x: x @ HERE.T,
    "in place": lambda x: x.add_(HERE),
    "into the host": lambda x: HERE.clone().add_(x),
    "joined": lambda x: torch.cat([x, HERE]),
    "chosen by the host": lambda x: torch.where(HERE > 0, x, x),
    "rows by the host": lambda x: x.index_select(0, torch.tensor([1])),
    "the host by the device": lambda x: HERE[torch.tensor([1], device=PRETEND)],
    "written from the host": lambda x: x.__setitem__(torch.tensor([0, 1, 2], device=PRETEND), HERE),
    "scattered": lambda x: x.index_copy_(0, torch.tensor([0, 1, 2], device=PRETEND), HERE),
    "as an array": lambda x: x.numpy(),
}


@pytest.mark.parametrize("case", REFUSED)
def test_devices_do_not_mix(case, there):
    with pytest.raises((RuntimeError, TypeError), match=r"same device|Tensor\.cpu"):
        REFUSED[case](HERE.to(there))


def test_what_does_mix(there):
    x = HERE.to(there)
    assert (x + torch.tensor(2.0)).device == PRETEND
    assert x[torch.tensor([0, 1])].shape == (2, 4)
    assert torch.equal((x * 2).cpu(), HERE * 2)
    assert torch.equal(torch.tensor([1.5], device=there).cpu(), torch.tensor([1.5]))
    assert torch.isnan(torch.empty(3, device=there)).all()


@pytest.mark.parametrize(
    "add",
    [
        lambda x, at: x.index_add_(0, at, torch.ones_like(x)),
        lambda x, at: x.scatter_add(0, at, torch.ones_like(x)),
        lambda x, at: x.scatter_reduce(0, at, torch.ones_like(x), "sum"),
        lambda x, at: x.cumsum(0),
        lambda x, at: torch.bincount(at, x),
    ],
)
def test_sums_without_an_order_are_refused(add, there):
    with pytest.raises(AssertionError, match="no two runs"):
        add(torch.zeros(2, device=there), torch.tensor([0, 0], device=there))


def test_sums_of_whole_numbers_have_no_order(there):
    assert torch.tensor([1, 2], device=there).cumsum(0).cpu().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("wait", "times"),
    [
        (lambda x: x + x, 0),
        (lambda x: x[torch.tensor([0], device=PRETEND)], 0),
        (lambda x: bool((x > 0).all()), 1),
        (lambda x: x.sum().item(), 1),
        (lambda x: x.cpu(), 1),
        (lambda x: (x > 0).nonzero(), 1),
        (lambda x: x[x > 0], 1),
    ],
)
def test_waits_are_counted(wait, times):
    with Pretend() as device:
        x = HERE.to("pretend")
        device.waits.clear()
        wait(x)
        assert (sum(device.waits.values()) > 0) == bool(times)


def test_copies_to_the_device_are_counted():
    """Apart, by whether CUDA would wait for them."""
    with Pretend() as device:
        x = HERE.to(PRETEND)
        torch.tensor([1, 2], device=PRETEND)
        x[[0, 1]]
        x.copy_(HERE)
        assert (sum(device.unpinned.values()), sum(device.uploads.values())) == (4, 0)
        upload(np.arange(3), PRETEND)
        assert (sum(device.unpinned.values()), sum(device.uploads.values())) == (4, 1)
        assert not device.waits
