"""Folders of records are read to their end, and disks are not; names that no record can hold are refused first."""

from __future__ import annotations

import pytest

from scrubbing import FileError
from scrubbing.records import store
from scrubbing.records.files import file


def test_a_disk_is_not_walked_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST_FILES", 5)
    for i in range(3):
        (tmp_path / f"{i}").mkdir()
        (tmp_path / f"{i}" / "a.txt").touch()
    with pytest.raises(FileError, match="more than 5 files and folders in it") as refused:
        store.load_all(tmp_path)
    assert refused.value.codes == ("SCR-FILE",)
    monkeypatch.setattr(store, "MOST_FILES", 6)
    with pytest.raises(FileError, match="there are no records in this folder"):
        store.load_all(tmp_path)


def test_what_is_hidden_is_not_read(tmp_path):
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.json").write_text("{}")
    (tmp_path / ".b.json").write_text("{}")
    (tmp_path / "c.json").write_text("{}")
    assert [path.name for path, _ in store.records_in(tmp_path)] == ["c.json"]


@pytest.mark.parametrize("name", ["\udcff", "a\ud800.json"])
def test_a_name_is_text(name, tmp_path):
    with pytest.raises(FileError, match="Its name is no text"):
        file(tmp_path / name, "the record")
    assert not list(tmp_path.iterdir())
