"""The commands of the first hour."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scrubbing.cli import app
from scrubbing.models.transformer_lens.tiny import hugging_face

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "errors").glob("SCR-*.md"))


def said(*arguments: str | Path, code: int = 0, columns: int = 100) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": str(columns)})
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def test_version() -> None:
    assert said("--version") == f"scrubbing {version('scrubbing')}\n"


@pytest.mark.parametrize("command", [(), ("run",), ("gate",), ("nodes",)])
def test_a_short_way_to_ask_for_help(command: tuple[str, ...]) -> None:
    assert said(*command, "-h") == said(*command, "--help")


def test_completion() -> None:
    assert "--install-completion" in said("--help")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_is_printed(page: Path) -> None:
    assert said("explain", page.stem).strip() == page.read_text().strip()


@pytest.mark.parametrize("written", ["SCR-NODE", "scr-node", "node", "[SCR-NODE]", " SCR-NODE "])
def test_codes_as_people_write_them(written: str) -> None:
    assert said("explain", written).startswith("# SCR-NODE: ")


def test_all_codes_are_listed_with_their_titles() -> None:
    assert said("explain").splitlines() == [page.read_text().partition("\n")[0].removeprefix("# ") for page in PAGES]


def test_what_is_neither_task_nor_model_hears_of_the_tasks() -> None:
    told = said("nodes", "parents", code=2)
    assert "there is no such folder or file here" in told
    assert "Of tasks there are: greater-than" in told


def test_no_such_code() -> None:
    assert "Did you mean: SCR-NODE" in said("explain", "SCR-NODES", code=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """A Hugging Face folder without weights."""
    place = tmp_path_factory.mktemp("gpt2")
    hugging_face("GPT-2").config.save_pretrained(place)
    return place


def test_nodes_of_a_folder_need_no_weights_and_no_torch(folder: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "scrubbing.cli", "nodes", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if line.endswith(("| torch", "| transformers"))]
    rows = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert list(rows)[1:8] == ["embed", "pos", "a0.h0 to a0.h1", "m0", "a1.h0 to a1.h1", "m1", "logits"]
    heads = rows["a0.h0 to a0.h1"]
    for told in ("2 heads of layer 0", "[n, positions, 8]", "head(0, 0) to head(0, 1)"):
        assert told in heads
    assert "50]" in rows["logits"] and "OUTPUT" in rows["logits"]
    assert "neurons" in done.stdout and "offsets, pairs" in done.stdout and "reads(q, k, v)" in done.stdout


def test_nodes_of_a_file_of_weights_and_of_a_task(tmp_path: Path) -> None:
    from scrubbing.models import to_file
    from scrubbing.models.transformer_lens import from_bridge
    from scrubbing.models.transformer_lens.tiny import tiny

    to_file(from_bridge(tiny("native LN")), tmp_path / "native.safetensors")
    found = said("nodes", tmp_path / "native.safetensors", columns=200)
    assert "embed" in found and "POS" in found
    assert "[n, positions, 2]" in said("nodes", "parens", columns=200)


def test_nodes_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        '"""A network of two layers."""\n'
        "import numpy as np\n"
        "from torch import nn\n"
        "from scrubbing import Classification, Dataset, Task, from_module\n"
        "data = Dataset({'input': np.eye(4), 'label': np.arange(4) % 2})\n"
        "net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).eval()\n"
        "model = from_module(net, data, nodes=['0'])\n"
        "task = Task('net', data=lambda: data, model=lambda: model, loss=Classification)\n"
        "other = 3\n"
    )
    monkeypatch.delitem(sys.modules, "net.py", raising=False)
    found = said("nodes", "net.py::task", columns=160)
    assert re.search(r'^layer0 +Linear 0 +\[n, 3\] +node\("layer0"\) +reads\(x\); directions', found, re.M)
    assert re.search(r"^input +argument input +\[n, 4\]", found, re.M)
    assert "SCR-TASK" in said("nodes", "net.py::other", code=2)


def test_doctor() -> None:
    found = said("doctor", "--no-hub")
    words = [line.split()[0] for line in found.splitlines()]
    assert words[:3] == ["scrubbing", "python", "libraries"]
    assert {"[tl]", "[text]", "[report]", "device", "threads", "memory", "spill", "tasks"} <= set(words)
    assert f"torch {version('torch')}" in found and "parens" in found


def test_doctor_asks_the_hub_only_where_it_may() -> None:
    assert "offline, because HF_HUB_OFFLINE is set" in said("doctor")


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text("mine")
    told = said("init", tmp_path, "--no-snapshot", code=2)
    assert "network.py" in told and "nothing was written" in told
    assert [one.name for one in tmp_path.iterdir()] == ["network.py"]
    assert (tmp_path / "network.py").read_text() == "mine"


def test_import_reads_what_run_takes(tmp_path: Path) -> None:
    """A circuit of another tool, from its file to a score."""
    from benchmarks.parens.task import graph
    from scrubbing.circuits.edge_circuit import all_edges

    edges, made = tmp_path / "edges.txt", tmp_path / "circuit.json"
    edges.write_text("\n".join(map(str, all_edges(graph()))))
    told = said("import", edges, "parens", "--from", "edges", "--out", made)
    assert "122 edges of edges.txt carry the input." in told
    assert "not said by the format:\n- which property" in told
    assert "legal on parens" in said("check", made, "--task", "parens")
    assert "edges/edges" in said("run", made, "--task", "parens", "--references", "20", "--draws", "1")
    assert "does not say which task" in said("run", made, code=2)
    made.write_text("{")
    assert "SCR-FILE" in said("run", made, "--task", "parens", code=2)
