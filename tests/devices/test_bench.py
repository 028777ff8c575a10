"""The benchmark of a GPU runs, and says what it ran on."""

from __future__ import annotations

from datetime import date

import pytest
from conftest import NAME

from benchmarks.speed import gpu


@pytest.mark.slow
def test_every_column_is_filled(there, tmp_path):
    gpu.main(["--device", there, "--tiny", "--out", str(tmp_path / "speed.md")])
    written = (tmp_path / "speed.md").read_text(encoding="utf-8")
    assert f"{date.today():%Y-%m-%d}" in written and NAME in written.splitlines()[0].lower()
    rows = [line.strip("| ").split(" | ") for line in written.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows if "/" in row[0]] == ["parens/signs", "induction/heads-only"]
    sizes = [row for row in rows if row[0].startswith("tiny")]
    assert len(sizes) == len(gpu.TINY) * len(gpu.PRECISIONS)
    assert all(float(row[3].replace(",", "")) > 0 for row in sizes)


def test_a_loss_that_differs_ends_it(there, monkeypatch):
    monkeypatch.setattr(gpu, "CLOSE", -1.0)
    with pytest.raises(SystemExit, match="nats from the CPU's"):
        gpu.main(["--device", there, "--tiny"])


def test_models_without_room_are_left_out(there, monkeypatch):
    monkeypatch.setattr(gpu, "free", lambda device: 100)
    (first, *_) = gpu.shape_rows(gpu.resolve(there), gpu.TINY, True)
    assert first[2].startswith("not run: ")


def test_sizes_are_what_they_are_called():
    assert [round(one.parameters() / 1e9, 1) for one in gpu.SHAPES] == [0.2, 0.2, 1.4]
