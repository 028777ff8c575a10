"""Benchmarks whose data are not what their numbers are about: each is refused, and says which numbers."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.induction import task as induction
from benchmarks.induction import text
from benchmarks.parens import task as parens
from benchmarks.parens.strings import MAX_PARENS
from scrubbing import BadData


def test_other_strings(monkeypatch, refused):
    """As of a NumPy whose random numbers are others."""
    monkeypatch.setattr(parens, "drawn", lambda n, seed: (np.tile([True, False], (n, MAX_PARENS // 2)), np.full(n, 2)))
    refused(BadData, "SCR-FROZEN", parens.our_data)
    assert len(parens.our_data(50)) == 50, "data of another size are nobody's benchmark"


@pytest.mark.parametrize("which", induction.CORPORA)
def test_other_sequences(which, monkeypatch, refused):
    """One token of one sequence is another."""
    corpus = induction.CORPORA[which]

    def scored_on(n, length, seed):
        columns = corpus.scored_on(n, length, seed)
        columns["tokens"] = columns["tokens"].copy()
        columns["tokens"][7, 5] += 1
        return columns

    monkeypatch.setitem(induction.CORPORA, which, replace(corpus, scored_on=scored_on))
    refused(BadData, "SCR-FROZEN", lambda: induction.dataset.__wrapped__(which))


DAMAGE = {
    "missing": lambda path, raw: None,
    "truncated": lambda path, raw: path.write_bytes(raw[:-9]),
    "garbled": lambda path, raw: path.write_bytes(raw[:5000] + bytes(100) + raw[5100:]),
    "another text": lambda path, raw: path.write_bytes(gzip.compress(b"{}", mtime=0)),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_other_sources(case, tmp_path, monkeypatch, refused):
    DAMAGE[case](tmp_path / "sources.json.gz", text.SOURCES.read_bytes())
    monkeypatch.setattr(text, "SOURCES", tmp_path / "sources.json.gz")
    refused(BadData, "SCR-FROZEN", text._sources.__wrapped__)


def test_other_packages_to_train_on(monkeypatch, refused):
    monkeypatch.setattr(text, "PACKAGES", {"networkx": "3.6.1", "nowhere": "1.0"})
    monkeypatch.setattr(text, "distribution", _absent)
    refused(BadData, "SCR-FROZEN", text.packages)


def _absent(name):
    raise text.PackageNotFoundError(name)


def test_the_hash_is_of_the_numbers_and_not_of_how_they_are_kept():
    numbers = np.arange(12).reshape(3, 4)
    kept = [numbers.astype(kind) for kind in ("<i8", ">i8", "<i4", "u2")] + [np.asfortranarray(numbers)]
    assert len({induction.digest(one) for one in kept}) == 1
    assert induction.digest(numbers) != induction.digest(numbers.reshape(4, 3))
    assert induction.digest("ab", "c") != induction.digest("a", "bc")
