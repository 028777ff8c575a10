"""A small decoder in the shape of GPT-2 as a trainable module, and how it is trained."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Transformer, Weights, assemble, to_file

WARM_UP = 200
_TOLD = 250
"""Steps between points of the curve."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    vocabulary: int
    context: int
    width: int = 64
    heads: int = 4
    layers: int = 3
    mlp: int = 256

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.width // self.heads


class Block(nn.Module):
    """Causal attention, then an MLP, each after a LayerNorm and added to the stream."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.ln1, self.ln2 = nn.LayerNorm(shape.width), nn.LayerNorm(shape.width)
        self.qkv, self.out = nn.Linear(shape.width, 3 * shape.width), nn.Linear(shape.width, shape.width)
        self.up, self.down = nn.Linear(shape.width, shape.mlp), nn.Linear(shape.mlp, shape.width)

    def forward(self, stream: Tensor) -> Tensor:
        """The stream after this block, `[rows, positions, d]`."""
        q, k, v = self.qkv(self.ln1(stream)).unflatten(-1, (3 * self.heads, -1)).transpose(1, 2).chunk(3, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        stream = stream + self.out(mixed.transpose(1, 2).flatten(2))
        return stream + self.down(F.gelu(self.up(self.ln2(stream)), approximate="tanh"))


class Decoder(nn.Module):
    """Embeddings of tokens and positions, blocks, LayerNorm, and an output layer of its own."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Parameter(torch.randn(shape.context, shape.width) * 0.3)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.unembed = nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[rows, positions, vocabulary]` of tokens `[rows, positions]`."""
        stream = self.embed(tokens) + self.position[: tokens.shape[1]]
        for block in self.blocks:
            stream = block(stream)
        return self.unembed(self.norm(stream))

    def scrubbable(self, name: str) -> Transformer:
        """A copy of this model whose nodes can be evaluated one at a time."""
        spec = Spec("GPT-2", True, self.shape.d_head**-0.5, activation="gelu_new")
        with torch.no_grad():
            weights = Weights(
                W_E=self.embed.weight.clone(),
                W_U=self.unembed.weight.T.clone(),
                attention=tuple(self._attention(block) for block in self.blocks),  # pyright: ignore[reportArgumentType]
                mlps=tuple(_mlp(block) for block in self.blocks),  # pyright: ignore[reportArgumentType]
                final=_norm(self.norm),
                W_pos=self.position.detach().clone(),
            )
        return assemble(spec, weights, name)

    def _attention(self, block: Block) -> Attention:
        heads, d_head = self.shape.heads, self.shape.d_head
        W_Q, W_K, W_V = (one.reshape(heads, d_head, -1).transpose(1, 2).clone() for one in block.qkv.weight.chunk(3))
        b_Q, b_K, b_V = (one.reshape(heads, d_head).clone() for one in block.qkv.bias.chunk(3))
        W_O = block.out.weight.T.reshape(heads, d_head, -1).clone()
        return Attention(_norm(block.ln1), W_Q, W_K, W_V, W_O, b_Q=b_Q, b_K=b_K, b_V=b_V, b_O=block.out.bias.clone())


def _mlp(block: Block) -> Mlp:
    up, down = block.up, block.down
    return Mlp(
        _norm(block.ln2), up.weight.T.clone(), down.weight.T.clone(), b_in=up.bias.clone(), b_out=down.bias.clone()
    )


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm("LN", norm.eps, norm.weight.detach().clone(), norm.bias.detach().clone())


@dataclass(frozen=True)
class Recipe:
    """What a model is trained on, and for how long."""

    shape: Shape
    texts: Callable[[int, int], Tensor]
    """Number and seed to token ids `[n, length]`, the answer last; fresh ones for every step."""
    steps: int = 5_000
    batch: int = 128
    rate: float = 2e-3
    seed: int = 0


def train(recipe: Recipe, name: str, out: Path) -> None:
    """Train on the next token at every position, and write weights and curve. The loss of the answer is told apart."""
    torch.manual_seed(recipe.seed)
    model = Decoder(recipe.shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.rate, weight_decay=0.02, betas=(0.9, 0.98))

    def rate(step: int) -> float:
        done = step / recipe.steps
        return min(1.0, (step + 1) / WARM_UP) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    fresh = recipe.texts(1_000, 10_000_000 + recipe.seed)
    curve: list[dict[str, float]] = []
    pool, tokens, started = 100, torch.empty(0), time.time()
    for step in range(recipe.steps):
        if step % pool == 0:
            tokens = recipe.texts(pool * recipe.batch, 1_000_000 * recipe.seed + step)
        here = step % pool * recipe.batch
        loss = losses(model, tokens[here : here + recipe.batch]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % _TOLD == 0:
            with torch.no_grad():
                each = losses(model, fresh)
            point = {"step": step + 1, "loss": float(each.mean()), "answer": float(each[:, -1].mean())}
            curve.append({key: round(value, 4) for key, value in point.items()})
            print(json.dumps(curve[-1]), f"{time.time() - started:.0f} s", flush=True)  # noqa: T201
    notes = {"trained_by": name, "seed": str(recipe.seed), "steps": str(recipe.steps)}
    to_file(model.eval().scrubbable(out.stem), out, **notes)
    shorten(out)
    told = {"recipe": {**asdict(recipe.shape), "steps": recipe.steps, "batch": recipe.batch, "seed": recipe.seed}}
    lines = ",\n".join(json.dumps(point) for point in curve)
    out.with_name(f"{out.stem}_training.json").write_text(
        f'{{"recipe": {json.dumps(told["recipe"])}, "curve": [\n{lines}\n]}}\n', encoding="utf-8"
    )


def shorten(path: Path) -> None:
    """Round the weights in a file to bfloat16, which a wheel packs into a third of what float32 takes."""
    with safe_open(path, "pt") as stored:
        notes, tensors = stored.metadata(), {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    save_file({key: one.bfloat16() for key, one in tensors.items()}, str(path), notes)


def losses(model: nn.Module, tokens: Tensor) -> Tensor:
    """Cross-entropy of every next token in nats, `[rows, positions - 1]`."""
    logits = model(tokens[:, :-1])
    each = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return each.view(len(tokens), -1)
