"""Features and variables of prompts with an indirect object and a subject, and how prompts that agree are made."""

from __future__ import annotations

from typing import Any

import numpy as np

from scrubbing import Dataset, Variable, feature, joint
from scrubbing.data import layout, place_of, slot

indirect_object = slot("IO")
subject = slot("S")


@feature
def names(data: Dataset) -> Any:
    """Both names, whichever is which."""
    return np.sort(np.stack([data["slot.IO"], data["slot.S"]], axis=1), axis=1)


@feature
def subject_first(data: Dataset) -> Any:
    """Whether the subject comes before the indirect object: the published position signal, S1 relative to IO."""
    return place_of("S")(data) < place_of("IO")(data)


object_here = joint(indirect_object, layout)
subject_here = joint(subject, layout)
names_here = joint(indirect_object, subject, layout)

IO = Variable("IO", indirect_object)
S = Variable("S", subject)
LAYOUT = Variable("layout", layout)
IO_HERE = Variable("IO in its place", object_here)
S_HERE = Variable("S in its places", subject_here)
NAMES_HERE = Variable("both names in their places", names_here)


def either_order(held: Dataset, uniform: Any) -> Any:
    """Prompts of any template with the same two names, each of which may be the subject; for `generated`."""
    source = _source(held)
    u = uniform(len(source.slots) + 2)
    turned = u[:, -1] < 0.5
    first, second = held["slot.IO"], held["slot.S"]
    columns = {"slot.IO": np.where(turned, second, first), "slot.S": np.where(turned, first, second)}
    every = [range(len(source.templates))]

    def some(k: int) -> Any:
        return u[:, :k]

    return source.redraw(held.with_columns(**columns), some, ("IO", "S"), every)


def same_order(held: Dataset, uniform: Any) -> Any:
    """Prompts in whose template subject and indirect object come in the same order, all names new; for `generated`."""
    source = _source(held)
    first = np.array([text.index("{S}") < text.index("{IO}") for text in source.templates])
    return source.redraw(held, uniform, (), [np.flatnonzero(first), np.flatnonzero(~first)])


def _source(held: Dataset) -> Any:
    return held.source
