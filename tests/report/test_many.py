"""Folders and lists of records: read back in their order, with what is missing or damaged said."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.errors import FileError
from scrubbing.records.store import load_all, save


def at(record, minute, name):
    when = record.provenance.model_copy(update={"when": f"2026-03-01T10:{minute:02}:00.000+00:00"})
    return record.model_copy(update={"provenance": when, "hypothesis": name, "inputs": None})


@pytest.fixture
def ladder(full, inputs, tmp_path, monkeypatch):
    """Three records, of which the alphabet has another order than the ladder."""
    monkeypatch.chdir(tmp_path)
    made = [at(full, i, name) for i, name in enumerate(("t/zero", "t/one", "t/all"))]
    for one in made:
        save(one, tmp_path / "records" / f"{one.hypothesis[2:]}.json", inputs)
    return made


def ran(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_a_folder_is_shown_in_the_order_of_the_ladder(ladder, tmp_path):
    found = ran("report", "records", "--out", "page.html")
    assert found.exit_code == 0, found.output
    text = (tmp_path / "page.html").read_text()
    assert re.findall(r'<article id="\S+" data-hypothesis="t/(\w+)"', text) == ["zero", "one", "all"]
    overview = text.partition("<article")[0]
    assert overview.count(">Heads 1.0 and 1.1 count") == len(ladder)
    assert text.count('class="listing') == len(ladder), "each with its own inputs"
    shown = ran("show", "records")
    assert shown.exit_code == 0
    assert re.findall(r"^(zero|one|all)\b", shown.output, re.M)[:3] == ["zero", "one", "all"]


def test_what_json_printed_is_read_back(ladder, tmp_path):
    printed = ran("show", "records", "--json").output
    (tmp_path / "list.json").write_text(printed)
    assert [one for _, one in load_all("list.json")] == [one for _, one in load_all("records")]
    again = ran("show", "list.json", "--json")
    assert json.loads(again.output) == json.loads(printed)
    assert ran("report", "list.json", "--out", "page.html").exit_code == 0
    assert ran("plot", "list.json", "--out", "one.svg").exit_code == 0


def test_records_without_their_tables(ladder, tmp_path):
    for table in (tmp_path / "records").glob("*.parquet"):
        table.unlink()
    found = ran("report", "records", "--out", "page.html")
    assert found.exit_code == 0
    assert found.output.count("its values per input are not beside it, and are left out") == len(ladder)
    assert "listing" not in (tmp_path / "page.html").read_text().partition("</style>")[2]


def test_what_is_no_record_is_said_and_the_rest_is_shown(ladder, tmp_path):
    (tmp_path / "records" / "other.json").write_text("{}")
    found = ran("report", "records", "--out", "page.html")
    assert found.exit_code == 0
    assert "SCR-FILE" in found.output and "other.json" in found.output
    assert (tmp_path / "page.html").read_text().count("<article") == len(ladder)


@pytest.mark.parametrize("content", ["[1]", "[", '[{"version": 3}]'])
def test_a_list_of_something_else(content, tmp_path):
    (tmp_path / "list.json").write_text(content)
    with pytest.raises(FileError, match="SCR-FILE"):
        load_all(tmp_path / "list.json")


def test_a_folder_without_records(tmp_path):
    with pytest.raises(FileError, match="there are no records in this folder"):
        load_all(tmp_path)
