"""Names of hypotheses as names of files: the one place where the first become the second."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes

from scrubbing.errors import Fault, UsageError

LONGEST = 180
"""Characters of a file name without its ending; with what is added to it, file systems take 255 bytes."""

_WRITTEN = re.compile(r"/|(?<=[-/])-|-(?=[-/])|[^a-z0-9_-]")
"""What does not stand for itself."""
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])", re.ASCII)
"""Names of devices on Windows, with any ending."""


def stem(name: str) -> str:
    """A hypothesis's name as the name of a file, without its ending.

    Different names give different files, also where a file system takes capitals for small letters or writes accents
    in its own way, and `name_of` gives the name back. Small letters, digits, `_` and `-` stand for themselves, `/`
    becomes `--`, a capital has `+` before it, and every other character is `%` and its bytes in hexadecimal:
    `two-heads` is `two-heads`, `parens/one-number` is `parens--one-number`, and `My claim` is `+my%20claim`. A `-`
    beside another, or beside a `/`, is `%2d`: it would be taken for a half of one.
    """
    made = _WRITTEN.sub(_written, name)
    return f"%{ord(made[0]):02x}{made[1:]}" if _RESERVED.fullmatch(made) else made


def name_of(file: str) -> str:
    """The name whose `stem` this is."""
    plain = re.sub(r"\+([a-z])", lambda found: found[1].upper(), file.replace("--", "/"))
    return unquote_to_bytes(plain).decode(errors="surrogatepass")


def table(path: Path, digest: str) -> str:
    """The name of the table of values per input that goes with a record: that of its content."""
    return f"{path.stem}-{digest}.parquet"


def is_table(file: str, path: Path) -> bool:
    """Whether a file is a table that went with a record at `path`, of this run or an earlier one."""
    return re.fullmatch(re.escape(path.stem) + r"-[0-9a-f]{16}\.parquet", file) is not None


def place(folder: Path, name: str, kind: str = "") -> Path:
    """Path of the record of a hypothesis.

    Args:
        folder: with the records.
        name: of the hypothesis.
        kind: tells apart records of one hypothesis; lower-case letters, digits and `-`.
    """
    return folder / f"{stem(name)}{kind and f'.{kind}'}.json"


def before(folder: Path, name: str, kind: str = "") -> Path:
    """Path at which release 0.1 kept the record of a hypothesis; other names may have had the same path."""
    old = name.replace("/", "-").replace(" ", "-")
    return folder / f"{old}{kind and f'.{kind}'}.json"


def check(names: Iterable[str]) -> None:
    """Refuse names that cannot all have a file of their own, before anything runs that would be written there.

    Raises:
        UsageError: SCR-NAME, with every fault: a name is too long, or two hypotheses have the same.
    """
    faults: list[Fault] = []
    for name, times in Counter(names).items():
        shown = name if len(name) <= 60 else f"{name[:50]}... ({len(name)} characters)"
        if len(stem(name)) > LONGEST:
            problem = f"as a file name it has {len(stem(name))} characters, and there is room for {LONGEST}."
            remedy = "Shorten it; small letters, digits, _ and - take one character each, others up to twelve."
            faults.append(Fault("SCR-NAME", f"hypothesis {shown!r}", problem, remedy))
        if times > 1:
            problem = f"{times} hypotheses have this name, and their records would have the same file."
            faults.append(Fault("SCR-NAME", f"hypothesis {shown!r}", problem, "Give each a name of its own."))
    if faults:
        raise UsageError(faults)


def _written(found: re.Match[str]) -> str:
    one = found[0]
    if one == "/":
        return "--"
    if "A" <= one <= "Z":
        return "+" + one.lower()
    return "".join(f"%{byte:02x}" for byte in one.encode(errors="surrogatepass"))
