r"""Writes the files in `made/` with the tools themselves: circuits, and what each tool says that these score.

They need versions of TransformerLens that this project does not, so they are run in an environment of their own:

    pip install --group dev && pip install --no-deps --group circuits -r tests/circuits/tools.txt
    python tests/circuits/make.py eap auto-circuit acdc pyvene torchwright sae-lens circuit-tracer

With SCRUBBING_TOOLS set to the Python of that environment, `test_made_anew.py` has all of them written anew and read.

Every file says in `scores.json` which version wrote it.
"""

from __future__ import annotations

import json
import os
import sys
import types
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

if {"eap", "acdc"} & {*sys.argv}:
    import_module("circuitkit")  # which must be there before TransformerLens is

import torch
import transformer_lens
from safetensors.torch import save_file
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig

HERE = Path(os.environ.get("SCRUBBING_MADE") or Path(__file__).parent / "made")
SIZES = {
    "n_layers": 2,
    "n_heads": 2,
    "d_model": 8,
    "d_head": 4,
    "d_mlp": 6,
    "n_ctx": 10,
    "d_vocab": 20,
    "act_fn": "gelu",
    "normalization_type": "LN",
    "seed": 0,
}
HOOKS = ("use_attn_result", "use_split_qkv_input", "use_hook_mlp_in")
PAIRS = 6
_FIXED = ("mask", "IGNORE")
"""Buffers that follow from the sizes."""


def model() -> HookedTransformer:
    """A small random model, every parameter scrambled."""
    made = HookedTransformer(HookedTransformerConfig(**SIZES, **dict.fromkeys(HOOKS, True)))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.5 + float(name.endswith(".w")))
    return made.eval()


def inputs() -> dict[str, Tensor]:
    """Clean and corrupted prompts, and a label for each pair."""
    generator = torch.Generator().manual_seed(2)
    clean = torch.randint(20, (PAIRS, 5), generator=generator)
    corrupt = torch.where(torch.rand(clean.shape, generator=generator) < 0.5, clean, clean.flip(1))
    corrupt[:, -1] = (clean[:, -1] + 7) % 20
    return {"clean": clean, "corrupt": corrupt, "label": torch.randint(20, (PAIRS,), generator=generator)}


def losses(logits: Tensor, label: Tensor) -> list[float]:
    """Cross-entropy at the last position, in nats, for each prompt."""
    return torch.nn.functional.cross_entropy(logits[:, -1], label, reduction="none").tolist()


def eap(made: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """A graph with random scores, of which the tool keeps 30 edges, and the tool's own evaluation of it."""
    from circuitkit.backends.eap import evaluate
    from circuitkit.backends.eap.graph import Graph

    graph = Graph.from_model(made)
    generator = torch.Generator().manual_seed(3)
    graph.scores[:] = torch.randn(graph.scores.shape, generator=generator)
    graph.apply_topn(30, True)
    graph.to_json(str(HERE / "eap.json"))

    def metric(logits: Tensor, clean: Any, lengths: Any, label: Tensor) -> Tensor:
        return torch.tensor(losses(logits, label))

    def tokens(model: Any, clean: Tensor, corrupt: Tensor, **options: Any) -> Any:
        length = clean.shape[1]
        mask = torch.ones_like(clean)
        return clean, corrupt, mask, mask, torch.full((len(clean),), length), length

    evaluate.tokenize_batch_pair = tokens  # the prompts are tokens already
    loader: Any = [(data["clean"], data["corrupt"], data["label"])]
    found = evaluate.evaluate_graph(made, graph, loader, metric, quiet=True).tolist()
    return {"made by": f"circuitkit {version('circuitkit')}", "losses": found}


def auto_circuit(made: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """25 random edges kept, as names and as scores, with the tool's resampling ablation."""
    cache = types.ModuleType("transformer_lens.past_key_value_caching")  # which TransformerLens 3 renamed
    cache.HookedTransformerKeyValueCache = transformer_lens.HookedTransformerKeyValueCache = object
    sys.modules[cache.__name__] = cache
    from auto_circuit.data import PromptDataLoader, PromptDataset
    from auto_circuit.prune import run_circuits
    from auto_circuit.types import AblationType, PatchType
    from auto_circuit.utils.graph_utils import patchable_model

    patched = patchable_model(made, factorized=True, slice_output="last_seq", separate_qkv=True)
    answers = data["label"][:, None]
    prompts = PromptDataset(data["clean"], data["corrupt"], list(answers), list(answers))
    loader = PromptDataLoader(prompts, seq_len=None, diverge_idx=0, batch_size=PAIRS, shuffle=False)
    generator = torch.Generator().manual_seed(4)
    wrappers = sorted(patched.dest_wrappers, key=lambda one: one.module_name)
    masks = {one.module_name: torch.rand(one.patch_mask.shape, generator=generator) for one in wrappers}
    torch.save(masks, HERE / "auto_circuit.pt")
    out = run_circuits(patched, loader, [25], masks, PatchType.TREE_PATCH, AblationType.RESAMPLE)
    kept = sorted(patched.edges, key=lambda edge: -float(edge.prune_score(masks)))[:25]
    (HERE / "auto_circuit.json").write_text(json.dumps([edge.name for edge in kept]))
    (logits,) = out[25].values()
    return {"made by": f"auto-circuit {version('auto-circuit')}", "losses": losses(logits[:, None], data["label"])}


class _Cache:
    """The cache of ACDC, which the copy of it in CircuitKIT refers to and does not have."""

    def __init__(self, device: tuple[str, str]) -> None:
        self.online_cache: dict[str, Tensor] = {}
        self.corrupted_cache: dict[str, Tensor] = {}
        self.device = device

    def to(self, device: str, which_caches: str) -> None:
        """Everything stays where it is."""

    def clear(self, just_first_cache: bool = False) -> None:
        """Forget what was computed on the way."""
        self.online_cache.clear()


def acdc(made: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """ACDC, as far as it goes with one threshold, and the metric of what is left of the model then."""
    from circuitkit.data.task_data.core.TLACDCExperiment import TLACDCExperiment

    module: Any = sys.modules[TLACDCExperiment.__module__]
    module.GlobalCache, module.show = _Cache, lambda *_, **__: None  # and a drawing, likewise

    def metric(logits: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(logits[:, -1], data["label"])

    with torch.no_grad():
        found = TLACDCExperiment(made, data["clean"], data["corrupt"], 0.005, metric)
        while found.current_node is not None:
            found.step()
        found.save_edges(HERE / "acdc.pkl")
        found.save_subgraph(str(HERE / "acdc.pth"))
        return {"made by": f"circuitkit {version('circuitkit')}", "losses": losses(made(data["clean"]), data["label"])}


def pyvene(_: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """Interchange at three places of a small GPT-2, all of them at every position."""
    import pyvene as tool
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(5)
    sizes = {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": 20, "n_positions": 10}
    made = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=1, eos_token_id=2)).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn(weight.shape) * 0.5)
    made.save_pretrained(HERE / "gpt2")
    places = {
        "whole": [(0, "mlp_output", None), (1, "attention_output", None)],
        "rotated": [(1, "mlp_output", 3)],
        "block": [(0, "attention_output", None), (0, "block_output", None)],
    }
    found: dict[str, Any] = {"made by": f"pyvene {version('pyvene')}", "losses": {}}
    for name, sites in places.items():
        kinds = {None: tool.VanillaIntervention, 3: tool.LowRankRotatedSpaceIntervention}
        rows = [{"layer": layer, "component": what, "low_rank_dimension": rank, "intervention_type": kinds[rank]}
                for layer, what, rank in sites]  # fmt: skip
        intervened = tool.IntervenableModel(tool.IntervenableConfig(rows), made)
        intervened.save(str(HERE / f"pyvene_{name}"))
        # A rotation takes one position; of the last MLP, only the last one is read.
        at = [4] if name == "rotated" else list(range(5))
        everywhere = [[at] * PAIRS] * len(sites)
        base, sources = {"input_ids": data["corrupt"]}, [{"input_ids": data["clean"]}] * len(sites)
        _, out = intervened(base, sources, {"sources->base": (everywhere, everywhere)})
        found["losses"][name] = losses(out.logits, data["label"])
    return found


def torchwright(_: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """A compiled program that repeats the token before; its weights are half a megabyte and are not kept."""
    from tempfile import TemporaryDirectory

    from torchwright import compile_hf_bundle
    from torchwright.ops.attention_ops import attend_to_offset
    from torchwright.ops.inout_nodes import create_embedding, create_rope_config

    embedding = create_embedding(["<bos>", "<eos>", "a", "b", "c", "d"])
    output = attend_to_offset(create_rope_config(16), embedding, -1)
    with TemporaryDirectory() as folder:
        compile_hf_bundle(output, embedding, f"{folder}/bundle", d=64, d_head=16, max_seq_len=16)
        content = (Path(folder) / "bundle" / "torchwright_schematic.json").read_bytes()
    (HERE / "torchwright_schematic.json").write_bytes(content)
    return {"made by": f"torchwright {version('torchwright')}"}


def sae_lens(_: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """Random dictionaries of every architecture, with what the tool says of 7 random values."""
    from sae_lens import saes

    generator = torch.Generator().manual_seed(6)
    values = torch.randn(7, 8, generator=generator) + 0.3
    common: dict[str, Any] = {"d_in": 8, "d_sae": 12}
    made: dict[str, Any] = {
        "standard": saes.StandardSAE(saes.StandardSAEConfig(**common)),
        "standard_as_it_is": saes.StandardSAE(saes.StandardSAEConfig(**common, apply_b_dec_to_input=False)),
        "standard_layer_norm": saes.StandardSAE(saes.StandardSAEConfig(**common, normalize_activations="layer_norm")),
        "topk": saes.TopKSAE(saes.TopKSAEConfig(**common, k=3)),
        "topk_by_decoder_norm": saes.TopKSAE(saes.TopKSAEConfig(**common, k=3, rescale_acts_by_decoder_norm=True)),
        "jumprelu": saes.JumpReLUSAE(saes.JumpReLUSAEConfig(**common)),
        "gated": saes.GatedSAE(saes.GatedSAEConfig(**common)),
        "transcoder": saes.Transcoder(saes.TranscoderConfig(**common, d_out=8, apply_b_dec_to_input=False)),
        "skip_transcoder": saes.SkipTranscoder(
            saes.SkipTranscoderConfig(**common, d_out=8, apply_b_dec_to_input=False)
        ),
    }
    found: dict[str, Any] = {"made by": f"sae-lens {version('sae-lens')}", "values": values.tolist()}
    for name, one in made.items():
        is_transcoder = "transcoder" in name
        one.cfg.metadata.hook_name = "blocks.1.ln2.hook_normalized" if is_transcoder else "blocks.1.hook_mlp_out"
        if is_transcoder:
            one.cfg.metadata.hook_name_out = "blocks.1.hook_mlp_out"
        with torch.no_grad():
            for key, weight in one.named_parameters():
                scrambled = torch.randn(weight.shape, generator=generator) * 0.5
                weight.copy_(scrambled.abs() if key == "threshold" else scrambled)
            one.save_model(HERE / "dictionaries" / name)
            found[name] = {"active": one.encode(values).tolist(), "rebuilt": one(values).tolist()}
    return found


def circuit_tracer(_: HookedTransformer, data: dict[str, Tensor]) -> dict[str, Any]:
    """An attribution graph in the tool's own classes, with two supernodes."""
    from circuit_tracer.frontend.graph_models import Metadata, Model, Node, QParams

    features = [(0, 1, 3), (0, 1, 5), (0, 4, 3), (1, 4, 11), (1, 4, 2)]
    nodes = [Node.feature_node(layer, at, index, influence=0.5, activation=1.0) for layer, at, index in features]
    nodes += [Node.error_node(1, 4), Node.token_node(1, 7), Node.logit_node(4, 9, "x", 2, target_logit=True)]
    name = [node.node_id for node in nodes]
    groups = [["early", name[0], name[1], name[2]], ["late", name[3], name[5]], ["token", name[6]]]
    made = Model(
        metadata=Metadata(slug="made", scan="none", transcoder_list=[], prompt_tokens=list("abcde"), prompt="abcde"),
        qParams=QParams(pinnedIds=[name[4]], supernodes=groups, linkType="both", clickedId="", sg_pos=""),
        nodes=nodes,
        links=[{"source": name[0], "target": name[3], "weight": 1.0}],
    )
    (HERE / "circuit_tracer.json").write_text(made.model_dump_json(indent=1))
    return {"made by": f"circuit-tracer {version('circuit-tracer')}"}


def main() -> None:
    """What the tools that are named write."""
    HERE.mkdir(exist_ok=True)
    made, data = model(), inputs()
    weights = {
        name: one.contiguous() for name, one in made.state_dict().items() if name.rpartition(".")[2] not in _FIXED
    }
    save_file(weights, HERE / "model.safetensors", {"config": json.dumps(SIZES)})
    scores = {name: tool(model(), data) for name, tool in TOOLS.items() if name in sys.argv[1:]}
    known = json.loads((HERE / "scores.json").read_text()) if (HERE / "scores.json").is_file() else {}
    columns = {"label" if name == "label" else f"{name}_tokens": one.tolist() for name, one in data.items()}
    whole = {"clean": losses(made(data["clean"]), data["label"]), **columns}
    (HERE / "scores.json").write_text(json.dumps({**known, "inputs": whole, **scores}, indent=1))


TOOLS = {
    "eap": eap,
    "auto-circuit": auto_circuit,
    "acdc": acdc,
    "pyvene": pyvene,
    "torchwright": torchwright,
    "sae-lens": sae_lens,
    "circuit-tracer": circuit_tracer,
}

if __name__ == "__main__":
    main()
