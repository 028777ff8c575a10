"""Models of another family, architecture, precision or mode than declared, and graphs that are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import BadData, Dataset, IllegalHypothesis, ModelGraph, ModelMismatch, Node, ToyModel, UsageError, mlp
from scrubbing.graph.model_graph import Slot
from scrubbing.models.check import random_inputs, self_check
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer_lens import boot, from_bridge
from scrubbing.models.transformer_lens.tiny import tiny
from scrubbing.parts import activation

CONFIG = {"n_layers": 2, "n_heads": 2, "d_model": 8, "d_head": 4, "n_ctx": 6, "d_vocab": 50, "attn_only": True}


def bridged(kind: str, config: str, **options: Any) -> Any:
    """A bridge around a tiny Hugging Face model in evaluation mode."""
    import transformers
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    tokens = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    module = getattr(transformers, kind)(getattr(transformers, config)(vocab_size=50, **tokens, **options)).eval()
    return build_bridge_from_module(module, kind, hf_config=module.config).eval()


def gpt2(**options):
    return bridged("GPT2LMHeadModel", "GPT2Config", n_layer=1, n_head=2, n_embd=8, n_positions=6, **options)


def mixtral():
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2}
    return bridged("MixtralForCausalLM", "MixtralConfig", hidden_size=8, intermediate_size=6, **sizes)


def dropping():
    bridge = gpt2(resid_pdrop=0.5)
    next(module for module in bridge.modules() if isinstance(module, torch.nn.Dropout) and module.p == 0.5).train()
    return bridge


def half_trained():
    bridge = tiny("native LN")
    bridge.blocks[1].train()
    return bridge


def broken():
    bridge = tiny("native LN")
    next(bridge.original_model.parameters()).data.fill_(float("nan"))
    return bridge


MODELS = {
    "training": ("SCR-MODE", lambda: from_bridge(tiny("native LN").train(), name="tiny")),
    "half training": ("SCR-MODE", lambda: from_bridge(half_trained(), name="tiny")),
    "active dropout": ("SCR-DROPOUT SCR-MODE", lambda: from_bridge(dropping(), name="tiny")),
    "other precision": ("SCR-DTYPE", lambda: from_bridge(tiny("native LN", dtype=torch.float64), name="tiny")),
    "bf16 without being asked": ("SCR-DTYPE", lambda: from_bridge(tiny("GPT-2", dtype=torch.bfloat16), name="tiny")),
    "precision by name": ("SCR-DTYPE", lambda: from_bridge(tiny("native LN"), name="tiny", dtype="float32")),
    "unsupported family": ("SCR-FAMILY", lambda: from_bridge(mixtral())),
    "unsupported variant": ("SCR-FAMILY", lambda: from_bridge(gpt2(scale_attn_by_inverse_layer_idx=True))),
    "unsupported activation": ("SCR-FAMILY", lambda: from_bridge(gpt2(activation_function="tanh"))),
    "not a bridge": ("SCR-MODEL", lambda: from_bridge(tiny("GPT-2").original_model)),
    "NaN weights": ("SCR-NAN", lambda: from_bridge(broken(), name="tiny")),
    "config with an unknown field": ("SCR-CONFIG", lambda: boot({**CONFIG, "attn_ony": True})),
    "config with unknown values": (
        "SCR-CONFIG SCR-CONFIG",
        lambda: boot({**CONFIG, "attention_dir": "casual", "normalization_type": "LayerNorm"}),
    ),
    "config without a size": ("SCR-CONFIG", lambda: boot({"n_layers": 2})),
    "config that cannot be built": ("SCR-CONFIG", lambda: boot({**CONFIG, "positional_embedding_type": "alibi"})),
}


@pytest.mark.parametrize("case", MODELS)
def test_models(case, refused, capsys):
    codes, call = MODELS[case]
    # How many modules a bridge has, and what fields its config, depends on the release of transformer_lens.
    hide = {r"\d+ modules in": "<n> modules in", r"attn_only, .*\?": "attn_only, ...?"}
    refused(ModelMismatch, codes, call, hide)


@pytest.mark.parametrize("named", [False, True], ids=["logits alone", "with residuals"])
def test_self_check_of_a_model_whose_forward_is_anothers(named, tiny_model, tiny_bridge, refused):
    from scrubbing.models.transformer_lens import _residuals

    nodes, forward = tiny_model("native LN"), tiny_model("native attention-only").forward
    impostor = Transformer(nodes.spec, nodes.weights, forward, "impostor")
    residuals = _residuals(tiny_bridge("native attention-only"), 2) if named else None

    inputs = random_inputs(50, 6, padded=False)
    hide = {r"differ by [\d.]+\d": "differ by <some>"}
    refused(ModelMismatch, "SCR-CHECK", lambda: self_check(impostor, inputs, residuals), hide)


def test_apple_gpus_with_an_old_torch(monkeypatch, refused):
    from scrubbing.models.transformer_lens import _check_device

    weight = SimpleNamespace(dtype=torch.float32, device=torch.device("mps"))
    bridge = SimpleNamespace(original_model=SimpleNamespace(named_parameters=lambda: iter([("weight", weight)])))
    monkeypatch.setattr(torch, "__version__", type(torch.__version__)("2.8.0"))
    refused(ModelMismatch, "SCR-DEVICE", lambda: _check_device(bridge, "tiny", torch.float32))


def test_a_bridge_is_not_a_model(world, tiny_bridge, refused):
    claim = mlp(1).direct().carries(world.parity)
    refused(ModelMismatch, "SCR-MODEL", lambda: world.scrub(claim, model=tiny_bridge("native classifier")))


def test_weights_changed_after_the_self_check(world, refused):
    model = from_bridge(tiny("native classifier"), name="tiny")
    model.weights.W_U.fill_(float("nan"))
    refused(ModelMismatch, "SCR-CHECK", lambda: world.scrub(mlp(1).direct().carries(world.parity), model=model))


def doubled(x):
    return 2 * x


def summed(x):
    return x.sum()


def toy(function=doubled, reads=("a",), **options):
    return ToyModel(sources={"a": "a"}, nodes={"logits": (function, {"x": reads})}, **options)


def counting():
    """A function that is another one every time it is called."""
    calls: list[int] = []

    def function(x):
        calls.append(1)
        return x * len(calls)

    return function


ONES = Dataset({"a": np.ones(3)}, name="ones")

GRAPHS = {
    "unknown node": (IllegalHypothesis, "SCR-GRAPH", lambda: toy(reads=("b",))),
    "nothing read": (IllegalHypothesis, "SCR-GRAPH", lambda: toy(reads=())),
    "cycle": (
        IllegalHypothesis,
        "SCR-GRAPH",
        lambda: ModelGraph({Node(a): {"x": Slot((Node(b),))} for a, b in ("ab", "bc", "ca")}, Node("a")),
    ),
    "unknown output": (IllegalHypothesis, "SCR-GRAPH", lambda: ModelGraph({Node("a"): {}}, Node("logits"))),
    "two faults": (
        IllegalHypothesis,
        "SCR-GRAPH SCR-GRAPH",
        lambda: ModelGraph({Node("a"): {"x": Slot((Node("b"),))}}, Node("logits")),
    ),
    "no nodes": (ModelMismatch, "SCR-GRAPH", lambda: ToyModel(sources={"a": "a"}, nodes={})),
    "node without slots": (
        ModelMismatch,
        "SCR-GRAPH",
        lambda: ToyModel(sources={"a": "a"}, nodes={"logits": (torch.ones, {})}),
    ),
    "toy with a mask": (
        ModelMismatch,
        "SCR-GRAPH",
        lambda: ToyModel(sources={"mask": "a"}, nodes={"logits": (doubled, {"x": ["mask"]})}),
    ),
    "toy function of another shape": (ModelMismatch, "SCR-CHECK", lambda: toy(summed).graph(ONES)),
    "toy function with a memory": (ModelMismatch, "SCR-CHECK", lambda: self_check(toy(counting()), ONES)),
    "toy column of words": (BadData, "SCR-DATA", lambda: toy().graph(Dataset({"a": ["x", "y"]}))),
    "toy column of another length": (
        BadData,
        "SCR-DATA",
        lambda: toy(positions=4).graph(Dataset({"a": np.ones((3, 2))})),
    ),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_and_toys(case, refused):
    kind, codes, call = GRAPHS[case]
    refused(kind, codes, call)


def test_a_single_name_is_one_node():
    assert str(toy(reads="a").graph(ONES).slots[Node("logits")]["x"].parents) == "(Node('a'),)"


EXPERIMENTS = {
    "no draws": ("SCR-DRAWS", lambda w, claim: w.scrub(claim, draws=0)),
    "half a draw": ("SCR-DRAWS", lambda w, claim: w.scrub(claim, draws=0.5)),
    "unknown ablation": ("SCR-ABLATION", lambda w, claim: w.scrub(claim, ablation="median")),
    "stratum that is no feature": ("SCR-FEATURE", lambda w, claim: w.scrub(claim, strata={"long": doubled})),
    "stratum per position": (
        "SCR-FEATURE",
        lambda w, claim: w.scrub(claim, strata={"token": w.token_parity.feature}),
    ),
    "unknown baseline": ("SCR-BASELINE", lambda w, claim: w.scrub(claim).loss_recovered("nul")),
    "baseline that was not asked for": (
        "SCR-BASELINE",
        lambda w, claim: w.scrub(claim, baselines=False).loss_recovered("mean rest"),
    ),
    "unknown loss": ("SCR-BASELINE", lambda w, claim: w.scrub(claim).loss("accuracy")),
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_experiments(case, world, refused):
    codes, call = EXPERIMENTS[case]
    refused(UsageError, codes, lambda: call(world, mlp(1).direct().carries(world.parity)))


def test_no_fraction(refused):
    from scrubbing import NoFraction
    from scrubbing.metrics.recovered import loss_recovered
    from scrubbing.stats.intervals import Means

    losses = Means({"model": [1.0, 2.0, 3.0], "scrubbed": [2.0, 2.0, 3.5], "null": [3.0, 1.0, 2.0]})
    refused(NoFraction, "SCR-FRACTION", lambda: loss_recovered(losses, "null"))


def test_claims_on_parts_of_a_node_can_be_compared_with_mean_ablation(world):
    """Used to fail inside the engine: the remainder of a node split into parts has a mean like anything else."""
    from scrubbing import part

    claim = mlp(1).direct().carries(world.parity, part(activation(doubled)).carries(world.thirds))
    assert np.isfinite(world.scrub(claim).loss("mean rest").value)
