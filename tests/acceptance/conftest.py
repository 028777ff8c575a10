"""Stand-ins for models of other people, in their own formats, and text to go with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

WORDS = [f"w{i}" for i in range(39)]
CYCLE, ROUNDS = 9, 5
"""Words of a document, which come in the same order again and again; in another document the order is another."""


def documents(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join([*rng.choice(WORDS, CYCLE, replace=False)] * ROUNDS) for _ in range(n)]


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face GPT-2 with three layers, MLPs and a tokenizer, whose weights are written by hand: head 1.0 moves
    the previous token, and head 2.1 looks for where the current one was.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel

    vocabulary = {word: i for i, word in enumerate(["<|endoftext|>", *WORDS])}
    v, p = len(vocabulary), 64
    d = 2 * v + p
    sizes: dict[str, Any] = {"n_layer": 3, "n_head": 2, "n_embd": d, "n_positions": p, "vocab_size": v, "n_inner": 16}
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
    blocks = model.transformer.h
    token, place, before = slice(0, v), slice(v, v + p), slice(v + p, d)
    with torch.no_grad():
        model.transformer.wte.weight.zero_()[:, token] = torch.eye(v)
        model.transformer.wpe.weight.zero_()[:, place] = torch.eye(p)
        for block in blocks:
            block.attn.c_attn.weight.normal_(std=0.01)
            block.attn.c_proj.weight.normal_(std=0.01)
        _head(blocks[1].attn, 0, (place, 3 * torch.eye(p).roll(-1, 1)), (place, torch.eye(p)), (token, before), 0.2, v)
        _head(blocks[2].attn, 1, (token, 3 * torch.eye(v)), (before, torch.eye(v)), (token, token), 0.5, v)
    folder = tmp_path_factory.mktemp("tiny-gpt2")
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def _head(attn: Any, i: int, query: Any, key: Any, move: tuple[slice, slice], size: float, v: int) -> None:
    """Write one head: where query and key are read and by which matrix, and what is moved from where to where."""
    d = attn.c_proj.weight.shape[0]
    at, width = i * d // 2, d // 2
    for offset, (place, matrix) in ((0, query), (d, key), (2 * d, (move[0], torch.eye(v)))):
        own = attn.c_attn.weight[:, offset + at : offset + at + width]
        own.zero_()[place, : matrix.shape[1]] = matrix
    attn.c_proj.weight[at : at + width].zero_()[:v, move[1]] = size * torch.eye(v)


@pytest.fixture(scope="session")
def words_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text(" <|endoftext|> ".join(documents(600, seed=0)))
    return path


@pytest.fixture(scope="session")
def legacy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped Python model as `ArthurConmy/redwood_attn_2l` is stored: config.json in old words with much about
    training, a pickled state dict with biases and masks, beside other tensors.
    """
    from safetensors.torch import load_file

    from benchmarks.induction.task import HERE

    state = load_file(HERE / "python.safetensors")
    for i in range(2):
        at = f"blocks.{i}.attn"
        state |= {f"{at}.b_{x}": torch.zeros(8, 16) for x in "QKV"} | {f"{at}.b_O": torch.zeros(128)}
        state |= {f"{at}.mask": torch.ones(128, 128).tril().bool(), f"{at}.IGNORE": torch.tensor(-1e5)}
    state["unembed.b_U"] = torch.zeros(512)
    config = {
        "d_model": 128, "n_layers": 2, "d_mlp": -1, "d_head": 16, "n_heads": 8, "n_ctx": 128, "d_vocab": 512,
        "act_fn": "gelu", "attn_only": True, "normalization": "LN", "shortformer_pos": True, "lr_hidden": 2e-3,
        "batch_size_per_device": 32, "lr_schedule": "cosine_warmup", "use_bfloat16_matmul": True, "version": 29,
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("redwood_attn_2l")
    torch.save(state, folder / "model_final.pth")
    torch.save(torch.zeros(4, 301, dtype=torch.long), folder / "validation_data.pt")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes((HERE / "tokenizer.json").read_bytes())
    return folder


@pytest.fixture(scope="session")
def python_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own sources that the model was not trained on."""
    from benchmarks.induction.text import documents

    path = tmp_path_factory.mktemp("text") / "sources.txt"
    path.write_text("".join(documents("held out"))[:400_000], encoding="utf-8")
    return path
