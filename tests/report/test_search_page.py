"""The page of a search: how many hypotheses were tried, what the controls came to, and the front."""

from __future__ import annotations

import re

import pytest

from scrubbing.records.search import ControlSearch, Effort, SearchRecord
from scrubbing.report.page import page
from scrubbing.report.view.search import search

from .test_size import sized

EFFORT = Effort(tried=431, decided=17, examples=20_000, complete=True, seconds=3.0)


@pytest.fixture
def found(full):
    """Two that were found, and one that was given, which is beaten."""
    made = [sized(full, name, bits, value) for name, bits, value in (("t/found", 6.0, 0.99), ("t/smaller", 2.0, 0.5))]
    controls = [
        ControlSearch(name="fresh weights", meaning="weights drawn anew", word="nothing to explain", effort=EFFORT),
        ControlSearch(name="shuffled-labels", meaning="a nonsense task", word="tight"),
    ]
    return SearchRecord(
        found=made, beside=[sized(full, "t/given", 8.0, 0.7)], word="not specific", alpha=0.05, margin=0.01,
        effort=EFFORT, features=12, fitted=300, held_out=200, controls=controls,
    )  # fmt: skip


def test_a_page_of_a_search_begins_with_the_search(found):
    text = page([*found.found, *found.beside], lead=[search(found)])
    first = text.partition("<article")[0]
    assert "Hypotheses tried: 431" in first
    for one in found.controls:
        assert one.name in first and one.meaning in first and one.word in first
    assert "Not specific: with shuffled-labels" in first
    rows = re.findall(r'<th scope="row">(\w+)</th>.*?data-label="on the front">(\w+)<', first)
    assert rows == [("found", "yes"), ("smaller", "yes"), ("given", "no")]
    assert re.search(r"1 found; 2 smaller; 3 given", first)
    assert text.count("<article") == 3


def test_the_front_is_a_line_through_what_is_on_it(found):
    text = page(found.found, lead=[search(found)])
    (line,) = re.findall(r'class="scatter".*?<path class="join" d="([^"]*)"', text, re.S)
    assert len(re.findall(r"[ML]", line)) == 2


def test_a_search_without_sizes_has_no_picture(found, full):
    bare = full.model_copy(update={"size": None})
    section = search(found.model_copy(update={"found": [bare], "beside": []}))
    assert "Front" not in {type(block).__name__ for block in section.blocks}
