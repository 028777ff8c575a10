"""Rotary positions of native models: the tables of cosines and sines that a config asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from scrubbing.guards import is_mapping

_NEEDED: dict[str, tuple[str, ...]] = {
    "": (),
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "ntk": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
"""Kinds of scaling, and the numbers each needs."""
_DEFAULTS = {"factor": 1.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LENGTHS = ("original_max_position_embeddings", "original_context_length")
"""Two names of one number."""


@dataclass(frozen=True)
class Rotary:
    """Which dimensions turn how fast."""

    width: int
    """Dimensions of a head that turn, from the first."""
    base: float
    scaling: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Rotary:
        """Make from the checked fields of a config."""
        width = given.get("rotary_dim")
        # TransformerLens rounds the base down to an integer.
        base = float(int(given.get("rotary_base", 10000)))
        return cls(int(given["d_head"] if width is None else width), base, given.get("rope_scaling") or {})

    def tables(self, positions: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine `[positions, width]`, each speed twice, for pairs of neighbouring dimensions."""
        place, speed = torch.arange(positions).float(), self._speeds(self.base)
        factor = self._number("factor")
        match _kind(self.scaling) if factor > 1 else "":
            case "linear":
                place = place / factor
            case "dynamic" | "ntk":
                speed = self._speeds(self.base * factor ** (self.width / (self.width - 2)))
            case "llama3":
                speed = self._by_parts(speed, factor)
            case _:
                pass
        angle = torch.outer(place, speed)
        return angle.cos().repeat_interleave(2, dim=-1), angle.sin().repeat_interleave(2, dim=-1)

    def _speeds(self, base: float) -> Tensor:
        return 1.0 / (base ** (torch.arange(0, self.width, 2).float() / self.width))

    def _by_parts(self, speed: Tensor, factor: float) -> Tensor:
        """Slow dimensions slower by the factor, fast ones as they are, those between by a mean (Llama 3.1)."""
        length = float(next((self.scaling[name] for name in _LENGTHS if self.scaling.get(name)), 8192))
        wave = 2 * math.pi / speed
        low, high = self._number("low_freq_factor"), self._number("high_freq_factor")
        share = (length / wave - low) / (high - low)
        between = (1 - share) * speed / factor + share * speed
        return torch.where(wave > length / low, speed / factor, torch.where(wave < length / high, speed, between))

    def _number(self, name: str) -> float:
        return float(self.scaling.get(name, _DEFAULTS[name]))


def scaling_fault(scaling: object, width: object) -> str | None:
    """What is wrong with a `rope_scaling` of so many dimensions; None if nothing is."""
    if scaling is None:
        return None
    if not is_mapping(scaling):
        return f"rope_scaling is {scaling!r}."
    kind = _kind(scaling)
    if kind not in _NEEDED:
        return f"rope_scaling is of type {kind!r}."
    numbers: dict[str, Any] = {name: scaling.get(name, _DEFAULTS[name]) for name in _NEEDED[kind]}
    if kind == "llama3":
        numbers |= {name: scaling[name] for name in _LENGTHS if scaling.get(name)}
        if numbers["low_freq_factor"] == numbers["high_freq_factor"]:
            return "rope_scaling has the same low_freq_factor and high_freq_factor."
    if kind in ("dynamic", "ntk") and width == 2:
        return f"rope_scaling of type {kind!r} needs more than two dimensions."
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            return f"rope_scaling has {name} = {value!r}."
    return None


def _kind(scaling: Mapping[str, Any]) -> str:
    """Kind of a scaling, whose key differs in older configs."""
    return str(scaling.get("rope_type") or scaling.get("type") or "").lower()
