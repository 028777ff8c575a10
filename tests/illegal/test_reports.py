"""Figures and tables that cannot be made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from scrubbing import FileError, UsageError
from scrubbing.records.store import load
from scrubbing.report.frames import to_frame
from scrubbing.report.plot import plot

RECORD = Path(__file__).parents[1] / "compat" / "records" / "v1-signs.json"

ILLEGAL = {
    "kind": lambda records: plot(records, "one.svg", "scatter"),
    "format": lambda records: plot(records, "one.docx"),
    "no format": lambda records: plot(records, "one"),
    "width": lambda records: plot(records, "one.svg", width="triple"),
    "no records": lambda records: plot([], "one.svg"),
    "no values per input": lambda records: plot(records, "one.svg", "inputs"),
    "tables of another number": lambda records: plot(records, "one.svg", "inputs", inputs=[None, None]),
}


@pytest.fixture
def records():
    return [load(RECORD)]


@pytest.mark.parametrize("case", ILLEGAL)
def test_figures(case, records, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(UsageError, "SCR-PLOT", lambda: ILLEGAL[case](records))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(records, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(FileError, "SCR-FILE", lambda: plot(records, "gone/one.svg"))


def test_without_matplotlib(records, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(UsageError, "SCR-EXTRA", lambda: plot(records, "one.svg"))


def test_without_pandas(records, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    refused(UsageError, "SCR-EXTRA", lambda: to_frame(records))
