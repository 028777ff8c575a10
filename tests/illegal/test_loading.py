"""Files, folders and tensors in memory that are not what a model of their config is made of."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from scrubbing import FileError, ModelMismatch, UsageError, from_state_dict, load_model
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import NATIVE, NATIVE_SIZES, hugging_face

CONFIG = {**NATIVE_SIZES, **NATIVE["native LN"]}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 548105171\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def state(here, tiny_bridge):
    """The tensors of a good checkpoint: `model.safetensors`, and `plain.safetensors` without a config."""
    to_file(from_bridge(tiny_bridge("native LN")), "model.safetensors")
    found = load_file("model.safetensors")
    save_file(found, "plain.safetensors")
    return found


def written(name, content):
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_model(name, CONFIG)


def saved(name, thing):
    torch.save(thing, name)
    return load_model(name, CONFIG)


def cut(name, state, at):
    torch.save(state, name)
    return written(name, Path(name).read_bytes()[:at])


FILES = {
    "pointer of git-lfs": lambda state: written("model.safetensors", POINTER),
    "pointer of git-lfs to a pickle": lambda state: written("model.pt", POINTER),
    "empty": lambda state: written("model.safetensors", b""),
    "empty pickle": lambda state: written("model.pt", b""),
    "web page": lambda state: written("model.safetensors", "<!doctype html><html><title>404</title></html>"),
    "header longer than the file": lambda state: written("model.safetensors", (2**60).to_bytes(8, "little") + b"{}"),
    "header that is no JSON": lambda state: written("model.safetensors", (9).to_bytes(8, "little") + b"not JSON!"),
    "truncated": lambda state: written("new.safetensors", Path("plain.safetensors").read_bytes()[:-50]),
    "truncated pickle": lambda state: cut("model.pt", state, 2000),
    "module": lambda state: saved("model.pt", nn.Linear(2, 2)),
    "function": lambda state: saved("model.pt", {"W": torch.ones(2), "hook": written}),
    "training state": lambda state: saved("model.pt", {"model": state, "step": 5}),
    "number": lambda state: saved("model.pt", 5),
    "folder as a file": lambda state: load_model("folder.safetensors"),
    "gone": lambda state: load_model("gone.safetensors"),
}


@pytest.mark.parametrize("case", FILES)
def test_files(case, state, here, refused):
    (here / "folder.safetensors").mkdir()
    refused(FileError, "SCR-FILE", lambda: FILES[case](state))


def changed(state, **tensors):
    return from_state_dict({**state, **{key.replace("__", "."): value for key, value in tensors.items()}}, CONFIG)


WEIGHTS = {
    "missing, unexpected and of another shape": lambda s: from_state_dict(
        {("embed.W" if key == "embed.W_E" else key): value[:1] for key, value in s.items()}, CONFIG
    ),
    "many missing": lambda s: from_state_dict({"embed.W_E": s["embed.W_E"]}, CONFIG),
    "none": lambda s: from_state_dict({}, CONFIG),
    "integers": lambda s: changed(s, unembed__W_U=s["unembed.W_U"].int()),
    "booleans": lambda s: changed(s, unembed__W_U=s["unembed.W_U"] > 0),
    "complex numbers": lambda s: changed(s, unembed__W_U=s["unembed.W_U"].cfloat()),
    "eight bits": lambda s: changed(s, unembed__W_U=s["unembed.W_U"].to(torch.float8_e5m2)),
    "sparse": lambda s: changed(s, unembed__W_U=s["unembed.W_U"].to_sparse()),
    "no numbers": lambda s: changed(s, unembed__W_U=s["unembed.W_U"].to("meta")),
    "a prefix": lambda s: from_state_dict({f"base_model.model.{key}": value for key, value in s.items()}, CONFIG),
    "an adapter's tensors": lambda s: changed(s, blocks__0__attn__W_Q__lora_A=torch.ones(2)),
    "a billion layers": lambda s: from_state_dict(s, {**CONFIG, "n_layers": 10**9}),
    "too many layers": lambda s: from_state_dict(s, {**CONFIG, "n_layers": 3}),
    "a mapping to lists": lambda s: from_state_dict({key: value.tolist() for key, value in s.items()}, CONFIG),
    "a module": lambda s: from_state_dict(nn.Linear(2, 2), CONFIG),
    "a config that is none": lambda s: from_state_dict(s, "config.json"),
    "half of the biases": lambda s: from_state_dict(
        {k: v for k, v in s.items() if not k.endswith("1.attn.b_V")}, CONFIG
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(case, state, refused):
    started = time.monotonic()
    refused(ModelMismatch, "SCR-WEIGHTS", lambda: WEIGHTS[case](state))
    assert time.monotonic() - started < 2


def test_weights_that_are_not_numbers(state, refused):
    hole = state["pos_embed.W_pos"].clone()
    hole[-1, -1] = float("inf")
    broken = {**state, "blocks.1.mlp.b_in": state["blocks.1.mlp.b_in"] * float("nan"), "pos_embed.W_pos": hole}
    refused(ModelMismatch, "SCR-NAN", lambda: from_state_dict(broken, CONFIG))


def test_weights_that_overflow_the_precision(state, refused):
    large = {**state, "embed.W_E": state["embed.W_E"] * 1e6}
    refused(ModelMismatch, "SCR-NAN", lambda: from_state_dict(large, CONFIG, dtype=torch.float16))


def test_eight_bits_are_no_precision(state, refused):
    refused(ModelMismatch, "SCR-DTYPE", lambda: load_model("model.safetensors", dtype=torch.float8_e5m2))


def configured(state, **fields):
    return from_state_dict(state, {**CONFIG, **fields})


CONFIGS = {
    "sizes that are none": lambda s: configured(
        s, n_layers=0, n_heads=True, d_model=8.0, d_head="4", n_ctx=None, d_vocab=-1
    ),
    "unknown values": lambda s: configured(s, act_fn="solu_ln", normalization_type="BN", attention_dir="casual"),
    "heads that do not share evenly": lambda s: configured(s, n_key_value_heads=3),
    "numbers that are none": lambda s: configured(s, eps=-1.0, attn_scale="none", attn_scores_soft_cap=float("nan")),
    "what native models do not do": lambda s: configured(
        s, parallel_attn_mlp=True, use_local_attn=True, load_in_4bit=True
    ),
    "scaling switched off": lambda s: configured(s, use_attn_scale=False),
    "rotary positions in the legacy layout": lambda s: configured(s, positional_embedding_type="rotary"),
    "rotary positions of a strange kind": lambda s: from_state_dict(
        {"blocks.0.attn.q.weight": torch.ones(8, 8)},
        {
            **CONFIG,
            "positional_embedding_type": "rotary",
            "rotary_dim": 3,
            "rotary_base": 0,
            "rope_scaling": {"type": "su"},
        },
    ),
    "biases that are none": lambda s: configured(s, biases=["b_Q", "b_X"]),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_configs(case, state, refused):
    def call():
        with pytest.raises(ModelMismatch) as caught:
            CONFIGS[case](state)
        codes.extend(caught.value.codes)
        raise caught.value

    codes: list[str] = []
    expected = {
        "sizes that are none": 6,
        "unknown values": 3,
        "numbers that are none": 3,
        "what native models do not do": 3,
    }
    refused(ModelMismatch, " ".join(["SCR-CONFIG"] * expected.get(case, 3 if "strange" in case else 1)), call)


def folder(here, name, config, **files):
    """A folder with the tensors of a tiny Hugging Face model, and this changed in its config."""
    module = hugging_face(name)
    save_model(module, str(here / "model.safetensors"))
    (here / "config.json").write_text(json.dumps({**module.config.to_dict(), **config}, default=str))
    return load_model(here, name="tiny")


HUGGING_FACE = {
    "unknown family": ("SCR-FAMILY", "Llama", {"model_type": "mamba", "architectures": None}),
    "another head": ("SCR-FAMILY", "Llama", {"architectures": ["LlamaForSequenceClassification"]}),
    "code of its own": (
        "SCR-FAMILY",
        "Llama",
        {"architectures": ["MyLlama"], "auto_map": {"AutoModel": "mine.MyLlama"}},
    ),
    "class and type that differ": ("SCR-CONFIG", "Llama", {"architectures": ["GPT2LMHeadModel"]}),
    "quantised": (
        "SCR-CONFIG",
        "Llama",
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}},
    ),
    "a billion layers": ("SCR-WEIGHTS", "Llama", {"num_hidden_layers": 10**9}),
    "more layers": ("SCR-WEIGHTS", "Llama", {"num_hidden_layers": 3}),
    "a wider MLP": ("SCR-WEIGHTS", "Llama", {"intermediate_size": 7}),
    "a vocabulary of another size": ("SCR-WEIGHTS", "GPT-2", {"vocab_size": 10**12}),
    "speeds that depend on the input": (
        "SCR-FAMILY",
        "Llama",
        {"rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}},
    ),
    "a window that is none": ("SCR-CONFIG", "Mistral", {"sliding_window": -1}),
}


@pytest.mark.parametrize("case", HUGGING_FACE)
def test_hugging_face_folders(case, here, refused):
    codes, name, config = HUGGING_FACE[case]
    hide = {re.escape(str(here)): "<folder>"}
    refused(ModelMismatch, codes, lambda: folder(here, name, config), hide)


def index(here, entries):
    (here / "model.safetensors.index.json").write_text(json.dumps(entries))


FOLDERS = {
    "no weights": lambda here: None,
    "weights under another name": lambda here: save_file({"x": torch.ones(1)}, here / "weights.safetensors"),
    "an adapter": lambda here: (here / "adapter_config.json").write_text("{}"),
    "an index without a map": lambda here: index(here, {"metadata": {}}),
    "an index that leads elsewhere": lambda here: index(here, {"weight_map": {"x": "../model.safetensors"}}),
    "a file that is missing": lambda here: index(here, {"weight_map": {"x": "a.safetensors"}}),
    "a file with other tensors": lambda here: (
        save_file({"y": torch.ones(1)}, here / "a.safetensors"),
        index(here, {"weight_map": {"x": "a.safetensors"}}),
    ),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_of_weights(case, here, refused):
    (here / "config.json").write_text(json.dumps(hugging_face("Llama").config.to_dict(), default=str))
    FOLDERS[case](here)
    refused(FileError, "SCR-FILE", lambda: load_model("."))


def test_several_files_that_could_be_the_weights(state, here, refused):
    (here / "config.json").write_text(json.dumps(CONFIG))
    refused(FileError, "SCR-FILE", lambda: load_model("."))


def test_a_config_for_a_folder(here, refused):
    refused(UsageError, "SCR-CONFIG", lambda: load_model(".", CONFIG))
