"""Encoders of `transformers` as scrubbable models: BERT, RoBERTa and DistilBERT, for masked tokens or classes.

TransformerLens wraps few of them, so they are read from the module of `transformers` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from scrubbing.errors import ModelMismatch, fail
from scrubbing.models.transformer.encoder import COLUMN, Encoder, assemble, check_inputs
from scrubbing.models.transformer.weights import IDENTITY, Attention, Mlp, Norm, Spec, Weights
from scrubbing.models.transformer_lens.families import activation

_CHECKED_POSITIONS = 16
_Layer = tuple[Attention, Mlp, Norm, Norm]
"""Of one block: attention, MLP, and the norms after each."""
_Head = tuple[str, Any, Any, Any]
"""Activation, the layer in front of the output matrix, the norm between the two or None, and the output layer."""


def load(module: Any, name: str, positions: int) -> Encoder:
    """An encoder from a module of `transformers` in evaluation mode, checked against its logits.

    Args:
        module: of a class in `ENCODERS`.
        name: shown in reports.
        positions: longest input that it takes, at most as many as it has embeddings for.

    Raises:
        ModelMismatch: SCR-FAMILY, it is a decoder or has an activation that is not known; SCR-NAN; SCR-CHECK, its
            logits are not those of `transformers`.
    """
    config = module.config
    if getattr(config, "is_decoder", False):
        problem = f"this {type(module).__name__} is a decoder (is_decoder)."
        fail(ModelMismatch, "SCR-FAMILY", problem, "Only encoders of this family are supported.")
    spec, weights = ENCODERS[type(module).__name__](module)
    assert weights.W_pos is not None
    embeddings = weights.W_pos[:positions].clone()
    weights, length = replace(weights, W_pos=embeddings), min(_CHECKED_POSITIONS, len(embeddings))
    known = {padded: logits(module, check_inputs(weights, length, padded)) for padded in (False, True)}
    return assemble(spec, weights, name, known, length)


def logits(module: Any, data: Any) -> Tensor:
    """What `transformers` computes, input by input and without what is padded; zero there.

    Returns:
        `[n, positions, outputs]`, or `[n, 1, outputs]` of a classifier.
    """
    tokens = torch.tensor(data["tokens"])
    lengths = data["mask"].sum(axis=1) if "mask" in data else [tokens.shape[1]] * len(tokens)
    found: list[Tensor] = []
    for row, n in enumerate(lengths):
        options: dict[str, Tensor] = {"position_ids": _first(module) + torch.arange(n)[None]}
        if COLUMN in data:
            options[COLUMN] = torch.tensor(data[COLUMN][row, :n])[None]
        with torch.inference_mode():
            found.append(module(tokens[row, :n][None], **options).logits[0])
    if found[0].ndim == 1:
        return torch.stack(found)[:, None]
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True)


def _first(module: Any) -> int:
    """The row of the position embeddings that is that of the first position: RoBERTa's stand after those of padding."""
    return int(module.config.pad_token_id) + 1 if hasattr(module, "roberta") else 0


def _bert(module: Any) -> tuple[Spec, Weights]:
    config, base = module.config, module.bert if hasattr(module, "bert") else module.roberta
    heads = int(config.num_attention_heads)
    layers = [_bert_layer(block, heads) for block in base.encoder.layer]
    if hasattr(module, "cls"):
        transform = module.cls.predictions.transform
        head = (config.hidden_act, transform.dense, transform.LayerNorm, module.cls.predictions.decoder)
    elif hasattr(module, "lm_head"):
        head = ("gelu", module.lm_head.dense, module.lm_head.layer_norm, module.lm_head.decoder)
    elif hasattr(module, "roberta"):
        head = ("tanh", module.classifier.dense, None, module.classifier.out_proj)
    else:
        head = ("tanh", base.pooler.dense, None, module.classifier)
    return _made(module, base.embeddings, layers, config.hidden_act, head)


def _bert_layer(block: Any, heads: int) -> _Layer:
    own = block.attention.self
    attention = _attention(own.query, own.key, own.value, block.attention.output.dense, heads)
    mlp = _mlp(block.intermediate.dense, block.output.dense)
    return attention, mlp, _norm(block.attention.output.LayerNorm), _norm(block.output.LayerNorm)


def _distilbert(module: Any) -> tuple[Spec, Weights]:
    config, base = module.config, module.distilbert
    layers: list[_Layer] = []
    for block in base.transformer.layer:
        own = block.attention
        attention = _attention(own.q_lin, own.k_lin, own.v_lin, own.out_lin, int(config.n_heads))
        mlp = _mlp(block.ffn.lin1, block.ffn.lin2)
        layers.append((attention, mlp, _norm(block.sa_layer_norm), _norm(block.output_layer_norm)))
    if hasattr(module, "vocab_transform"):
        head = (config.activation, module.vocab_transform, module.vocab_layer_norm, module.vocab_projector)
    else:
        head = ("relu", module.pre_classifier, None, module.classifier)
    return _made(module, base.embeddings, layers, config.activation, head)


ENCODERS: Mapping[str, Callable[[Any], tuple[Spec, Weights]]] = {
    "BertForMaskedLM": _bert,
    "BertForSequenceClassification": _bert,
    "RobertaForMaskedLM": _bert,
    "RobertaForSequenceClassification": _bert,
    "DistilBertForMaskedLM": _distilbert,
    "DistilBertForSequenceClassification": _distilbert,
}
"""Class name of the module to what reads its spec and weights."""


def _made(module: Any, embeddings: Any, layers: list[_Layer], act: str, head: _Head) -> tuple[Spec, Weights]:
    attention, mlps, after_attention, after_mlp = zip(*layers, strict=True)
    between = [one for pair in zip(after_attention, after_mlp, strict=True) for one in pair]
    last, before, norm, out = head
    types = getattr(embeddings, "token_type_embeddings", None)
    W_head, b_head = _linear(before)
    W_U, b_U = _linear(out)
    weights = Weights(
        W_E=_copy(embeddings.word_embeddings.weight),
        W_U=W_U,
        attention=attention,
        mlps=mlps,
        final=IDENTITY if norm is None else _norm(norm),
        b_U=b_U,
        W_pos=_copy(embeddings.position_embeddings.weight[_first(module) :]),
        W_types=None if types is None else _copy(types.weight),
        norms=(_norm(embeddings.LayerNorm), *between),
        W_head=W_head,
        b_head=b_head,
    )
    scale = attention[0].W_Q.shape[-1] ** -0.5
    kind = "tanh" if last == "tanh" else activation(last)
    return Spec(str(module.config.model_type), False, scale, activation(act), head=kind), weights


def _attention(q: Any, k: Any, v: Any, out: Any, heads: int) -> Attention:
    tensors: dict[str, Tensor | None] = {}
    for name, one in zip("QKV", (q, k, v), strict=True):
        W, b = _linear(one)
        tensors[f"W_{name}"] = W.view(len(W), heads, -1).transpose(0, 1).contiguous()
        tensors[f"b_{name}"] = b.view(heads, -1)
    W_O, b_O = _linear(out)
    return Attention(norm=IDENTITY, W_O=W_O.view(heads, -1, W_O.shape[1]), b_O=b_O, **tensors)  # pyright: ignore[reportArgumentType]


def _mlp(into: Any, out: Any) -> Mlp:
    (W_in, b_in), (W_out, b_out) = _linear(into), _linear(out)
    return Mlp(IDENTITY, W_in, W_out, b_in, b_out)


def _norm(module: Any) -> Norm:
    return Norm("LN", module.eps, _copy(module.weight), _copy(module.bias))


def _linear(module: Any) -> tuple[Tensor, Tensor]:
    """Weight `[in, out]` and bias of a linear layer."""
    return _copy(module.weight.T), _copy(module.bias)


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)
