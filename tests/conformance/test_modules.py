"""Modules of users': an MLP, a CNN, a GPT in plain torch, two inputs, and what forwards do besides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    IllegalHypothesis,
    ToyModel,
    Variable,
    anything,
    everything,
    feature,
    from_module,
    node,
)
from scrubbing.engine.demand import fixed as at
from scrubbing.engine.engine import Engine
from scrubbing.models import columns
from scrubbing.records import load, save
from scrubbing.samplers import exact, fixed
from scrubbing.testing import check_model

RNG = np.random.default_rng(0)
VOCABULARY, WIDTH, LENGTH = 9, 8, 5


class Convolutions(nn.Module):
    """With a skip connection, a norm, and an activation that overwrites what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.relu, self.fc = nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Linear(36, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = F.max_pool2d(self.relu(self.norm(self.conv1(image))), 2)
        x = x + self.conv2(x)
        return self.fc(self.relu(x).flatten(1))


class Attention(nn.Module):
    """As nanoGPT has it."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.c_attn, self.c_proj, self.heads = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), heads

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = (y.view(B, T, self.heads, C // self.heads).transpose(1, 2) for y in self.c_attn(x).split(C, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(B, T, C))


class Block(nn.Module):
    """Adds to the residual stream twice."""

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(WIDTH), Attention(), nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 16), nn.GELU(), nn.Linear(16, WIDTH), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """`asserts` is what torch.fx cannot follow; `last` returns one position."""

    def __init__(self, asserts: bool = False, last: bool = False) -> None:
        super().__init__()
        self.asserts, self.last = asserts, last
        self.wte, self.wpe, self.drop = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH), nn.Dropout(0.1)
        self.h = nn.ModuleList([Block(), Block()])
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        _, t = idx.size()
        if self.asserts:
            assert t <= LENGTH
        x = self.drop(self.wte(idx) + self.wpe(torch.arange(0, t, device=idx.device)))
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x[:, [-1]] if self.last else x))
        return logits, None if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


class Pair(nn.Module):
    """Two inputs, multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.mix = nn.Linear(3, 6), nn.Linear(2, 6), nn.Bilinear(6, 6, 4)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        left = torch.tanh(self.left(a))
        return self.mix(left, torch.tanh(self.right(b))) + left[:, :4]


class Recurrent(nn.Module):
    """Calls two modules three times."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.cell, self.out = nn.Embedding(VOCABULARY, 4), nn.RNNCell(4, 6), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> dict[str, Tensor]:
        state = torch.zeros(tokens.shape[0], 6)
        for step in range(3):
            state = self.cell(self.word(tokens[:, step]), state)
        return {"state": state, "logits": self.out(state)}


class Remembering(nn.Module):
    """A module that returns several tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.lstm, self.out = nn.Embedding(VOCABULARY, 4), nn.LSTM(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (state, _) = self.lstm(self.word(tokens))
        return self.out(state[-1])


def last_state(returned: Any) -> Tensor:
    """Of an LSTM."""
    return returned[1][0][-1]


def lower_half(x: Tensor) -> Tensor:
    """Half of the units."""
    return x * (torch.arange(6) < 3)


TOKENS = {"idx": "tokens"}
BLOCKS = ["h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp"]
HEADS = {f"a{layer}.h{head}": columns(f"h.{layer}.attn.c_proj", head, of=2) for layer in range(2) for head in range(2)}
MLPS = {f"m{layer}": f"h.{layer}.mlp" for layer in range(2)}
DATA = Dataset(
    {
        "tokens": RNG.integers(0, VOCABULARY, (80, LENGTH)),
        "x": RNG.normal(size=(80, 4)),
        "image": RNG.normal(size=(80, 1, 6, 6)),
        "a": RNG.normal(size=(80, 3)),
        "b": RNG.normal(size=(80, 2)),
        "label": RNG.integers(0, 3, 80),
    },
    name="random",
)
MODULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "MLP": (
        lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)),
        {"nodes": ["0", "2"], "inputs": {"input": "x"}},
    ),
    "CNN": (Convolutions, {"nodes": ["conv1", "conv2"]}),
    "GPT by torch.fx": (GPT, {"nodes": ["wte", "wpe", *BLOCKS], "inputs": TOKENS}),
    "GPT by torch.export": (lambda: GPT(asserts=True), {"nodes": ["wte", "wpe", *BLOCKS], "inputs": TOKENS}),
    "GPT of one position": (lambda: GPT(last=True), {"nodes": ["wte", *BLOCKS], "inputs": TOKENS}),
    "GPT by head": (GPT, {"nodes": {"embed": "wte", "pos": "wpe", **HEADS, **MLPS}, "inputs": TOKENS}),
    "GPT by block": (GPT, {"nodes": ["h.0", "h.1.attn"], "inputs": TOKENS, "positions": True}),
    "two inputs": (Pair, {"nodes": {"left": "left", "right": ("right", torch.tanh), "mix": "mix"}}),
    "a value in parts": (Pair, {"nodes": {"half": ("left", lower_half), "right": "right"}}),
    "called three times": (Recurrent, {"nodes": ["word", "cell"]}),
    "several results": (Remembering, {"nodes": {"word": "word", "state": ("lstm", last_state)}}),
    "an encoder of torch": (
        lambda: nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, norm_first=True),
        {"nodes": ["self_attn", "linear2"], "inputs": {"src": "vectors"}, "positions": True},
    ),
}
VECTORS = DATA.with_columns(vectors=RNG.normal(size=(80, LENGTH, WIDTH)))


def made(name: str, seed: int = 0) -> Any:
    """A model whose weights are a function of the seed."""
    torch.manual_seed(seed)
    build, options = MODULES[name]
    return from_module(build().eval(), VECTORS, name=name, **options)


@feature
def sign(data: Dataset) -> Any:
    """Two classes."""
    return data["x"][:, 0] > 0


SIGN, OUT = Variable("sign", sign), Variable("output", everything)


@pytest.mark.parametrize("name", MODULES)
def test_conforms(name: str) -> None:
    """The nodes add up to the module's own forward, and the planner agrees with the oracle."""
    check_model(made(name), VECTORS.take(np.arange(12)), cases=6)


@pytest.mark.parametrize("name", MODULES)
def test_run_judged_and_recorded(name: str, tmp_path: Any) -> None:
    model = made(name)
    graph = model.graph(VECTORS)
    claimed = [one for one in graph.slots if graph.slots[one] and one != graph.output][-1]
    hypothesis = Hypothesis("own/sign", "A node.", OUTPUT.carries(OUT, node(str(claimed)).any_path().carries(SIGN)))
    hypothesis.check(graph, VECTORS)
    loss = Classification("label", position="last")
    result = Experiment(model, VECTORS, loss, references=30, draws=1, verdict=True).run(hypothesis)
    record = load(save(result.record(), tmp_path / "record.json", result.inputs()))
    assert record.provenance.model == name
    assert str(claimed) in {one.name for one in record.nodes if one.state == "claimed"}
    whole = Experiment(model, VECTORS, loss, references=30, draws=1).run(Hypothesis("all", "", OUTPUT.carries(OUT)))
    assert (whole.losses["scrubbed"] == whole.losses["model"][:, None]).all()
    with pytest.raises(IllegalHypothesis, match="SCR-NODE"):
        Hypothesis("x", "", OUTPUT.carries(OUT, node("elsewhere").direct().carries(SIGN))).check(graph, VECTORS)


def parents(name: str) -> dict[str, list[str]]:
    """By node, everything that its slots read."""
    slots = made(name).graph(VECTORS).slots
    return {str(one): [str(p) for slot in read.values() for p in slot.parents] for one, read in slots.items() if read}


@pytest.mark.parametrize("way", ["torch.fx", "torch.export"])
def test_what_reads_a_residual_stream_reads_every_writer(way: str) -> None:
    stream, found = ["wte", "wpe", *BLOCKS], parents(f"GPT by {way}")
    assert found == {reader: stream[:i] for i, reader in enumerate([*stream, "output"]) if i > 1}


def test_a_position_embedding_is_a_node_without_being_named() -> None:
    assert parents("GPT of one position")["h.0.attn"] == ["wte", "wpe"]


def test_heads_are_writers_and_a_bias_is_one() -> None:
    found = parents("GPT by head")
    assert found["m0"] == ["embed", "pos", "a0.h0", "a0.h1", "h.0.attn.c_proj.bias"]
    assert found["a1.h1"] == [*found["m0"], "m0"]


def test_a_block_hides_what_is_inside() -> None:
    assert parents("GPT by block") == {"h.0": ["idx"], "h.1.attn": ["h.0"], "output": ["h.0", "h.1.attn"]}


def test_other_graphs() -> None:
    assert parents("MLP") == {"layer0": ["input"], "layer2": ["layer0"], "output": ["layer2"]}
    assert parents("CNN") == {"conv1": ["image"], "conv2": ["conv1"], "output": ["conv1", "conv2"]}
    assert parents("two inputs") == {
        "left": ["a"], "right": ["b"], "mix": ["left", "right"], "output": ["left", "mix"]
    }  # fmt: skip
    assert parents("a value in parts")["output"] == ["half", "left.rest", "right"]
    assert parents("called three times")["cell.call2"] == ["cell.call1", "word.call2"]
    assert parents("several results") == {"state": ["word"], "output": ["state"]}


@pytest.mark.parametrize(
    ("name", "reader", "reach"),
    [
        ("GPT by torch.fx", "h.1.attn", "earlier"),
        ("GPT by torch.fx", "h.1.mlp", "same"),
        ("GPT of one position", "output", "every"),
        ("an encoder of torch", "self_attn", "every"),
        ("an encoder of torch", "linear2", "same"),
    ],
)
def test_which_positions_are_read(name: str, reader: str, reach: str) -> None:
    graph = made(name).graph(VECTORS)
    assert graph.positions == LENGTH
    assert {slot.reach for one, slots in graph.slots.items() if str(one) == reader for slot in slots.values()} == {
        reach
    }


@pytest.mark.parametrize("name", ["MLP", "CNN", "two inputs", "called three times", "several results"])
def test_no_position_axis(name: str) -> None:
    assert made(name).graph(VECTORS).positions == 1


@pytest.mark.parametrize(("name", "named"), [("GPT by torch.fx", "h.0.mlp"), ("CNN", "conv2"), ("GPT by block", "h.0")])
def test_a_node_exchanged_is_the_modules_own_with_another_output_there(name: str, named: str) -> None:
    """Against hooks on the module, which share nothing with the trace: one node holds another input, by every path."""
    torch.manual_seed(0)
    build, options = MODULES[name]
    module = build().eval()
    model = from_module(module, VECTORS, **options)
    other = 7
    claim = node(named).any_path().carries(Variable("anything", anything), sampler=fixed(other))
    hypothesis = Hypothesis("patched", "", OUTPUT.carries(OUT, claim, unclaimed=exact))
    engine = Engine(model, VECTORS, at(tuple(range(model.graph(VECTORS).positions))))
    (found,) = engine.outputs(engine.compile(hypothesis), np.arange(6), draws=1, seed=0)
    argument, column = next(iter(model.arguments.items()))
    taken = torch.as_tensor(VECTORS[column].copy()).to(torch.int64 if column == "tokens" else torch.float32)
    kept: list[Tensor] = []
    handle = module.get_submodule(named).register_forward_hook(lambda *given: kept.append(given[2]))
    module(**{argument: taken[[other]]})
    handle.remove()
    handle = module.get_submodule(named).register_forward_hook(lambda *given: kept[0].expand_as(given[2]))
    with torch.no_grad():
        returned = module(**{argument: taken[:6]})
    handle.remove()
    wanted = returned[0] if isinstance(returned, tuple) else returned[:, None]
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(found, model.own_output(model.inputs(VECTORS), torch.arange(6)), atol=1e-3)


def test_both_traces_give_the_same_values() -> None:
    one, other = made("GPT by torch.fx"), made("GPT by torch.export")
    for name in BLOCKS:
        assert torch.allclose(one.read(name, DATA), other.read(name, DATA), atol=1e-5)


def model_data() -> Dataset:
    """A few inputs."""
    return DATA.take(np.arange(8))


def test_the_module_is_copied_and_known_by_its_weights() -> None:
    torch.manual_seed(0)
    module = GPT().eval()
    model = from_module(module, nodes=["wte", *BLOCKS], inputs=TOKENS)
    before, hashed = model.read("h.0.mlp", model_data()), model.fingerprint
    with torch.no_grad():
        module.h[0].mlp[0].weight += 1
    assert torch.equal(model.read("h.0.mlp", model_data()), before)
    assert hashed == model.fingerprint != from_module(module, nodes=["wte", *BLOCKS], inputs=TOKENS).fingerprint
    assert hashed != from_module(model.module, DATA, nodes=["wte"], inputs=TOKENS).fingerprint


def test_trained_layers_in_a_toy_model() -> None:
    torch.manual_seed(0)
    layers = {
        "hidden": (nn.Linear(4, 8), {"x": ["x"]}),
        "active": (torch.relu, {"x": ["hidden"]}),
        "logits": (nn.Linear(8, 3), {"input": ["active"]}),
    }
    toy = ToyModel(sources={"x": "x"}, nodes=layers, dtype=torch.float32)
    check_model(toy, DATA.take(np.arange(12)), cases=4)
    hypothesis = Hypothesis("toy", "", OUTPUT.carries(OUT, node("active").direct().carries(SIGN)))
    result = Experiment(toy, DATA, Classification(), references=30).run(hypothesis)
    assert result.record().losses and result.loss("model").value > 0
