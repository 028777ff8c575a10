"""How many hostile inputs there were, and what became of them, when all tests have run."""

from __future__ import annotations

from collections import Counter
from typing import Any

COUNTS = "hostile inputs"
"""Property of a test: how often which outcome."""


def tell(terminalreporter: Any) -> None:
    """How many inputs each surface was given, and what became of them."""
    found: dict[str, Counter[str]] = {}
    for report in (*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())):
        for name, value in getattr(report, "user_properties", ()):
            if name == COUNTS:
                found.setdefault(value[0], Counter()).update(value[1])
    if not found:
        return
    terminalreporter.section("hostile inputs")
    found["all"] = sum(found.values(), Counter())
    terminalreporter.write_line(f"{'':14}{'inputs':>8}{'refused':>9}{'right':>8}{'wrong':>8}")
    for surface, counts in found.items():
        numbers = f"{counts.total():8,}{counts['refused']:9,}{counts['right']:8,}{counts['wrong']:8,}"
        terminalreporter.write_line(f"{surface:14}{numbers}")
