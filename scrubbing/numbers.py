"""Numbers as text: one way to write each kind, at a prompt, in an error and in every report."""

from __future__ import annotations

import math
from dataclasses import dataclass

LARGE = 1e6
"""From here on numbers are written with an exponent."""
NO_SPREAD = "(no spread)"
"""Stands for an interval of no width: the inputs measured are all alike, which is not certainty about others."""


@dataclass(frozen=True)
class Form:
    """How a kind of number is written: times `scale`, with so many digits after the point, and its unit."""

    digits: int = 3
    scale: float = 1.0
    unit: str = ""
    sign: bool = False
    """Also a plus."""
    least: float = -math.inf
    """Below this a number is only said to be so: of a gap next to nothing, more digits would say no more."""

    def one(self, value: float) -> str:
        """`0.228`, `95.7 %`; never `-0.000`."""
        if value < self.least:
            return f"< {self.least * self.scale:.0f}{self.unit}"
        return self._digits(value) + self.unit

    def interval(self, value: float, low: float | None, high: float | None) -> str:
        """`0.228 [0.170, 0.291]`; the value alone where there is no interval, and in words where it has no width.

        Ends that would read alike are rounded outwards: no interval looks narrower than it is.
        """
        if low is None or high is None or value < self.least:
            return self.one(value)
        if low == high:
            return f"{self.one(value)} {NO_SPREAD}"
        first, last = self._digits(low), self._digits(high)
        if first == last:
            step = 10.0**self.digits
            first = self._digits(math.floor(low * self.scale * step) / step / self.scale)
            last = self._digits(math.ceil(high * self.scale * step) / step / self.scale)
        if first == last:  # large numbers that differ in late digits
            first, last = repr(float(low * self.scale)), repr(float(high * self.scale))
        return f"{self.one(value)} [{first}, {last}]"

    def _digits(self, value: float) -> str:
        scaled = value * self.scale
        return _signed(f"{scaled:.{self.digits}f}" if abs(scaled) < LARGE else f"{scaled:.3g}", self.sign)


class Amounts(Form):
    """What spans orders of magnitude: `31.2`, `0.0042`, `3,100,000`, three digits that count, thousands apart."""

    def _digits(self, value: float) -> str:
        return _signed(f"{value:,.0f}" if 1000 <= abs(value) < 1e12 else f"{value:.3g}", self.sign)


PLAIN = Form()
"""Losses and what is in their unit."""
SHARE = Form(1, 100.0, " %")
"""Fractions."""
SHORT = Form(1)
"""Bits, nines, and counts of fractions of inputs."""
RECOVERED = Form(1, 100.0, " %", least=-10.0)
"""Fractions of loss recovered."""
CHANGE = Form(sign=True)
"""Differences of losses."""


def count(value: float) -> str:
    """`1,234`."""
    return _signed(f"{value:,.0f}", False)


def many(n: int, noun: str) -> str:
    """`1 input`, `1,234 inputs`."""
    return f"{count(n)} {noun}" + ("" if n == 1 else "s")


def plainly(value: bool | int | float | str) -> str:
    """A value of somebody's feature: as it is, floats in four digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < LARGE else f"{value:.4g}"
    return str(value)


def _signed(text: str, sign: bool) -> str:
    """The text without the minus of a zero, and with a plus if `sign` is set."""
    if not any(digit in text for digit in "123456789"):
        text = text.removeprefix("-")
    return f"+{text}" if sign and not text.startswith("-") else text
