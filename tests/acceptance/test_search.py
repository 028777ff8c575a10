"""A search on a trained model, without being told anything: as good as what people wrote, in minutes."""

from __future__ import annotations

import pytest

from benchmarks.search.trained import Searched, best, searched

pytestmark = pytest.mark.slow

MINUTES = 20
"""Of one processor: ten of two."""


def beats_or_stands_beside(found: Searched) -> None:
    """Something that was found is on the front, and what was found first loses next to nothing."""
    assert any(point.found for point in best(found, found.points))
    assert found.points[0].recovered[0] > 0.98
    assert {word for _, word in found.controls} == {"nothing to explain"}
    assert found.seconds < 60 * MINUTES


def test_paren_heads_are_found() -> None:
    found = searched("parens")
    beats_or_stands_beside(found)
    assert found.points[0].word == "tight"


@pytest.mark.original
@pytest.mark.usefixtures("original_folder")
def test_original_paren_heads_are_found() -> None:
    beats_or_stands_beside(searched("parens-original"))
