"""Features that nobody has to think of, by name: `features.count_3` is how often token 3 occurs in an input.

Each can be imported from here, so that a hypothesis about it can be stored. Values at padding are -1.

| name | per | value |
|---|---|---|
| `token`, `token_before`, `position` | position | the token, the one before it (-1 if there is none), its position |
| `seen_before` | position | whether the token occurs earlier |
| `after_last` | position | the token that followed its last earlier occurrence; -1 if there is none |
| `count_T_so_far` | position | how often token T occurs up to here |
| `compare_T_U_so_far` | position | whether T is more frequent than U up to here: 1, 0 or -1 |
| `token_at_P` | input | the token at position P |
| `equal_P_Q` | input | whether the tokens at positions P and Q are the same |
| `count_T`, `compare_T_U` | input | as above, in all |
| `ever_T_U` | input | whether T is more frequent than U in some beginning of the input |
| `ever_T_U_from_end` | input | whether it is in some end of the input |
| `length` | input | number of real positions |
| `column_NAME` | input | the column NAME of the data |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, Per

Values = NDArray[Any]

MOST_TOKENS = 10
"""Different tokens above which they are not counted: each pair of them is a feature."""
FEW_TOKENS = 5
"""Different tokens above which their counts are not compared at every position."""
MOST_POSITIONS = 12
"""Positions above which no two are compared."""
MOST_PLACES = 48
"""Positions above which the token at each is no feature of its own."""


def _tokens(data: Dataset) -> Values:
    """`[n, positions]`, -1 at padding."""
    tokens = data["tokens"].astype(np.int64)
    return tokens if data.mask is None else np.where(data.mask, tokens, -1)


def _token_before(data: Dataset) -> Values:
    tokens = _tokens(data)
    return np.where(tokens < 0, -1, np.pad(tokens, ((0, 0), (1, 0)), constant_values=-1)[:, :-1])


def _position(data: Dataset) -> Values:
    tokens = _tokens(data)
    return np.where(tokens < 0, -1, np.arange(tokens.shape[1], dtype=np.int64))


def _last_earlier(data: Dataset) -> Values:
    """The last earlier position with the same token, -1 if there is none, `[n, positions]`."""
    tokens = _tokens(data)
    found = np.full(tokens.shape, -1)
    for place in range(tokens.shape[1]):
        for earlier in range(place):
            found[tokens[:, earlier] == tokens[:, place], place] = earlier
    return np.where(tokens < 0, -1, found)


def _seen_before(data: Dataset) -> Values:
    return _last_earlier(data) >= 0


def _after_last(data: Dataset) -> Values:
    earlier, tokens = _last_earlier(data), _tokens(data)
    return np.where(earlier < 0, -1, np.take_along_axis(tokens, np.maximum(earlier + 1, 0) % tokens.shape[1], 1))


def _length(data: Dataset) -> Values:
    return (_tokens(data) >= 0).sum(1)


def _token_at(data: Dataset, place: int) -> Values:
    return _tokens(data)[:, place]


def _equal(data: Dataset, place: int, other: int) -> Values:
    return _tokens(data)[:, place] == _tokens(data)[:, other]


def _count_so_far(data: Dataset, token: int) -> Values:
    return (_tokens(data) == token).cumsum(1)


def _count(data: Dataset, token: int) -> Values:
    return (_tokens(data) == token).sum(1)


def _compare_so_far(data: Dataset, token: int, other: int) -> Values:
    return np.sign(_count_so_far(data, token) - _count_so_far(data, other))


def _compare(data: Dataset, token: int, other: int) -> Values:
    return np.sign(_count(data, token) - _count(data, other))


def _ever(data: Dataset, token: int, other: int) -> Values:
    return np.any(_compare_so_far(data, token, other) > 0, axis=1)


def _ever_from_end(data: Dataset, token: int, other: int) -> Values:
    tokens = _tokens(data)[:, ::-1]
    more: Values = (tokens == token).cumsum(1) > (tokens == other).cumsum(1)
    return np.any(more, axis=1)


def _column(data: Dataset, name: str) -> Values:
    return data[name]


_KINDS: dict[str, tuple[Callable[..., Values], Per]] = {
    r"token": (_tokens, "position"),
    r"token_before": (_token_before, "position"),
    r"position": (_position, "position"),
    r"seen_before": (_seen_before, "position"),
    r"after_last": (_after_last, "position"),
    r"count_(\d+)_so_far": (_count_so_far, "position"),
    r"compare_(\d+)_(\d+)_so_far": (_compare_so_far, "position"),
    r"length": (_length, "input"),
    r"token_at_(\d+)": (_token_at, "input"),
    r"equal_(\d+)_(\d+)": (_equal, "input"),
    r"count_(\d+)": (_count, "input"),
    r"compare_(\d+)_(\d+)": (_compare, "input"),
    r"ever_(\d+)_(\d+)": (_ever, "input"),
    r"ever_(\d+)_(\d+)_from_end": (_ever_from_end, "input"),
}


@cache
def generated(name: str) -> Feature:
    """The feature of this name; see the table above.

    Raises:
        AttributeError: there is none.
    """
    for kind, (function, per) in _KINDS.items():
        if found := re.fullmatch(kind, name):
            return _feature(name, function, per, tuple(map(int, found.groups())))
    if name.startswith("column_"):
        return _feature(name, _column, "input", (name.removeprefix("column_"),))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _feature(name: str, function: Callable[..., Values], per: Per, arguments: tuple[object, ...]) -> Feature:
    def compute(data: Dataset) -> Values:
        return function(data, *arguments)

    # `to_json` stores a function by module and name, and finds the feature there again through `__getattr__` below.
    compute.__module__, compute.__qualname__, compute.__name__ = __name__, name, name
    return Feature(name, compute=compute, per=per)


def __getattr__(name: str) -> Feature:
    if name.startswith("__"):
        raise AttributeError(name)
    return generated(name)


def features_of(data: Dataset, label: str | None = None) -> list[Feature]:
    """Every feature of these kinds that inputs may differ in, those that say least first in each kind.

    Args:
        data: inputs; without `tokens`, its columns are the only features.
        label: the column of the label.
    """
    names = [] if label is None else [f"column_{label}"]
    if "tokens" in data and data["tokens"].ndim == 2:
        names += _names(data)
    return [generated(name) for name in names]


def _names(data: Dataset) -> Iterator[str]:
    tokens = _tokens(data)
    length, present = tokens.shape[1], [int(token) for token in np.unique(tokens) if token >= 0]
    yield from ("token", "token_before", "position", "seen_before", "after_last")
    if data.mask is not None:
        yield "length"
    if length <= MOST_PLACES:
        yield from (f"token_at_{place}" for place in range(length))
    if length <= MOST_POSITIONS:
        yield from (f"equal_{place}_{other}" for place, other in combinations(range(length), 2))
    if len(present) <= MOST_TOKENS:
        for suffix in ("", "_so_far"):
            yield from (f"count_{token}{suffix}" for token in present)
            yield from (f"compare_{token}_{other}{suffix}" for token, other in combinations(present, 2))
    if len(present) <= FEW_TOKENS:
        for suffix in ("", "_from_end"):
            yield from (f"ever_{token}_{other}{suffix}" for token, other in permutations(present, 2))
