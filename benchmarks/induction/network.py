"""An attention-only transformer with shortformer positions, as a trainable module.

Positions are added to the normed input of queries and keys of every layer, never to the residual stream or to values
(Press et al. 2021, "Shortformer"), as in the model of the original induction study.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scrubbing.models.transformer import Attention, Norm, Spec, Transformer, Weights, assemble


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    vocabulary: int
    context: int
    width: int = 128
    heads: int = 8
    layers: int = 2

    @property
    def d_head(self) -> int:
        """Width of a head."""
        return self.width // self.heads


class Layer(nn.Module):
    """One attention layer without biases, after a LayerNorm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.query_key = nn.Linear(shape.width, 2 * shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, stream: Tensor, position: Tensor) -> Tensor:
        """What the layer adds to the stream, `[rows, positions, d]`."""
        x = self.norm(stream)
        query, key = self.query_key(x + position).chunk(2, dim=-1)
        split = (*x.shape[:2], self.heads, -1)
        q, k, v = (part.view(split).transpose(1, 2) for part in (query, key, self.value(x)))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class AttentionOnly(nn.Module):
    """Embedding, attention layers, LayerNorm and an untied output layer.

    Sinusoidal initial positions of twice the usual size: from random ones, no head finds the previous token within tens
    of millions of tokens, and without such a head there is nothing for an induction head to match.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.width)
        self.position = nn.Parameter(2 * sinusoids(shape.context, shape.width))
        self.blocks = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.unembed = nn.Linear(shape.width, shape.vocabulary, bias=False)
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.normal_(self.unembed.weight, std=shape.width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[rows, positions, vocabulary]` of tokens `[rows, positions]`."""
        stream = self.embed(tokens)
        position = self.position[: tokens.shape[1]]
        for block in self.blocks:
            stream = stream + block(stream, position)
        return self.unembed(self.norm(stream))

    def scrubbable(self, name: str) -> Transformer:
        """A copy of this model whose nodes can be evaluated one at a time."""
        shape = self.shape
        spec = Spec("shortformer", True, shape.d_head**-0.5, positions="query_key")
        with torch.no_grad():
            weights = Weights(
                W_E=self.embed.weight.clone(),
                W_U=self.unembed.weight.T.clone(),
                attention=tuple(self._attention(block) for block in self.blocks),  # pyright: ignore[reportArgumentType]
                mlps=(),
                final=_norm(self.norm),
                W_pos=self.position.clone(),
            )
        return assemble(spec, weights, name)

    def _attention(self, block: Layer) -> Attention:
        def by_head(matrix: Tensor) -> Tensor:
            return matrix.reshape(self.shape.heads, self.shape.d_head, -1).transpose(1, 2).clone()

        query, key = block.query_key.weight.chunk(2)
        W_O = block.out.weight.T.reshape(self.shape.heads, self.shape.d_head, -1).clone()
        return Attention(_norm(block.norm), by_head(query), by_head(key), by_head(block.value.weight), W_O)


def _norm(norm: nn.LayerNorm) -> Norm:
    return Norm("LN", norm.eps, norm.weight.detach().clone(), norm.bias.detach().clone())


def sinusoids(positions: int, width: int) -> Tensor:
    """Sines and cosines of geometric wavelengths, `[positions, width]` (Vaswani et al. 2017, section 3.5)."""
    place = torch.arange(positions)[:, None]
    rate = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)
