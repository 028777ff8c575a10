"""Greater-than on GPT-2 small, from the hub or a folder: the published circuit's ladder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.greater_than.prompts import CENTURIES, EVENTS, YEARS, prompts
from benchmarks.greater_than.task import loss_over, settings, with_larger
from benchmarks.published import Subject, single_tokens
from hypotheses.greater_than.ladder import GPT2_SMALL, Circuit, ladder
from scrubbing import Dataset, ModelMismatch, Task
from scrubbing.errors import fail

if TYPE_CHECKING:
    from scrubbing.metrics import AmongTokens

PROMPTS = 1_000
_SEED = 1
_FEWEST = 10


def task(folder: Path | None = None, circuit: Circuit = GPT2_SMALL) -> Task:
    """The task on a model in a folder, or on GPT-2 small from the hub or its cache.

    Args:
        folder: with `config.json`, weights and `tokenizer.json`.
        circuit: its heads and MLPs by role.

    Raises:
        FileError: SCR-FILE, SCR-HUB, the model or its tokenizer is not here. UsageError: SCR-EXTRA.
    """
    subject = Subject.at(folder, circuit.heads)

    @cache
    def answers() -> dict[int, int]:
        """Numbers that follow a century as one token, and the token."""
        return two_digits(subject.tokenizer, str(subject.folder))

    @cache
    def data() -> Dataset:
        centuries, years = years_of(subject.tokenizer, str(subject.folder))
        events = [*single_tokens(subject.tokenizer, EVENTS)]
        made = prompts(subject.tokenizer, subject.begin, years, events, centuries)
        return with_larger(made.draw(PROMPTS, _SEED), [*answers()])

    def loss() -> AmongTokens:
        return loss_over([*answers().values()])

    return Task(
        name="greater-than-gpt2",
        data=data,
        model=lambda: subject.model,
        loss=loss,
        config=subject.folder,
        ladder=lambda: ladder(circuit, "greater-than-published"),
        settings=settings(100),
        about=lambda: f"{len(circuit.heads)} heads and {len(circuit.mlps)} MLPs in the published roles.",
    )


def two_digits(tokenizer: Any, where: str) -> dict[int, int]:
    """Numbers of two digits that a tokenizer makes a token of their own after a century, and the token.

    Raises:
        ModelMismatch: SCR-TOKENS, hardly any is.
    """
    found: dict[int, int] = {}
    for number in range(100):
        century, whole = (tokenizer.encode(text, add_special_tokens=False).ids for text in (" 17", f" 17{number:02d}"))
        if len(whole) == len(century) + 1 and whole[: len(century)] == century:
            found[number] = whole[-1]
    if len(found) < _FEWEST:
        problem = f"only {len(found)} numbers of two digits are tokens of its tokenizer."
        fail(ModelMismatch, "SCR-TOKENS", problem, "Give GPT-2's own tokenizer.json.", where)
    return found


def years_of(tokenizer: Any, where: str) -> tuple[list[int], list[int]]:
    """Centuries, and years that are a token of their own after each of these; the largest that do not end a century.

    Raises:
        ModelMismatch: SCR-TOKENS, there are hardly any.
    """
    found = {century: {year for year in YEARS if _parted(tokenizer, century, year)} for century in CENTURIES}
    most = max(map(len, found.values()))
    centuries = [century for century in CENTURIES if 2 * len(found[century]) > most]
    years = sorted(set.intersection(*(found[one] for one in centuries))) if centuries else []
    if len(years) < _FEWEST:  # of all centuries together few are left: the one with most years
        centuries = [max(CENTURIES, key=lambda one: len(found[one]))]
        years = sorted(found[centuries[0]])
    if len(years) < _FEWEST:
        problem = f"only {len(years)} years are a century and two digits to its tokenizer."
        fail(ModelMismatch, "SCR-TOKENS", problem, "Give GPT-2's own tokenizer.json.", where)
    return centuries, years


def _parted(tokenizer: Any, century: int, year: int) -> bool:
    """Whether a year is the token of its century, and then one more."""
    first = tokenizer.encode(f" {century}", add_special_tokens=False).ids
    whole = tokenizer.encode(f" {century}{year:02d}", add_special_tokens=False).ids
    return len(first) == 1 and len(whole) == 2 and whole[0] == first[0]
