"""Agreement groups: which inputs share a feature's value, in an order that draws can index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.classes import distinct
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature


@dataclass(frozen=True, eq=False)
class Groups:
    """The inputs of a dataset sorted by feature value (per position: by position first, then value).

    `members[start[g] : start[g] + size[g]]` are the rows of group `g` in order of input id, so that a draw does not
    depend on the order of the dataset.
    """

    values: tuple[NDArray[Any], ...]
    """The distinct values, sorted; one array, or one per position."""
    first: NDArray[np.int64]
    """Group of each array's first value."""
    group: NDArray[np.int32]
    """Group of each input, `[n]` or `[n, positions]`."""
    members: NDArray[np.int32]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    @cached_property
    def rank(self) -> NDArray[np.int32]:
        """Place of each input within its group, same shape as `group`."""
        place = np.arange(len(self.members), dtype=np.int32) - np.repeat(self.start, self.size).astype(np.int32)
        rank = np.empty(self.group.shape, dtype=np.int32)
        if self.group.ndim == 1:
            rank[self.members] = place
            return rank
        n_columns = self.group.shape[-1]
        columns = zip(np.split(self.members, n_columns), np.split(place, n_columns), strict=True)
        for j, (members, places) in enumerate(columns):
            rank[members, j] = places
        return rank

    @property
    def entropy(self) -> float:
        """Bits of the feature, averaged over positions: log2 n when every input has its own value. Source: Shannon."""
        share = self.size / max(len(self.group), 1)
        return float(-(share * np.log2(share)).sum() / len(self.values)) + 0.0

    def lookup(self, value: NDArray[Any], position: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """The group with each of these values (at each of these positions), -1 where the dataset has none."""
        if position is None:
            return _find(self.values[0], value)
        found = np.full(len(value), -1, dtype=np.int64)
        for j in map(int, np.unique(position)):
            here = position == j
            at = _find(self.values[j], value[here])
            found[here] = np.where(at < 0, -1, at + self.first[j])
        return found


def groups(feature: Feature, data: Dataset) -> Groups:
    """The agreement groups of a feature, computed once per dataset."""
    return data.remember(("groups", feature), lambda: _groups(feature, data))


def digest_of(feature: Feature, data: Dataset) -> str:
    """Digest of which inputs agree on a feature, whatever the values are. It differs if other inputs are exchanged."""
    return data.remember(("digest", feature), lambda: _digest(groups(feature, data), data.ids))


def _digest(table: Groups, ids: NDArray[np.int64]) -> str:
    # A class is known by its smallest id, which comes first among its members.
    smallest = ids[table.members[table.start]]
    named = np.ascontiguousarray(smallest[table.group][np.argsort(ids)])
    digest = hashlib.blake2b(repr(named.shape).encode(), digest_size=8)
    digest.update(named.astype("<i8").tobytes())
    return digest.hexdigest()


def agreeing(
    feature: Feature, home: Dataset, data: Dataset, row: int, position: int | None = None
) -> NDArray[np.bool_]:
    """Which inputs of `home` agree with one of `data` (at a position), one by one; `groups` and `locate` are faster."""
    if feature.op == "joint" and data is not home:
        parts = [agreeing(part, home, data, row, position) for part in feature.of]
        return np.all(parts, axis=0)
    if feature.op == "identity" and data is not home:
        return np.all([_same(home[name], data[name][row]) for name in data if name in home], axis=0)
    values, wanted = feature(home), feature(data)[row]
    if feature.per == "position":
        values, wanted = values[:, position], wanted[position]
    return _same(values, wanted)


def _same(values: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.bool_]:
    return (values == wanted).reshape(len(values), -1).all(axis=1)


def locate(
    feature: Feature, data: Dataset, rows: NDArray[np.int64], home: Dataset, position: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """For inputs of another dataset, the group of inputs in `home` that agree with them; -1 where there are none."""
    table = groups(feature, home)
    if feature.op == "identity" and data is not home:
        # Its values number the inputs of one dataset, and mean nothing in another.
        found = [np.flatnonzero(agreeing(feature, home, data, int(row))) for row in rows]
        return np.array([table.group[same[0]] if len(same) else -1 for same in found], dtype=np.int64)
    if feature.op != "joint":
        values = feature(data)
        return table.lookup(values[rows] if position is None else values[rows, position], position)
    # A joint feature numbers the combinations it finds, so its numbers mean nothing in another dataset.
    places = [position if part.per == "position" else None for part in feature.of]
    wanted = np.stack([locate(part, data, rows, home, at) for part, at in zip(feature.of, places, strict=True)], axis=1)
    parts = [groups(part, home).group for part in feature.of]
    found = np.full(len(rows), -1, dtype=np.int64)
    for j in [0] if position is None else np.unique(position):
        here = np.full(len(rows), True) if position is None else position == j
        known, example = np.unique(np.stack([_at(group, j) for group in parts], axis=1), axis=0, return_index=True)
        at = _find(known, wanted[here])
        found[here] = np.where(at < 0, -1, _at(table.group, j)[example[at]])
    return found


def _at(group: NDArray[np.int32], position: int) -> NDArray[np.int32]:
    return group if group.ndim == 1 else group[:, position]


def disagree(feature: Feature, first: Dataset, second: Dataset) -> NDArray[np.bool_]:
    """Which inputs do not agree with those in the same rows of another dataset, at any position."""
    if feature.op == "joint":
        return np.any([disagree(part, first, second) for part in feature.of], axis=0)
    columns = [(first[name], second[name]) for name in first] if feature.op == "identity" else []
    differ = [a != b for a, b in columns or [(feature(first), feature(second))]]
    return np.any([one.reshape(len(first), -1).any(axis=1) for one in differ], axis=0)


def _groups(feature: Feature, data: Dataset) -> Groups:
    values = feature(data)
    by_id = np.argsort(data.ids, kind="stable")
    if feature.per == "input":
        present, codes = distinct(values)
        columns = [_sorted_by(codes, by_id, len(present))]
        arrays = (present,)
    else:
        # One position at a time: sorting a narrow column is a radix sort, sorting all n * positions at once is not.
        per_column = [distinct(column) for column in np.ascontiguousarray(values.T)]
        arrays = tuple(present for present, _ in per_column)
        columns = [_sorted_by(code, by_id, len(present)) for present, code in per_column]
        codes = np.stack([code for _, code in per_column], axis=1)
    first = np.concatenate([[0], np.cumsum([len(a) for a in arrays])[:-1]]).astype(np.int64)
    offset = first.astype(np.int32)
    return Groups(
        values=arrays,
        first=first,
        group=codes if codes.ndim == 1 else codes + offset,
        members=np.concatenate([members for members, _, _ in columns]),
        start=np.concatenate([start + j * len(data) for j, (_, start, _) in enumerate(columns)]),
        size=np.concatenate([size for _, _, size in columns]),
    )


def _sorted_by(
    code: NDArray[np.int32], by_id: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    narrow = code[by_id].astype(np.uint8 if count <= 256 else np.uint16 if count <= 65536 else np.int32)
    members = by_id[np.argsort(narrow, kind="stable")].astype(np.int32)
    size = np.bincount(code, minlength=count).astype(np.int64)
    return members, np.cumsum(size) - size, size


def _find(sorted_values: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    if sorted_values.ndim == 2:
        both = np.unique(np.concatenate([sorted_values, wanted]), axis=0, return_inverse=True)[1].reshape(-1)
        place = {int(code): i for i, code in enumerate(both[: len(sorted_values)])}
        return np.array([place.get(int(code), -1) for code in both[len(sorted_values) :]], dtype=np.int64)
    at = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return np.where(sorted_values[at] == wanted, at, -1)
