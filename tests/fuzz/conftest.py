"""The rule for hostile inputs, and the count of those to which it was held, printed when the tests have run."""

from __future__ import annotations

import re
import resource
import signal
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import pytest

from scrubbing import ScrubbingError
from tests.fuzz.counts import COUNTS

LONGEST, IDLE = 20, 120
"""Seconds of the processor that anything may take, and seconds in all, since other tests run beside."""
LARGEST = 4 * 2**30
"""Bytes of addresses that anything may take beyond those that the tests have; a file without end would take all."""
PARTS = 15
"""Into which the calls of a test are divided."""

Calls = Iterable[tuple[str, Callable[[], Any]]]


class Hang(BaseException):
    """It took too long."""


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A thousand threads may be asked for, and would stay with the tests that come after."""
    import torch

    before, real = torch.get_num_threads(), torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda n: real(min(n, 2)))
    yield
    real(before)


@contextmanager
def limited() -> Iterator[None]:
    """Raise after so many seconds, or so many bytes."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang(f"after {LONGEST} s of the processor, or {IDLE} s")

    timers = (signal.ITIMER_PROF, signal.SIGPROF, LONGEST), (signal.ITIMER_REAL, signal.SIGALRM, IDLE)
    before = [signal.signal(number, stop) for _, number, _ in timers]
    for timer, _, seconds in timers:
        signal.setitimer(timer, seconds)
    bounds = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + LARGEST, bounds[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, bounds)
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def outcome(call: Callable[[], Any], right: Callable[[Any], bool]) -> str:
    """`refused` with coded errors only, `right`, or what is wrong."""
    try:
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("error")
            found = call()
            return "right" if right(found) else f"a wrong result: {str(found)[:200]}"
    except ScrubbingError as error:
        well = error.codes and all(re.fullmatch("SCR-[A-Z]+", code) for code in error.codes)
        return "refused" if well and "scrubbing itself" not in str(error) else f"an error without a code: {error}"
    except (Exception, Hang, SystemExit, KeyboardInterrupt) as error:
        step = error.__traceback__
        while step is not None and step.tb_next is not None:
            step = step.tb_next
        where = "" if step is None else f" ({step.tb_frame.f_code.co_filename}:{step.tb_lineno})"
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0][:150]}{where}"


@pytest.fixture(params=["some", pytest.param("others", marks=pytest.mark.slow)])
def held(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> Callable[..., None]:
    """Hold calls to the rule: a coded error, or a right result, and no long wait. All that break it are told at once.

    One in fifteen of the calls is made by default, another one in every test; the others are slow tests.
    """
    which = {key: index for key, index in request.node.callspec.indices.items() if key != "held"}
    part = crc32(request.node.originalname.encode() + str(which).encode()) % PARTS

    def check(surface: str, calls: Calls, right: Callable[[Any], bool]) -> None:
        counts: Counter[str] = Counter()
        wrong: dict[str, list[str]] = {}
        for number, (told, call) in enumerate(calls):
            if (number % PARTS == part) != (request.param == "some"):
                continue
            found = outcome(call, right)
            counts[found if found in ("refused", "right") else "wrong"] += 1
            if found not in ("refused", "right"):
                wrong.setdefault(found.rpartition(" (")[2], []).append(f"{told}: {found}")
        record_property(COUNTS, (surface, dict(counts)))
        lines = [f"{those[0]}" + f" (and {len(those) - 1} more)" * (len(those) > 1) for those in wrong.values()]
        shown = "\n".join(lines).encode("utf-8", "backslashreplace").decode()
        assert not wrong, f"{counts['wrong']} of {counts.total()} hostile inputs:\n{shown}"

    return check
