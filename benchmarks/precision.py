"""How far two evaluations of one model are apart in half precision: `python -m benchmarks.precision`, two minutes.

Differences are relative to the largest logit (at least 1), the measure of `scrubbing.models.precision`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scrubbing import Dataset
from scrubbing.models.check import compose, random_inputs
from scrubbing.models.precision import TOLERANCE
from scrubbing.models.transformer.model import Transformer

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

HALF = (torch.bfloat16, torch.float16)


def subjects() -> Iterator[tuple[str, TransformerBridge, Dataset]]:
    """Tiny members of every family, and random models of a real depth, with inputs."""
    import transformers

    from scrubbing.models.transformer_lens.tiny import NAMES, POSITIONS, VOCABULARY, tiny

    for name in NAMES:
        yield f"tiny {name}", tiny(name), random_inputs(VOCABULARY, POSITIONS, padded=False, n=16)
    data = random_inputs(512, 64, padded=False, n=8)
    tokens: dict[str, Any] = {"vocab_size": 512, "bos_token_id": 1, "eos_token_id": 2}
    sizes: dict[str, Any] = {"hidden_size": 256, "num_attention_heads": 8, "intermediate_size": 688, **tokens}
    for layers in (12, 32):
        config = transformers.LlamaConfig(num_hidden_layers=layers, max_position_embeddings=64, **sizes)
        yield f"Llama, {layers} layers", _bridged(transformers.LlamaForCausalLM, config), data
    config = transformers.GPT2Config(n_layer=12, n_head=8, n_embd=256, n_positions=64, **tokens)
    yield "GPT-2, 12 layers", _bridged(transformers.GPT2LMHeadModel, config), data


def _bridged(kind: Any, config: Any) -> TransformerBridge:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    torch.manual_seed(0)
    module = kind(config).eval()
    return build_bridge_from_module(module, kind.__name__, hf_config=config).eval()


def differences(bridge: TransformerBridge, data: Dataset, dtype: torch.dtype) -> tuple[float, float, float]:
    """Of our nodes from the model's own forward pass in this precision, and of both from that in float32.

    All three are of the same weights, those that are left after rounding to this precision.
    """
    from scrubbing.models.transformer_lens import from_bridge

    half = copy.deepcopy(bridge).to(dtype).eval()
    model = from_bridge(half, dtype=dtype)
    nodes, own = _nodes(model, data), _own(model, data)
    exact = _own(from_bridge(half.to(torch.float32).eval()), data)
    return _apart(nodes, own), _apart(nodes, exact), _apart(own, exact)


def _nodes(model: Transformer, data: Dataset) -> Tensor:
    with torch.inference_mode():
        return compose(model, model.graph(data), model.inputs(data), len(data))[0].float()


def _own(model: Transformer, data: Dataset) -> Tensor:
    return model.reference(model.inputs(data), torch.arange(len(data))).float().clone()


def _apart(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=1))


def main() -> None:
    """Print a Markdown table."""
    print("| model | precision | nodes and own | nodes and float32 | own and float32 |\n|---|---|---|---|---|")
    worst = dict.fromkeys(HALF, 0.0)
    for name, bridge, data in subjects():
        for dtype in HALF:
            found = differences(bridge, data, dtype)
            worst[dtype] = max(worst[dtype], found[0])
            shown = " | ".join(f"{one:.4f}" for one in found)
            print(f"| {name} | {str(dtype).removeprefix('torch.')} | {shown} |")
    for dtype, largest in worst.items():
        print(f"\n{str(dtype).removeprefix('torch.')}: at most {largest:.4f}, and {TOLERANCE[dtype]} is allowed.")


if __name__ == "__main__":
    main()
