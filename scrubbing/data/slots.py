"""Features of templated prompts: the value of a slot, where it stands, and the layout of a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, feature
from scrubbing.errors import UsageError, counted, fail
from scrubbing.guards import is_whole
from scrubbing.printable import can_be_written
from scrubbing.storable import named

VALUE, PLACE = "slot.", "at."
"""What the columns of slots are called by: `slot.NAME` has the values, `at.NAME` the tokens of each occurrence, `[n,
occurrences, 2]`, from the first to one past the last; -1 where a template has fewer."""


@named("of_slot")
@dataclass(frozen=True)
class _OfSlot:
    """The function of a feature about one slot."""

    kind: str
    """`value`, `place` or `at`."""
    name: str
    occurrence: int = 1
    shift: int = 0

    def __call__(self, data: Dataset) -> NDArray[Any]:
        if self.kind == "value":
            return data[VALUE + self.name]
        where: NDArray[np.int64] = data[PLACE + self.name]
        if self.occurrence > where.shape[1]:
            problem = f"slot {self.name} occurs {counted(where.shape[1], 'time')} in a prompt, not {self.occurrence}."
            fail(UsageError, "SCR-TEMPLATE", problem, "Ask for one that there is.", data.name)
        start, stop = where[:, self.occurrence - 1, 0], where[:, self.occurrence - 1, 1]
        if self.kind == "place":
            return np.where(stop < 0, -1, stop - 1)
        position: NDArray[np.int64] = np.arange(int(data["tokens"].shape[1]))[None]
        if self.shift == 0:
            return (position >= start[:, None]) & (position < stop[:, None])
        beside = stop - 1 + self.shift if self.shift > 0 else start + self.shift
        return (position == beside[:, None]) & (start >= 0)[:, None]

    def as_python(self) -> tuple[str, str]:
        """The function of `scrubbing.data` that makes the feature, and its arguments as they are written."""
        others = {"occurrence": (self.occurrence, 1), "shift": (self.shift, 0)}
        given = [f"{name}={value!r}" for name, (value, default) in others.items() if value != default]
        return {"value": "slot", "place": "place_of", "at": "at_slot"}[self.kind], ", ".join([repr(self.name), *given])

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Feature:
        """The feature, of which this is the function; see `Feature.restored`."""
        return _feature(cls(**fields))


def _feature(of: _OfSlot) -> Feature:
    if not can_be_written(of.name) or not is_whole(of.occurrence) or of.occurrence < 1 or not is_whole(of.shift):
        problem = f"occurrence {of.occurrence!r} of slot {of.name!r}, {of.shift!r} tokens on, was asked for."
        fail(UsageError, "SCR-TEMPLATE", problem, "Name a slot, and count its occurrences from 1.")
    which = of.name if of.occurrence == 1 else f"{of.name}#{of.occurrence}"
    if of.kind == "value":
        return Feature(of.name, compute=of)
    if of.kind == "place":
        return Feature(f"place of {which}", compute=of)
    return Feature(which + (f"{of.shift:+d}" if of.shift else ""), compute=of, per="position")


def slot(name: str) -> Feature:
    """Feature per prompt: the value of a slot, on which prompts with the same value agree.

    Raises:
        UsageError: SCR-TEMPLATE, the name is no text.
    """
    return _feature(_OfSlot("value", name))


def place_of(name: str, occurrence: int = 1) -> Feature:
    """Feature per prompt: index of the last token of a slot, -1 where the template lacks this occurrence.

    Args:
        name: of the slot.
        occurrence: which of the places where the template names it, from 1.

    Raises:
        UsageError: SCR-TEMPLATE, the name is no text, or the occurrence no number from 1; and, once it is computed, no
            template has so many.
    """
    return _feature(_OfSlot("place", name, occurrence))


def at_slot(name: str, occurrence: int = 1, shift: int = 0) -> Feature:
    """Feature per position: true at the tokens of a slot. For `.at(...)`, as in `head(0, 1).at(at_slot("S", 2))`.

    Args:
        name: of the slot.
        occurrence: which of the places where the template names it, from 1.
        shift: instead of its tokens, the one so many after its last (before its first, where negative).

    Raises:
        UsageError: SCR-TEMPLATE, as `place_of`; or the shift is no whole number.
    """
    return _feature(_OfSlot("at", name, occurrence, shift))


@feature
def layout(data: Dataset) -> NDArray[Any]:
    """Where everything stands in a prompt: the places of all slots, and the number of tokens. Prompts that agree on it
    can be exchanged position by position.
    """
    places = [data[name].reshape(len(data), -1) for name in sorted(data) if name.startswith(PLACE)]
    length = np.full(len(data), data["tokens"].shape[1]) if data.lengths is None else data.lengths
    return np.concatenate([*places, length[:, None]], axis=1).astype(np.int64)


@feature
def template(data: Dataset) -> NDArray[Any]:
    """Number of the template that a prompt was made from."""
    return data["template"]


@feature
def pair(data: Dataset) -> NDArray[Any]:
    """Number of the pair that a prompt and its counterfactual belong to; for `paired(pair)`."""
    return data["pair"]
