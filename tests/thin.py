"""Large tables of cases, of which some are run by default and the others are slow tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], of: int = 2, first: int = 0) -> list[Any]:
    """Cases for `parametrize`, of which one in `of` is run by default; those that are slow tests already stay so.

    Args:
        cases: values of one argument, tuples of several, or `pytest.param`.
        of: how many cases there are for each that is run.
        first: number of the first that is run, so that tables of the same cases can take turns.
    """
    made = [_case(case) for case in cases]
    chosen = [i for i, case in enumerate(made) if not case.marks][first % of :: of]
    return [
        case if case.marks or i in chosen else pytest.param(*case.values, marks=pytest.mark.slow, id=case.id)
        for i, case in enumerate(made)
    ]


def _case(case: Any) -> Any:
    if hasattr(case, "marks"):
        return case
    return pytest.param(*(case if type(case) is tuple else (case,)))
