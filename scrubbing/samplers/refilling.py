"""Making prompts instead of finding them: some slots of a template as they are, the others filled anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from scrubbing.data.dataset import Dataset
from scrubbing.data.templates import Prompts
from scrubbing.errors import UsageError, fail
from scrubbing.samplers.base import Generator, Uniform
from scrubbing.storable import Complaint, named


@named("refill")
@dataclass(frozen=True)
class Refill(Generator):
    """Makes a prompt of a held one with some of its slots; see `refill`."""

    keep: tuple[str, ...] = ()
    """Slots whose values stay."""
    templates: tuple[tuple[int, ...], ...] | None = None
    """Classes of templates, by number, that may stand in for each other; None keeps the template."""

    def faults(self, data: Dataset) -> Iterator[Complaint]:
        """See `Sampler.faults`: the dataset was not made from templates, or they have no such slot."""
        if not isinstance(data.source, Prompts):
            yield "its dataset was not made by Prompts, so that there are no slots to fill.", "Draw it from Prompts."
        elif unknown := [one for one in self.keep if one not in data.source.slots]:
            yield f"it keeps slot {unknown[0]!r}, and there is none.", f"Its slots: {', '.join(data.source.slots)}."
        elif self.templates is not None:
            count = len(data.source.templates)
            if sorted(one for members in self.templates for one in members) != list(range(count)):
                remedy = "Put the number of each template, from 0, into one class."
                yield f"{self.templates} are not classes of its {count} templates.", remedy

    def columns(self, held: Dataset, uniform: Uniform) -> Mapping[str, ArrayLike]:
        """See `Generator.columns`."""
        return held.source.redraw(held, uniform, self.keep, self.templates)

    def __str__(self) -> str:
        kept = [*self.keep, *([] if self.templates is not None else ["template"])]
        return f"refilled but for {', '.join(kept) or 'nothing'}"


def refill(*keep: str, templates: Iterable[Iterable[int]] | None = None) -> Refill:
    """Sampler that makes a prompt with the held one's values of some slots, and draws all other slots anew.

    For datasets from `Prompts`. A fine variable, such as a name in its place, has few inputs that agree on it in any
    dataset, and as many as wanted when they are made. What is made must agree on the variable, which is checked.

    Args:
        keep: names of the slots that keep their values.
        templates: classes of templates, by number, that may stand in for each other; by default, the template stays.

    Raises:
        UsageError: SCR-SAMPLER, a slot's name is no text, or the classes are no lists of numbers.
    """
    classes: Any = None
    try:
        classes = None if templates is None else tuple(tuple(int(one) for one in members) for members in templates)
    except (TypeError, ValueError):
        fail(UsageError, "SCR-SAMPLER", f"{templates!r} are no classes of templates.", "Give lists of their numbers.")
    if wrong := [one for one in keep if not isinstance(one, str)]:
        fail(UsageError, "SCR-SAMPLER", f"{wrong[0]!r} is not the name of a slot.", "Name slots by text.")
    return Refill(keep, classes)
