"""Where these tests run: on the pretend device, or on the first GPU with SCRUBBING_DEVICE=cuda."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing.models.precision import TOLERANCE

sys.path.insert(0, str(Path(__file__).parent))
NAME = os.environ.get("SCRUBBING_DEVICE", "pretend")
ABSENT = (
    ""
    if NAME == "pretend" or torch.cuda.is_available()
    else f"there is no {NAME} here: this build of torch sees no GPU"
)
CLOSE = 1e-4
"""Losses per input on a GPU and on the CPU, in nats; on the pretend device they are the same to the bit."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "devices" in item.path.parts and ABSENT:
            item.add_marker(pytest.mark.skip(reason=ABSENT))


@pytest.fixture
def there(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the device, which is there while the test runs; `there.double` is off where it is given as False.

    Beside the pretend device the CPU does without zeros behind keys, which other devices do without too and which
    change the last bits.
    """
    if NAME != "pretend":
        if getattr(request, "param", True) is False:
            pytest.skip("this GPU has float64")
        yield NAME
        return
    from pretend import Pretend

    monkeypatch.setattr("scrubbing.models.transformer.attention._VECTOR", 1)
    with Pretend(double=getattr(request, "param", True)):
        yield "pretend"


def same(found: Any, wanted: Any, what: str = "", dtype: torch.dtype = torch.float32) -> None:
    """The device computes what the CPU does; in half precision, what may differ between two evaluations there."""
    if NAME == "pretend":
        np.testing.assert_array_equal(found, wanted, what)
        return
    half = dtype in (torch.float16, torch.bfloat16)
    close = TOLERANCE[dtype] * np.abs(wanted).max(initial=1) if half else CLOSE
    np.testing.assert_allclose(found, wanted, rtol=0, atol=close, err_msg=what)
