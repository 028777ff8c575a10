"""Runs that are stopped on their way: after a share of all the files that they write as they go."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scrubbing.experiment import journal


class Stop(BaseException):
    """Stands for Ctrl-C, or a power cut."""


def files(run: Callable[[], object]) -> int:
    """How many files it writes when nobody stops it, after every batch."""
    return _written(run, None)


def stopped(run: Callable[[], object], share: float, of: int) -> int:
    """Run until this share of so many files was written, then stop; how many were, at least one and not all."""
    most = min(max(1, int(share * of)), of - 1)
    assert _written(run, most) == most
    return most


def _written(run: Callable[[], object], most: int | None) -> int:
    written, real = 0, journal.write

    def write(*arguments: object) -> object:
        nonlocal written
        if written == most:
            raise Stop
        written += 1
        return real(*arguments)  # pyright: ignore[reportArgumentType]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(journal, "EVERY", 0.0)
        patched.setattr(journal, "write", write)
        try:
            run()
            assert most is None, "it ended before it was stopped"
        except Stop:
            pass
    return written
