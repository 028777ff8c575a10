"""Folders of dictionaries that are damaged, or of a kind that cannot be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from scrubbing import FileError, Hypothesis, UsageError
from scrubbing.parts import read_dictionary

MADE = Path(__file__).parents[1] / "circuits" / "made" / "dictionaries"
Cfg = dict[str, Any]


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    save_file(change(load_file("sae/sae_weights.safetensors")), "sae/sae_weights.safetensors")


CASES: dict[str, tuple[str, str, Cfg, Callable[[], Any] | None]] = {
    "no config": ("standard", "SCR-FILE", {}, lambda: Path("sae/cfg.json").unlink()),
    "no weights": ("standard", "SCR-FILE", {}, lambda: Path("sae/sae_weights.safetensors").unlink()),
    "no JSON": ("standard", "SCR-FILE", {}, lambda: Path("sae/cfg.json").write_text("{")),
    "a list": ("standard", "SCR-FILE", {}, lambda: Path("sae/cfg.json").write_text("[]")),
    "no tensors": ("standard", "SCR-FILE", {}, lambda: Path("sae/sae_weights.safetensors").write_bytes(b"no")),
    "architecture": ("standard", "SCR-DICTIONARY", {"architecture": "temporal"}, None),
    "three faults": (
        "topk", "SCR-DICTIONARY SCR-DICTIONARY SCR-DICTIONARY",
        {"k": None, "normalize_activations": "covariance_whitening", "metadata": {"hook_name": "blocks.1.attn.hook_z"}},
        None,
    ),
    "activation": ("standard", "SCR-DICTIONARY", {"activation_fn_str": "tanh-relu"}, None),
    "a transcoder that reads before the norm": (
        "transcoder", "SCR-DICTIONARY",
        {"metadata": {"hook_name": "blocks.1.hook_resid_mid", "hook_name_out": "blocks.1.hook_mlp_out"}}, None,
    ),
    "a tensor is missing": (
        "gated", "SCR-DICTIONARY", {},
        lambda: tensors(lambda held: {name: one for name, one in held.items() if name != "r_mag"}),
    ),
    "shape": ("jumprelu", "SCR-DICTIONARY", {}, lambda: tensors(lambda held: {**held, "threshold": np.ones(3)})),
    "not finite": (
        "standard", "SCR-DICTIONARY", {}, lambda: tensors(lambda held: {**held, "b_dec": np.full(8, np.nan)}),
    ),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: Any) -> Callable[..., None]:
    monkeypatch.chdir(tmp_path)

    def make(name: str, fields: Cfg) -> None:
        shutil.copytree(MADE / name, "sae")
        cfg = Path("sae/cfg.json")
        cfg.write_text(json.dumps({**json.loads(cfg.read_text()), **fields}))

    return make


@pytest.mark.parametrize("case", CASES)
def test_folder(case: str, folder: Any, refused: Any) -> None:
    name, codes, fields, change = CASES[case]
    folder(name, fields)
    if change is not None:
        change()
    refused(FileError, codes, lambda: read_dictionary("sae"))


def test_features_that_it_does_not_have(folder: Any, refused: Any) -> None:
    folder("gated", {})
    refused(UsageError, "SCR-PART", lambda: read_dictionary("sae").features(3, 12))


def test_a_place_that_the_model_lacks(folder: Any, refused: Any, world: Any) -> None:
    folder("gated", {"metadata": {"hook_name": "blocks.7.hook_resid_pre"}})
    refused(UsageError, "SCR-PART", lambda: read_dictionary("sae").activations(world.models("native LN"), world.data))


def test_files_that_changed_since(folder: Any, refused: Any, world: Any) -> None:
    from scrubbing import OUTPUT, mlp

    folder("standard", {})
    claim = mlp(1).direct().part(read_dictionary("sae").features(1)).carries(world.parity)
    stored = Hypothesis("h", "s", OUTPUT.carries(world.output, claim)).to_json()
    stored = json.loads(json.dumps(stored).replace(read_dictionary("sae").digest, "0" * 16))

    def use() -> Any:
        from scrubbing.hypothesis.codec import decode

        part = decode(_find(stored, "features"))
        return part.function(None)

    refused(FileError, "SCR-DICTIONARY", use)


def _find(stored: Any, name: str) -> Any:
    if isinstance(stored, dict):
        if stored.get("class") == name:
            return stored
        stored = list(stored.values())
    found = [_find(one, name) for one in stored] if isinstance(stored, list) else []
    return next((one for one in found if one is not None), None)
