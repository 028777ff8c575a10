"""The peers: collecting and overwriting activations with TransformerLens, pyvene and nnsight, each by its own means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.induction.network import AttentionOnly, Shape
from benchmarks.speed.resampling import Edits
from scrubbing.models.transformer import Transformer


class Tool(Protocol):
    """One way to run a model with changed activations."""

    name: str

    def plain(self, tokens: Tensor) -> Tensor:
        """Logits of the model as it is, without the tool."""
        ...

    def collect(self, tokens: Tensor, sites: tuple[str, ...]) -> dict[str, Tensor]:
        """Activations by site, heads side by side; the pass ends at the last site where the tool can end it."""
        ...

    def patched(self, tokens: Tensor, edits: Edits) -> Tensor:
        """Logits with some columns of some sites overwritten."""
        ...


class NetworkWeights:
    """Of the training module; see `resampling.Weights`."""

    def __init__(self, network: AttentionOnly) -> None:
        self.network = network
        self.embed: Tensor = network.embed.weight
        self.out: Tensor = network.blocks[0].out.weight.T

    def project(self, slot: str, stream: Tensor, columns: Tensor) -> Tensor:
        """See `resampling.Weights`."""
        block = self.network.blocks[1]
        x = block.norm(stream)
        if slot == "v":
            return F.linear(x, block.value.weight[columns])
        width = self.network.shape.width
        matrix = block.query_key.weight[columns + (width if slot == "k" else 0)]
        return F.linear(x + self.network.position[: x.shape[1]], matrix)


def network_of(model: Transformer) -> AttentionOnly:
    """The training module with the weights of a shipped model, the inverse of `AttentionOnly.scrubbable`."""
    w = model.weights
    assert w.W_pos is not None
    shape = Shape(w.W_E.shape[0], w.W_pos.shape[0], model.d_model, model.n_heads, model.n_layers)
    network = AttentionOnly(shape).eval()

    def joined(*by_head: Tensor) -> Tensor:
        return torch.cat([matrix.transpose(1, 2).flatten(0, 1) for matrix in by_head])

    stored = {"embed.weight": w.W_E, "unembed.weight": w.W_U.T, "position": w.W_pos}
    norms = {"norm": w.final}
    for i, attention in enumerate(w.attention):
        stored[f"blocks.{i}.query_key.weight"] = joined(attention.W_Q, attention.W_K)
        stored[f"blocks.{i}.value.weight"] = joined(attention.W_V)
        stored[f"blocks.{i}.out.weight"] = attention.W_O.flatten(0, 1).T
        norms[f"blocks.{i}.norm"] = attention.norm
    for name, norm in norms.items():
        assert norm.weight is not None and norm.bias is not None
        stored |= {f"{name}.weight": norm.weight, f"{name}.bias": norm.bias}
    network.load_state_dict(stored)
    return network.requires_grad_(False)


_READ = {"z0": "blocks.0.out.input", "stream": "blocks.1.input", "z1": "blocks.1.out.input"}
_WRITTEN = {**_READ, "q": "blocks.1.query_key.output", "k": "blocks.1.query_key.output", "v": "blocks.1.value.output"}
"""Sites of the training module."""


class Nnsight:
    """Traces; collecting stops at the last site."""

    name = "nnsight"

    def __init__(self, network: AttentionOnly) -> None:
        from nnsight import NNsight

        self.network, self.traced = network, NNsight(network)

    def plain(self, tokens: Tensor) -> Tensor:
        """See `Tool`."""
        return self.network(tokens)

    def collect(self, tokens: Tensor, sites: tuple[str, ...]) -> dict[str, Tensor]:
        """See `Tool`."""
        import nnsight

        with self.traced.trace(tokens) as tracer:
            found = nnsight.save({})
            for site in sites:
                found[site] = self.traced.get(_READ[site])
            tracer.stop()
        return found

    def patched(self, tokens: Tensor, edits: Edits) -> Tensor:
        """See `Tool`."""
        shift = self.network.shape.width
        with self.traced.trace(tokens):
            for site in (site for site in ("z0", "q", "k", "v", "z1") if site in edits):  # as they come up in the pass
                columns, values = edits[site]
                self.traced.get(_WRITTEN[site])[..., columns + (shift if site == "k" else 0)] = values
            logits = self.traced.output.save()
        return logits  # noqa: RET504, a trace does not return


class Pyvene:
    """Interventions on components by name, with activations given; it cannot end a pass early."""

    name = "pyvene"

    def __init__(self, network: AttentionOnly) -> None:
        network.config = None  # pyright: ignore; pyvene reads it of every model
        self.network = network
        self._made: dict[Any, Any] = {}

    def plain(self, tokens: Tensor) -> Tensor:
        """See `Tool`."""
        return self.network(tokens)

    def collect(self, tokens: Tensor, sites: tuple[str, ...]) -> dict[str, Tensor]:
        """See `Tool`."""
        import pyvene

        collecting = [(_READ[site], pyvene.CollectIntervention) for site in sites]
        (_, found), _ = self._model(("collect", *sites), [(name, kind()) for name, kind in collecting])(
            {"tokens": tokens}
        )
        return dict(zip(sites, found, strict=True))

    def patched(self, tokens: Tensor, edits: Edits) -> Tensor:
        """See `Tool`."""
        width = self.network.shape.width
        at = {site: columns + (width if site == "k" else 0) for site, (columns, _) in edits.items()}
        made = self._model(tuple(edits), [(_WRITTEN[site], _setter(at[site])) for site in edits])
        values = [values for _, values in edits.values()]
        _, logits = made({"tokens": tokens}, source_representations=dict(zip(made.sorted_keys, values, strict=True)))
        return logits

    def _model(self, key: Any, interventions: list[tuple[str, Any]]) -> Any:
        import pyvene

        if key not in self._made:  # setting one up is not part of a pass
            config = [{"component": name, "unit": "pos", "intervention": one} for name, one in interventions]
            self._made[key] = pyvene.IntervenableModel(config, self.network)
        return self._made[key]


def _setter(columns: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    def overwrite(base: Tensor, source: Tensor) -> Tensor:
        base[..., columns] = source
        return base

    return overwrite


class Bridge:
    """Hooks on a TransformerLens model; `use_split_qkv_input` is refused by native models, hooks after the projections
    are not needed to have it. Also its weights, see `resampling.Weights`.
    """

    name = "TransformerLens"
    _names: ClassVar = {
        "z0": "blocks.0.attn.hook_z",
        "stream": "blocks.1.hook_in",
        "z1": "blocks.1.attn.hook_z",
        "q": "blocks.1.attn.hook_q",
        "k": "blocks.1.attn.hook_k",
        "v": "blocks.1.attn.hook_v",
    }

    def __init__(self, bridge: Any) -> None:
        self.bridge = bridge
        self.embed = bridge.W_E
        self.out = bridge.blocks[0].attn.W_O.flatten(0, 1)

    def plain(self, tokens: Tensor) -> Tensor:
        """See `Tool`."""
        return self.bridge(tokens)

    def collect(self, tokens: Tensor, sites: tuple[str, ...]) -> dict[str, Tensor]:
        """See `Tool`."""
        names = [self._names[site] for site in sites]
        _, cache = self.bridge.run_with_cache(tokens, names_filter=names, stop_at_layer=2)
        return {site: cache[self._names[site]].flatten(2) for site in sites}

    def patched(self, tokens: Tensor, edits: Edits) -> Tensor:
        """See `Tool`."""
        hooks = [(self._names[site], _hook(*edit)) for site, edit in edits.items()]
        return self.bridge.run_with_hooks(tokens, fwd_hooks=hooks)

    def project(self, slot: str, stream: Tensor, columns: Tensor) -> Tensor:
        """See `resampling.Weights`."""
        block = self.bridge.blocks[1]
        linear = getattr(block.attn, slot).original_component
        return F.linear(block.ln1.original_component(stream), linear.weight[columns], linear.bias[columns])


def _hook(columns: Tensor, values: Tensor) -> Callable[..., Tensor]:
    def overwrite(activation: Tensor, hook: Any) -> Tensor:
        activation.flatten(2)[..., columns] = values  # a view
        return activation

    return overwrite
