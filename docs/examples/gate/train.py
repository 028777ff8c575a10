"""Train the classifier on last year's reviews, in which the brand told nothing: `python train.py`, a few seconds."""

import json
import math

import torch
from safetensors.torch import save_file
from task import LENGTH, MODEL, WORDS, reviews

CONFIG = {
    "n_layers": 1,
    "n_heads": 2,
    "d_model": 16,
    "d_head": 8,
    "d_mlp": 32,
    "n_ctx": LENGTH,
    "d_vocab": len(WORDS),
    "d_vocab_out": 2,
    "act_fn": "relu",
    "normalization_type": None,
    "attention_dir": "bidirectional",
    "biases": ["b_in"],
}
SHAPES = {
    "embed.W_E": (len(WORDS), 16),
    "pos_embed.W_pos": (LENGTH, 16),
    "blocks.0.attn.W_Q": (2, 16, 8),
    "blocks.0.attn.W_K": (2, 16, 8),
    "blocks.0.attn.W_V": (2, 16, 8),
    "blocks.0.attn.W_O": (2, 8, 16),
    "blocks.0.mlp.W_in": (16, 32),
    "blocks.0.mlp.b_in": (32,),
    "blocks.0.mlp.W_out": (32, 16),
    "unembed.W_U": (16, 2),
}


def logits(weights, tokens):
    """The model: one layer, two heads, read at `<start>`."""
    x = weights["embed.W_E"][tokens] + weights["pos_embed.W_pos"]
    q, k, v = (torch.einsum("npd,hdk->nhpk", x, weights[f"blocks.0.attn.W_{name}"]) for name in "QKV")
    z = (q @ k.mT / math.sqrt(8)).softmax(-1) @ v
    x = x + torch.einsum("nhpk,hkd->npd", z, weights["blocks.0.attn.W_O"])
    x = x + (x @ weights["blocks.0.mlp.W_in"] + weights["blocks.0.mlp.b_in"]).relu() @ weights["blocks.0.mlp.W_out"]
    return x[:, 0] @ weights["unembed.W_U"]


def fit(weights, happy, steps, seed):
    """Train on fresh reviews of one year, and write the model."""
    weights = {name: weight.requires_grad_() for name, weight in weights.items()}
    optimizer = torch.optim.Adam(weights.values(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, steps)
    for step in range(steps):
        tokens, content = map(torch.from_numpy, reviews(500, seed + step, happy))
        loss = torch.nn.functional.cross_entropy(logits(weights, tokens), content)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    save_file({name: weight.detach() for name, weight in weights.items()}, MODEL, {"config": json.dumps(CONFIG)})


if __name__ == "__main__":
    torch.manual_seed(0)
    fit({name: torch.randn(shape) / 4 for name, shape in SHAPES.items()}, happy=0.5, steps=1_000, seed=10_000)
