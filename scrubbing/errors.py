"""Every exception scrubbing raises, the faults they carry, and the shape of their messages."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import NoReturn

DOCS = "docs/errors"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: what was asked for, what is true instead, where, and what to do about it."""

    code: str
    """Stable name of this kind of fault, such as `SCR-NODE`; also the name of its page in `docs/errors`."""
    where: str
    """The hypothesis, claim, node, file or argument concerned; empty when there is only one place."""
    problem: str
    """What was asked for, and what is true instead."""
    remedy: str
    """What to do, as an instruction."""

    def __str__(self) -> str:
        # A claim's path has colons of its own; without quotes one cannot see where it ends.
        where = f'"{self.where}": ' if ": " in self.where else f"{self.where}: " if self.where else ""
        return f"[{self.code}] {where}{self.problem}\n    {self.remedy}\n    See {DOCS}/{self.code}.md"


class ScrubbingError(Exception):
    """Base of every error this package raises on purpose. Carries all faults found, not only the first."""

    def __init__(self, faults: Fault | Iterable[Fault], subject: str = "") -> None:
        self.faults: Sequence[Fault] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        self.subject = subject
        super().__init__(self._message())

    def __reduce__(self) -> tuple[type[ScrubbingError], tuple[tuple[Fault, ...], str]]:
        """So that it can come from another process."""
        return type(self), (tuple(self.faults), self.subject)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each fault, in order."""
        return tuple(fault.code for fault in self.faults)

    def _message(self) -> str:
        body = "\n".join(str(fault) for fault in self.faults)
        if len(self.faults) == 1 and not self.subject:
            return body
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        return f"{self.subject or 'Found'}: {count}.\n{body}"


class IllegalHypothesis(ScrubbingError, ValueError):
    """The hypothesis cannot be tested as written: an unknown node, two claims on one path, a feature with NaN."""


class NothingToDraw(ScrubbingError, LookupError):
    """A claim asks for an input that agrees with another, and the dataset has none."""


class ModelMismatch(ScrubbingError, ValueError):
    """The model is not what was declared: unknown family, wrong weights, training mode, failed self-check."""


class BadData(ScrubbingError, ValueError):
    """The dataset is malformed: columns of unequal length, a missing column, tokens outside the vocabulary."""


class UsageError(ScrubbingError, ValueError):
    """An argument of a call or of the command line cannot be used."""


class FileError(ScrubbingError, OSError):
    """A file is missing, truncated, or not what it claims to be."""


class NoFraction(ScrubbingError, ArithmeticError):
    """Loss recovered is undefined because model and baseline have the same loss."""


def fail(kind: type[ScrubbingError], code: str, problem: str, remedy: str, where: str = "") -> NoReturn:
    """Raise `kind` with a single fault."""
    raise kind(Fault(code, where, problem, remedy))


@contextmanager
def located(where: str) -> Generator[None]:
    """Faults raised inside that do not say where they are get this place."""
    try:
        yield
    except ScrubbingError as error:
        faults = [fault if fault.where else replace(fault, where=where) for fault in error.faults]
        raise type(error)(faults, error.subject).with_traceback(error.__traceback__) from error.__cause__


def counted(n: int, noun: str) -> str:
    """`1 input`, `2 inputs`."""
    return f"{n} {noun}" + ("" if n == 1 else "s")


def brief(error: BaseException) -> str:
    """Somebody else's exception as part of a sentence: its kind and the first line of its message."""
    line = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def nearest(word: str, known: Iterable[str], most: int = 5) -> str:
    """The known words closest to `word`, for 'did you mean' sentences; the first few if none is close."""
    import difflib

    words = list(known)
    if close := difflib.get_close_matches(word, words, n=most, cutoff=0.5):
        return ", ".join(close)
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")
