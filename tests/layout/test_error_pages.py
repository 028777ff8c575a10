"""One page per error code, each with a message that really occurs."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "errors"


@cache
def raised() -> frozenset[str]:
    """Every code in the source."""
    files = [path for room in ("scrubbing", "benchmarks", "hypotheses") for path in (ROOT / room).rglob("*.py")]
    return frozenset(code for path in files for code in re.findall(r'"(SCR-[A-Z]+)"', path.read_text()))


@cache
def messages() -> str:
    """Every message that a test provokes, word for word."""
    stored = sorted((ROOT / "tests" / "illegal" / "__snapshots__").glob("*.ambr"))
    return re.sub(r"^  ", "", "\n".join(path.read_text() for path in stored), flags=re.M)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("SCR-*.md")} == raised()


def test_the_index_lists_every_page_once() -> None:
    listed = re.findall(r"^\| \[(SCR-[A-Z]+)\]\(\1\.md\) \| .+ \|$", (PAGES / "index.md").read_text(), re.M)
    assert listed == sorted(raised())


def test_every_code_is_provoked_by_a_test() -> None:
    assert raised() - set(re.findall(r"\[(SCR-[A-Z]+)\]", messages())) == set()


@pytest.mark.parametrize("code", sorted(raised()))
def test_a_page_shows_a_message_that_occurs(code: str) -> None:
    page = (PAGES / f"{code}.md").read_text()
    assert page.startswith(f"# {code}: ")
    assert page.count("\n**When.** ") == page.count("\n**What to do.** ") == 1
    (shown,) = re.findall(r"```text\n(.*?)\n```", page, re.S)
    assert shown.startswith(f"[{code}] ")
    assert shown.endswith(f"\n    See docs/errors/{code}.md")
    assert shown in messages()
