"""Rows of tables: each is kept as soon as it is measured, and taken from there by whoever asks for it again."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

Row = TypeVar("Row")


def kept(folder: Path | None, name: str, kind: type[Row], measure: Callable[[], Row]) -> Row:
    """A row, measured unless it was before.

    Args:
        folder: where rows are kept, each in a file of its name; None to keep none.
        name: says everything on which the row depends, but for the code.
        kind: a dataclass, or a list of one.
        measure: makes it.
    """
    of = TypeAdapter(kind)
    file = None if folder is None else folder / f"{name.replace(' ', '_')}.json"
    if file is not None and file.exists():
        return of.validate_json(file.read_bytes())
    made = measure()
    sys.stderr.write(f"{name}: {of.dump_json(made).decode()}\n")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(of.dump_json(made, indent=1))
    return made


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


def counted(words: Sequence[str]) -> str:
    """How often each word is there, in the order of the alphabet."""
    return ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))


def write_between(page: Path, tables: Mapping[str, str]) -> None:
    """Put tables into a page, each between the two comments of its name."""
    text = page.read_text(encoding="utf-8")
    for name, made in tables.items():
        between = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = re.sub(between, lambda found, made=made: f"{found[1]}\n{made}\n\n{found[2]}", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")
