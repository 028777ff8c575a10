"""Features of prompts with a year of two digits, `YY`."""

from __future__ import annotations

from typing import Any

from scrubbing import Dataset, feature
from scrubbing.data import slot

year = slot("YY")


@feature
def decade(data: Dataset) -> Any:
    """The first digit of the year: its order, coarsely."""
    return data["slot.YY"] // 10


@feature
def last_digit(data: Dataset) -> Any:
    """The second digit of the year, which says nothing of its order."""
    return data["slot.YY"] % 10
