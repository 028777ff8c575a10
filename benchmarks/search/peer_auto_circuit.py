"""Circuits that other tools find on the same models, beside ours: of how many edges, and what is recovered.

python -m benchmarks.search.peer_auto_circuit [--only PROGRAM ...] [--ways WAY ...] [--seeds N]
    [--kept FOLDER] [--write docs/reference/search.md]

AutoCircuit needs another version of TransformerLens than this project, so this runs in an environment of its own:

    pip install --no-deps --group circuits
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.groundtruth.catalogue import truth
from benchmarks.groundtruth.truth import Truth
from benchmarks.search.planted import edges_of
from benchmarks.search.rows import kept, markdown, write_between
from benchmarks.search.truths import FIRST_SEED
from scrubbing import OUTPUT, Dataset, Experiment, Hypothesis, Node, Variable, everything, node
from scrubbing.routes import Edge, along
from scrubbing.search import Proposal, propose, search

PROGRAMS = ("majority", "marker", "planted-pairs", "parens")
"""Models with one answer per input; the last two were trained."""
STRINGS = (990, 2_310)
"""Of the paren balancer, in balance and out of it, as long as they can be: other tools know no padding."""
SEARCHED = 300
"""Inputs to search on, at most, if that is not more than half of them; on the others it is scored."""
BUDGET = 115_500
"""Forward passes, a gradient being two: those that gates take."""
PROMPTS = 256
"""Inputs, and as many other inputs to draw from, that tools are given."""
SMALL = 16
"""Inputs of one step of subnetwork probing: with all at once, a budget would be spent after some hundred steps."""
PRICES = (0.5, 5.0)
"""Of all edges, in subnetwork probing: that of the own configuration of the tool, and ten times that."""
SHARES = (0.9, 0.95, 0.99)
"""Of the gap, that a circuit is to recover."""
SIZES, AT_ONCE = (*range(1, 101), 150, 200), 10
"""Edges of circuits that are looked at, beside all of them, and how many circuits are run together."""
WHOLE = frozenset(("embed", "pos"))
"""What other tools call one node."""

Scores = dict[tuple[str, str, str], float]
"""By writer, slot and reader, what an edge is worth."""


@dataclass(frozen=True)
class Row:
    """What one way of ranking edges comes to on one model."""

    program: str
    way: str
    passes: int
    """Forward passes; a gradient counts as two."""
    sizes: list[int | None]
    """Edges, those that are worth most, by which each share is recovered first; None where by none looked at."""


def parens(seed: int) -> Truth:
    """The shipped paren balancer, on strings that need no padding, in which no two are the same."""
    from benchmarks.parens.strings import MAX_PARENS, is_balanced, tokens_of
    from benchmarks.parens.task import dataset, task

    rng = np.random.default_rng(seed)
    # Of strings that fair coins make one in 170 is balanced.
    flags = np.unique(rng.random((400 * STRINGS[0], MAX_PARENS)) < 0.5, axis=0)
    lengths = np.full(len(flags), MAX_PARENS)
    balanced = is_balanced(flags, lengths)
    both = [rng.permutation(np.flatnonzero(balanced == one))[:n] for one, n in zip((True, False), STRINGS, strict=True)]
    rows = rng.permutation(np.concatenate(both))
    data = dataset(tokens_of(flags[rows], lengths[rows]), f"strings that need no padding (seed {seed})")
    some = Dataset({name: data[name] for name in ("tokens", "label")})
    return Truth("parens", seed, "Parentheses that balance.", task.model(), some, task.loss(), ())


def turned(made: Truth, rows: Tensor) -> Tensor:
    """Positions from last to first, `[n, positions, ...]`, for a loss at the first: other tools read the last, and
    attention that looks both ways knows positions by nothing but their embedding.
    """
    return rows.flip(1) if getattr(made.loss, "position", None) == 0 else rows


def lensed(made: Truth) -> Any:
    """The model as a `HookedTransformer`, of which it is checked that it computes the same."""
    from transformer_lens import HookedTransformer, HookedTransformerConfig

    model: Any = made.model
    spec, weights, length = model.spec, model.weights, made.data["tokens"].shape[1]
    attention, mlps = weights.attention, weights.mlps
    config = HookedTransformerConfig(
        n_layers=len(attention),
        n_heads=attention[0].W_Q.shape[0],
        d_model=model.d_model,
        d_head=attention[0].W_Q.shape[2],
        d_mlp=mlps[0].W_in.shape[1],
        n_ctx=length,
        d_vocab=len(weights.W_E),
        d_vocab_out=weights.W_U.shape[1],
        act_fn=spec.activation,
        normalization_type=None if weights.final.kind == "none" else weights.final.kind,
        eps=weights.final.eps,
        attention_dir="causal" if spec.causal else "bidirectional",
        use_attn_scale=True,
        attn_scale=1 / spec.attention_scale,
        use_attn_result=True,
        use_split_qkv_input=True,
        use_hook_mlp_in=True,
        dtype=model.dtype,
    )
    tool = HookedTransformer(config)
    with torch.no_grad():
        for parameter in tool.parameters():
            parameter.zero_()
        copied: list[tuple[Any, Any, Sequence[str]]] = [
            (tool.embed, weights, ["W_E"]),
            (tool.pos_embed, weights, ["W_pos"]),
            (tool.unembed, weights, ["W_U", "b_U"]),
        ]
        norms: list[tuple[Any, Any]] = [] if weights.final.kind == "none" else [(tool.ln_final, weights.final)]
        for block, one, mlp in zip(tool.blocks, attention, mlps, strict=True):
            copied.append((block.attn, one, ["W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V", "b_O"]))
            copied.append((block.mlp, mlp, ["W_in", "W_out", "b_in", "b_out"]))
            norms += [(block.ln1, one.norm), (block.ln2, mlp.norm)] if norms else []
        for into, source, names in copied:
            for name in names:
                if getattr(source, name) is not None:
                    tensor = getattr(source, name)
                    getattr(into, name).copy_(turned(made, tensor[None, :length])[0] if name == "W_pos" else tensor)
        for into, norm in norms:
            into.w.copy_(norm.weight)
            into.b.copy_(norm.bias)
        tokens = torch.as_tensor(made.data["tokens"].astype(np.int64))
        own = model.own_output(model.inputs(made.data), torch.arange(len(tokens)))
        given = turned(made, tool(turned(made, tokens)))
        assert torch.allclose(given, own, atol=1e-4)
    return tool.eval()


class Tool:
    """AutoCircuit on one model, with inputs to search on."""

    def __init__(self, made: Truth, data: Dataset, seed: int) -> None:
        cache: Any = types.ModuleType("transformer_lens.past_key_value_caching")  # which TransformerLens 3 renamed
        import transformer_lens

        cache.HookedTransformerKeyValueCache = transformer_lens.HookedTransformerKeyValueCache = object
        sys.modules[cache.__name__] = cache
        optim: Any = torch.optim
        optim.adam = types.SimpleNamespace(Adam=torch.optim.Adam)  # which newer versions of torch do not show
        from auto_circuit.data import PromptDataLoader, PromptDataset
        from auto_circuit.utils.graph_utils import patchable_model

        self.data = data
        rng = np.random.default_rng(seed)
        self.clean = rng.permutation(len(data))
        self.other = rng.integers(len(data), size=len(data))
        tokens = turned(made, torch.as_tensor(data["tokens"].astype(np.int64)))
        label = torch.as_tensor(data["label"].astype(np.int64))
        right, wrong = (list(label[rows][:, None]) for rows in (self.clean, self.other))

        def loader(size: int, batch: int | None = None) -> Any:
            prompts = PromptDataset(tokens[self.clean[:size]], tokens[self.other[:size]], right[:size], wrong[:size])
            return PromptDataLoader(prompts, seq_len=None, diverge_idx=0, batch_size=batch or size, shuffle=False)

        self.loader: Callable[..., Any] = loader
        self.model = patchable_model(lensed(made), factorized=True, slice_output="last_seq", separate_qkv=True)

    def scores(self, found: dict[str, Tensor]) -> Scores:
        """What edges are worth, in our words."""
        made: Scores = {}
        for edge in self.model.edges:
            start, end, slot = edge.src.name, edge.dest.name, "x"
            if end.count(".") == 2:
                end, slot = end.rsplit(".", 1)[0], end[-1].lower()
            made[_ours(start), slot, _ours(end)] = abs(float(edge.prune_score(found)))
        return made

    def attribution(self) -> tuple[Scores, int]:
        """Edge attribution patching, the gradient at the model itself (Syed et al. 2023), on all prompts there are."""
        from auto_circuit.prune_algos.mask_gradient import mask_gradient_prune_scores

        size = min(BUDGET // 4, len(self.clean))
        found = mask_gradient_prune_scores(self.model, self.loader(size), None, "logprob", "avg_diff", mask_val=0.0)
        return self.scores(found), 4 * size

    def integrated(self) -> tuple[Scores, int]:
        """The same, integrated between the two inputs over as many steps as the budget allows."""
        from auto_circuit.prune_algos.mask_gradient import mask_gradient_prune_scores as run

        steps = (BUDGET // PROMPTS - 1) // 3 - 1
        found = run(self.model, self.loader(PROMPTS), None, "logprob", "avg_diff", integrated_grad_samples=steps)
        return self.scores(found), (3 * (steps + 1) + 1) * PROMPTS

    def probing(self, price: float) -> tuple[Scores, int]:
        """Subnetwork probing with edges (Cao et al. 2021), for as many epochs as the budget allows.

        It begins with most edges kept, as in that paper: the tool's own start has most of them closed, from where no
        path of several edges has a gradient.
        """
        from auto_circuit.prune_algos.subnetwork_probing import init_mask_val
        from auto_circuit.prune_algos.subnetwork_probing import subnetwork_probing_prune_scores as run

        epochs = (BUDGET // PROMPTS - 2) // 3
        asked = {"epochs": epochs, "regularize_lambda": price, "init_val": -init_mask_val, "tree_optimisation": True}
        found = run(self.model, self.loader(PROMPTS, SMALL), None, **asked)
        return self.scores(found), (3 * epochs + 2) * PROMPTS

    def acdc(self) -> tuple[Scores, int]:
        """ACDC (Conmy et al. 2023) at five thresholds, on as many inputs as the budget allows."""
        from auto_circuit.prune_algos.ACDC import acdc_prune_scores

        thresholds = [-5, -4, -3, -2, -1], [1]
        tries = len(thresholds[0]) * len(thresholds[1])
        size = int(np.clip(BUDGET // (tries * (len(self.model.edges) + 4)), 1, PROMPTS))
        found = acdc_prune_scores(self.model, self.loader(size), None, *thresholds)
        made = self.scores(found)
        most = 10 * max((one for one in made.values() if np.isfinite(one)), default=1.0)
        return {edge: min(one, most) for edge, one in made.items()}, tries * (len(self.model.edges) + 4) * size


def _ours(name: str) -> str:
    """A node of AutoCircuit in our words."""
    if name.startswith("MLP "):
        return f"m{name[4:]}"
    if name in ("Resid Start", "Resid End"):
        return "start" if name == "Resid Start" else "logits"
    layer, head = name[1:].split(".")[:2]
    return f"a{layer}.h{head}"


def circuit(name: str, edges: Iterable[tuple[str, str, str]], graph: Any) -> Hypothesis | None:
    """The claim that the input is carried along some edges, as those who find circuits of edges mean it; None where
    none of them leads from the input to the output.
    """
    there = {(str(one), slot, str(reader)) for reader, slots in graph.slots.items()
             for slot, read in slots.items() for one in read.parents}  # fmt: skip
    written = [(one, *rest) for start, *rest in edges for one in (sorted(WHOLE) if start == "start" else [start])]
    kept = frozenset(Edge(Node.parse(one), Node.parse(r), slot) for one, slot, r in written if (one, slot, r) in there)
    up = {graph.output}
    for reader in reversed(list(graph.slots)):
        up |= {edge.writer for edge in kept if edge.reader == reader and reader in up}
    sources = [one for one in sorted(WHOLE) if Node.parse(one) in up]
    if not sources:
        return None
    whole, *others = [node(one).by(along(kept)) for one in sources]
    for other in others:
        whole = whole | other
    claim = whole.carries(Variable("input", everything))
    return Hypothesis(
        name, "The input is carried along these edges.", OUTPUT.carries(Variable("output", everything), claim)
    )


def curve(scores: Scores, sizes: Sequence[int], rest: Experiment) -> dict[int, float]:
    """What is recovered by so many edges, those that are worth most, on inputs that were held out."""
    graph, order = rest.subject.graph, sorted(scores, key=lambda edge: (-scores[edge], edge))
    made = {size: circuit(f"{size} edges", order[:size], graph) for size in sizes}
    found = dict.fromkeys(sizes, 0.0)
    results = rest.run_all([one for one in made.values() if one is not None])
    for size, result in zip([size for size, one in made.items() if one is not None], results, strict=True):
        recovered = result.record().recovered_of("null")
        found[size] = 0.0 if recovered is None or recovered.fraction is None else recovered.fraction.value
    return found


@dataclass(frozen=True)
class Halves:
    """A model, with inputs to search on and inputs to score on."""

    made: Truth
    seed: int
    there: Dataset
    fitted: Experiment
    rest: Experiment

    @classmethod
    def of(cls, program: str, seed: int) -> Halves:
        """Of the inputs in scope."""
        made = parens(seed) if program == "parens" else truth(program, seed)
        scope = made.tight[0].scope if made.tight else None
        data = made.data if scope is None else made.data.take(np.flatnonzero(scope(made.data)))
        mixed = np.random.default_rng(seed).permutation(len(data))
        parts = [data.take(np.sort(some)) for some in np.split(mixed, [min(SEARCHED, len(data) // 2)])]
        fitted, rest = (Experiment(made.model, one, made.loss, baselines=False) for one in parts)
        return cls(made, seed, parts[0], fitted, rest)

    def gates(self) -> tuple[Scores, int]:
        """Edges by what their gates are worth: where a slot has but a share of the price of a claim, an edge has so."""
        graph, made, proposal = self.fitted.subject.graph, dict[tuple[str, str, str], float](), self._proposal()
        for (reader, (writer, slot)), worth in proposal.worth.items():
            if isinstance(slot, str) and graph.slots[reader][slot].parents:
                edge = (_one(writer), slot, str(reader))
                share = 1 / sum(writer in one.parents for one in graph.slots[reader].values())
                made[edge] = max(made.get(edge, 0.0), worth * share)
        return made, proposal.examples

    def search(self) -> tuple[Scores, int]:
        """Those that our search keeps come first."""
        found = search(self.fitted, generated=False, by="gradient", random=0, controls=(), seed=self.seed)
        edges = edges_of(found.hypothesis, self.fitted.subject.graph)
        claimed, scores = {(_one(writer), slot, str(reader)) for writer, slot, reader in edges}, self.gates()[0]
        made = {edge: worth + (edge in claimed) for edge, worth in scores.items()}  # what is worth most is worth 1
        return made, found.record.effort.examples

    def _proposal(self) -> Proposal:
        return propose(self.fitted, seed=self.seed)

    def tool(self) -> Tool:
        """The other tool on the same inputs."""
        return Tool(self.made, self.there, self.seed)


WAYS: dict[str, Callable[[Halves], tuple[Scores, int]]] = {
    "gates": Halves.gates,
    "EAP": lambda on: on.tool().attribution(),
    "EAP, integrated": lambda on: on.tool().integrated(),
    "ACDC": lambda on: on.tool().acdc(),
    **{f"subnetwork probing, price {one:g}": lambda on, one=one: on.tool().probing(one) for one in PRICES},
    "gates, then tests": Halves.search,
}
"""Each with one budget, but for the last, which takes what its tests need."""


def compared(program: str, seed: int, way: str) -> Row:
    """One way on one model."""
    on = Halves.of(program, seed)
    scores, passes = WAYS[way](on)
    sizes, points = sorted({*(one for one in SIZES if one < len(scores)), len(scores)}), dict[int, float]()
    for start in range(0, len(sizes), AT_ONCE):
        points |= curve(scores, sizes[start : start + AT_ONCE], on.rest)
        if max(points.values()) >= SHARES[-1]:
            break
    first = [next((size for size, one in points.items() if one >= share), None) for share in SHARES]
    return Row(program, way, passes, first)


def _one(node: Node) -> str:
    return "start" if str(node) in WHOLE else str(node)


def table(rows: Sequence[Row]) -> str:
    """Size against recovered, a row for each model and way, with a number for each seed."""
    heads = ["model", "way", "forward passes", *(f"edges for {share:.0%}" for share in SHARES)]
    cells: list[list[str]] = []
    for program, way in dict.fromkeys((row.program, row.way) for row in rows):
        some = [row for row in rows if (row.program, row.way) == (program, way)]
        passes = f"{np.mean([row.passes for row in some]):,.0f}"
        found = [", ".join(_said(row.sizes[i]) for row in some) for i in range(len(SHARES))]
        cells.append([program, way, passes, *found])
    return markdown(heads, cells)


def _said(size: int | None) -> str:
    return f"over {SIZES[-1]}" if size is None else str(size)


def main() -> None:
    """Run, print, and write into the reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=PROGRAMS)
    parser.add_argument("--ways", nargs="*", default=[*WAYS], choices=[*WAYS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kept", type=Path, help="Folder of rows that were measured, for those that are left.")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    for program, way, seed in product(options.only, options.ways, seeds):
        name = f"peers {program} {seed} {way}"
        rows.append(kept(options.kept, name, Row, lambda asked=(program, seed, way): compared(*asked)))
    sys.stdout.write(table(rows) + "\n")
    if options.write is not None:
        write_between(options.write, {"peers": table(rows)})


if __name__ == "__main__":
    main()
