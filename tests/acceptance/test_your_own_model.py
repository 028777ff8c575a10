"""The induction ladder by the real command on models and text that do not come with the package."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.induction.evidence import evidence
from benchmarks.induction.yours import on
from scrubbing import FileError, from_folder
from scrubbing.data.hub import fetch
from scrubbing.data.text import read_dataset, read_text
from scrubbing.models.transformer_lens import from_bridge
from tests.warm import python

ROOT = Path(__file__).parents[2]


def bench(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return python("-m", "scrubbing.cli", "bench", "induction", *map(str, options), cwd=ROOT)


def recovered(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """Fraction of "heads only" recovered, by rung."""
    assert done.returncode == 0, done.stderr
    found = {}
    for record in json.loads(done.stdout):
        fractions = {one["baseline"]: one["fraction"] for one in record["recovered"]}
        found[record["hypothesis"].rpartition("/")[2]] = fractions["heads only"]["value"]
    return found


def test_weights_and_config_in_the_old_format(legacy_folder):
    """The file with the final weights is found among others, and computes what the shipped model does."""
    from benchmarks.induction import text
    from benchmarks.induction.task import model

    loaded, shipped = from_folder(legacy_folder), model("python")
    assert loaded.spec.positions == "query_key"
    tokens = torch.from_numpy(text.sequences("held out", 4, 128, 0))
    with torch.inference_mode():
        assert torch.allclose(loaded.forward(tokens, None), shipped.forward(tokens, None), atol=1e-4)


@pytest.mark.parametrize("name", ["native LNPre attention-only", "native attention-only"])
def test_residual_positions_in_the_old_format(name, tiny_bridge, tmp_path):
    from scrubbing.models.transformer.checkpoint import to_file

    made = from_bridge(tiny_bridge(name))
    to_file(made, tmp_path / "weights.safetensors")
    torch.save(load_file(tmp_path / "weights.safetensors"), tmp_path / "SoLU_2L_final.pth")
    (tmp_path / "weights.safetensors").unlink()
    norm = "LNPre" if "LNPre" in name else None
    config = {
        "n_layers": 2, "n_heads": 2, "d_model": 8, "d_head": 4, "d_mlp": 32, "n_ctx": 6, "d_vocab": 50,
        "act_fn": "solu_ln", "attn_only": True, "normalization": norm, "shortformer_pos": False, "neuron_scale": 1.0,
        "tokenizer_name": "EleutherAI/gpt-neox-20b",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    tokens = torch.arange(12).view(2, 6)
    loaded = from_folder(tmp_path)
    with torch.inference_mode():
        assert torch.allclose(loaded.forward(tokens, None), made.forward(tokens, None), atol=1e-5)


@pytest.mark.slow
def test_the_ladder_on_a_model_in_the_old_format(legacy_folder, python_file):
    options = ("--model", legacy_folder, "--text", python_file, "--references", "40", "--draws", "1")
    found = recovered(bench(*options, "--json", "--only", "naive", "--only", "refined", "--no-verdict"))
    assert found["naive"] < 0.65 and found["refined"] > 0.8
    told = bench(*options, "--only", "heads-only")
    assert told.returncode == 0
    assert "copies is left out: no head of layer 0" in told.stdout
    assert re.search(r"^induction\b.* 1\.7 0\.\d\d\*", told.stdout, re.M)


@pytest.fixture(scope="module")
def gpt2_ladder(gpt2_folder, words_file):
    return recovered(
        bench(
            "--model", gpt2_folder, "--text", words_file, "--references", "40", "--draws", "1", "--json", "--no-verdict"
        )
    )


def test_the_ladder_on_a_hugging_face_model_whose_algorithm_is_known(gpt2_ladder):
    """Its heads match the current token with the previous one and nothing else, so the naive hypothesis is right."""
    assert "copies" not in gpt2_ladder and len(gpt2_ladder) == 12
    for rung in ("value", "query", "key", "key-previous", "naive", "refined"):
        assert gpt2_ladder[rung] > 0.99, rung
    assert abs(gpt2_ladder["heads-only"]) < 0.05
    assert gpt2_ladder["two-back"] < 0.5


def test_its_roles_and_evidence(gpt2_folder, words_file):
    subject = on(str(gpt2_folder), lambda: read_text(words_file))
    assert (subject.roles.previous, subject.roles.induction) == (((1, 0),), ((2, 1),))
    found = evidence(subject.task, subject.roles, references=60)
    assert np.unravel_index(found.matching.argmax(), found.matching.shape) == (2, 1)
    assert found.second_half < found.first_half - 3
    model, lost = found.losses["the model"], found.losses["induction heads resampled"]
    spared = found.losses["other heads of these layers resampled"]
    assert lost[0] > model[0] + 1 and lost[1] > model[1] + 1
    assert spared[0] < model[0] + 0.1
    assert "2.1" in found.describe()


def test_hypotheses_are_scored_on_text_they_were_not_written_on(gpt2_folder, words_file):
    subject = on(str(gpt2_folder), lambda: read_text(words_file))
    n = len(subject.sequences)
    together = np.concatenate([subject.written, subject.scored])
    assert len(together) == n and (together == subject.sequences).all()


def test_a_dataset_instead_of_a_file(legacy_folder, python_file, tmp_path):
    pieces = python_file.read_text().split("\n\n\n")
    (tmp_path / "texts.jsonl").write_text("\n".join(json.dumps({"code": piece}) for piece in pieces))
    subject = on(str(legacy_folder), lambda: read_dataset(f"{tmp_path / 'texts.jsonl'}:train:code"))
    assert subject.roles.induction == ((1, 2), (1, 7))
    begins = (subject.sequences == 0).sum()
    assert begins > len(subject.sequences) + len(pieces) // 2


def test_what_was_fetched_before_is_used_without_asking(legacy_folder, tmp_path, monkeypatch):
    cache = tmp_path / "models--nobody--model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("a" * 40)
    shutil.copytree(legacy_folder, cache / "snapshots" / ("a" * 40))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert fetch("nobody/model") == cache / "snapshots" / ("a" * 40)


@pytest.mark.parametrize(
    ("there", "wanted", "left"),
    [
        (["model_final.pth", "checkpoints/x_1.pth", "optimizer.pt"], "model_final.pth", "checkpoints/x_1.pth"),
        (["model.safetensors", "pytorch_model.bin"], "model.safetensors", "pytorch_model.bin"),
    ],
)
def test_only_what_is_needed_is_fetched(there, wanted, left, tmp_path, monkeypatch):
    asked = []

    def snapshot(name, allow_patterns=None, local_files_only=False):
        if local_files_only:
            raise FileNotFoundError
        asked.extend(one for one in there if any(fnmatch(one, pattern) for pattern in allow_patterns))
        return str(tmp_path)

    files = SimpleNamespace(siblings=[SimpleNamespace(rfilename=one) for one in there])
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_: files)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert fetch("nobody/model") == tmp_path
    assert wanted in asked and left not in asked


def test_without_a_network_nothing_is_tried_again(words_file, tmp_path):
    """The hub's own client would try for 23 seconds. What is left is the time that Python takes to start."""
    closed = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    started = time.monotonic()
    command = [sys.executable, "-m", "scrubbing.cli", "bench", "induction", "--model", "ArthurConmy/redwood_attn_2l"]
    done = subprocess.run(
        [*command, "--text", words_file], capture_output=True, text=True, env={**os.environ, **closed}, check=False
    )
    assert time.monotonic() - started < 10
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "[SCR-HUB]" in done.stderr and "hf download ArthurConmy" in done.stderr


@pytest.mark.parametrize("hangs", [False, True])
def test_a_hub_that_cannot_be_reached_is_not_waited_for(hangs, monkeypatch):
    """A port that is closed, and a server that takes connections and says nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    if not hangs:
        server.close()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{port}")
    started = time.monotonic()
    with pytest.raises(FileError, match="did not answer within" if hangs else "cannot be reached"):
        fetch("nobody/model-that-nobody-has")
    assert time.monotonic() - started < 1.5
    server.close()
