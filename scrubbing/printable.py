"""Other people's text where people and machines read it: shown as it is, never obeyed."""

from __future__ import annotations

import os
import re


def can_be_written(text: object) -> bool:
    """Whether something is text that a file can hold: half of a surrogate pair is not."""
    try:
        return isinstance(text, str) and bool(text.encode() or True)
    except UnicodeEncodeError:
        return False


def visible(text: str) -> str:
    """Text whose control characters can be seen, so that none moves a cursor, rings, or turns the order of letters
    round. Tabs and ends of lines stay.
    """
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", _shown, text)


def unheard(text: str) -> str:
    """Text in which GitHub's runner finds no command, where one listens: it takes lines that begin with `::`, after any
    spaces, and whatever follows `##[`, for its own.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return text
    gap = "\N{ZERO WIDTH SPACE}"
    return re.sub(r"(?m)^(\s*)(?=::)", rf"\1{gap}", text).replace("##[", f"#{gap}#[")


def _shown(found: re.Match[str]) -> str:
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else f"\\u{code:04x}"
