"""Hostile values at every argument of the language, of datasets, losses and settings.

A hypothesis that is accepted is right if the engine agrees with the slow recursion; a dataset if it holds what it was
given; a loss or setting if the losses are those of the plain one, worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scrubbing import (
    EMBED,
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Feature,
    Hypothesis,
    NextToken,
    Settings,
    SquaredError,
    ToyModel,
    Variable,
    everything,
    feature,
    from_state_dict,
    head,
    joint,
    mlp,
    node,
    parts,
    reads,
    samplers,
    transformer_graph,
)
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.models.transformer_lens.tiny import NATIVE, NATIVE_SIZES
from scrubbing.testing.conformance import check_hypothesis

from .hostile import altered, values

TOKENS = np.arange(72).reshape(12, 6) * 7 % 50


@feature
def parity(data: Dataset) -> Any:
    """Two classes."""
    return data.ids % 2


@feature(per="position")
def token_parity(data: Dataset) -> Any:
    """Two classes at each position."""
    return data["tokens"] % 2


A, B, C = Variable("a", parity), Variable("output", everything), Variable("c", token_parity)
TARGET = head(1, 0).direct()
DATA = Dataset({"tokens": TOKENS, "label": np.arange(12) % 2}, name="numbers")


def claims(*claims: Any, **options: Any) -> Hypothesis:
    """A hypothesis with these claims under its root."""
    return Hypothesis("test", "What is claimed.", OUTPUT.carries(B, *claims), **options)


def on(target: Any, **options: Any) -> Hypothesis:
    return claims(target.carries(A, **options))


LANGUAGE: dict[str, Callable[[Any], Any]] = {
    "Variable(v)": lambda v: claims(TARGET.carries(Variable(v, parity))),
    "Variable(feature=v)": lambda v: claims(TARGET.carries(Variable("v", v))),
    "Variable(parents=v)": lambda v: claims(TARGET.carries(Variable("v", parity, v))),
    "Variable(value=v)": lambda v: claims(TARGET.carries(Variable("v", None, (A,), value=v))),
    "feature(v)": lambda v: claims(TARGET.carries(Variable("v", feature(name="mine")(lambda data: v)))),
    "feature(v) per position": lambda v: claims(
        EMBED.any_path().each().carries(Variable("v", feature(name="mine", per="position")(lambda data: v)))
    ),
    "feature(name=v)": lambda v: claims(TARGET.carries(Variable("v", feature(name=v)(lambda data: data.ids % 2)))),
    "feature(per=v)": lambda v: claims(TARGET.carries(Variable("v", feature(per=v)(lambda data: data.ids % 2)))),
    "feature & v": lambda v: claims(TARGET.carries(Variable("v", parity & v))),
    "feature.rounded(v)": lambda v: claims(
        TARGET.carries(Variable("v", feature(name="f")(lambda data: data.ids / 3).rounded(v)))
    ),
    "feature.at_most(v)": lambda v: claims(
        TARGET.carries(Variable("v", feature(name="f")(lambda data: data.ids / 3).at_most(v, 0.1)))
    ),
    "joint(v)": lambda v: claims(TARGET.carries(Variable("v", joint(parity, v)))),
    "Feature(v)": lambda v: claims(TARGET.carries(Variable("v", Feature(v)))),
    "head(v)": lambda v: on(head(v, 0).direct()),
    "head(1, v)": lambda v: on(head(1, v).direct()),
    "mlp(v)": lambda v: on(mlp(v).direct()),
    "node(v)": lambda v: on(node(v).direct()),
    "at(v)": lambda v: on(TARGET.at(v)),
    "part(v)": lambda v: on(TARGET.part(v)),
    "via(v)": lambda v: on(mlp(0).via(v)),
    "avoid=v": lambda v: on(mlp(0).any_path(avoid=v)),
    "by(v)": lambda v: on(mlp(0).by(v)),
    "into(v)": lambda v: on(mlp(0).any_path().into(v)),
    "reads(v)": lambda v: claims(TARGET.carries(A, reads(v).carries(A))),
    "reads(at=v)": lambda v: claims(TARGET.carries(A, reads("k", at=v).carries(A))),
    "target | v": lambda v: on(TARGET | v),
    "carries(v)": lambda v: claims(TARGET.carries(v)),
    "carries(child v)": lambda v: claims(TARGET.carries(A, v)),
    "sampler=v": lambda v: on(TARGET, sampler=v),
    "unclaimed=v": lambda v: on(TARGET, unclaimed=v),
    "group=v": lambda v: on(TARGET, group=v),
    "exclude_self=v": lambda v: on(TARGET, exclude_self=v),
    "freeze_norm=v": lambda v: on(TARGET, freeze_norm=v),
    "Hypothesis(name=v)": lambda v: Hypothesis(v, "A claim.", OUTPUT.carries(B, TARGET.carries(A))),
    "Hypothesis(sentence=v)": lambda v: Hypothesis("h", v, OUTPUT.carries(B, TARGET.carries(A))),
    "Hypothesis(correspondence=v)": lambda v: Hypothesis("h", "A claim.", v),
    "Hypothesis(scope=v)": lambda v: claims(TARGET.carries(A), scope=v),
    "Hypothesis(unclaimed=v)": lambda v: claims(TARGET.carries(A), unclaimed=v),
    "neurons(v)": lambda v: on(mlp(0).any_path().part(parts.neurons(v))),
    "offsets(v)": lambda v: on(TARGET.part(parts.offsets(v))),
    "pairs(v)": lambda v: on(TARGET.part(parts.pairs(v))),
    "attending_to(v)": lambda v: on(TARGET.part(parts.attending_to(v))),
    "project(v)": lambda v: on(TARGET.part(parts.project(v))),
    "direction(v)": lambda v: on(TARGET.part(parts.project(parts.direction(v)))),
    "direction that gives v": lambda v: on(TARGET.part(parts.project(parts.direction(lambda model: v)))),
    "activation that gives v": lambda v: on(TARGET.part(parts.activation(lambda output: v))),
    "function that gives v": lambda v: on(TARGET.part(parts.function(lambda data: v))),
    "activation(v)": lambda v: on(TARGET.part(parts.activation(v))),
    "function(v)": lambda v: on(TARGET.part(parts.function(v))),
    "positions that give v": lambda v: on(TARGET.at(lambda data: v)),
    "agree(v)": lambda v: on(TARGET, sampler=samplers.agree(v)),
    "fixed(v)": lambda v: on(TARGET, sampler=samplers.fixed(v)),
    "generated(v)": lambda v: on(TARGET, sampler=samplers.generated(v)),
    "generated that gives v": lambda v: on(TARGET, sampler=samplers.generated(lambda held, uniform: v)),
    "separate(v)": lambda v: on(TARGET, unclaimed=samplers.separate(v)),
}


def with_each(call: Callable[[Any], Any], hashable: bool = False) -> Iterator[tuple[str, Callable[[], Any]]]:
    for told, value in values().items():
        if hashable and not isinstance(value, Hashable):
            continue  # no key of a dict
        yield told, lambda told=told: call(values()[told])


@pytest.mark.parametrize("argument", LANGUAGE)
def test_language(argument, held, tiny_model):
    model = tiny_model("native classifier")

    def agrees(hypothesis: Hypothesis) -> bool:
        hypothesis.check(model.graph(DATA), DATA)
        check_hypothesis(hypothesis, model, DATA, references=1)
        return True

    held("language", with_each(LANGUAGE[argument]), agrees)


def adder() -> ToyModel:
    """x + y."""
    return ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: a + b, {"a": ["x"], "b": ["y"]})})


X, Y = np.tile([[0, 0, 1, 1], [0, 1, 0, 1]], 3).astype(float)
BITS = {"x": X, "y": Y, "label": X + Y}
x_matters = claims(node("x").direct().carries(Variable("x", feature(name="x")(lambda data: data["x"] == 1))))

COLUMNS: dict[str, Callable[[Any], Dataset]] = {
    "columns=v": lambda v: Dataset(v),
    "a column": lambda v: Dataset({**BITS, "other": v}),
    "a column's name": lambda v: Dataset({**BITS, v: np.arange(12)}),
    "x": lambda v: Dataset({**BITS, "x": v}),
    "label": lambda v: Dataset({**BITS, "label": v}),
    "mask": lambda v: Dataset({**BITS, "tokens": TOKENS, "mask": v}),
    "tokens": lambda v: Dataset({**BITS, "tokens": v}),
    "attention_mask": lambda v: Dataset({**BITS, "tokens": TOKENS, "attention_mask": v}),
    "ids": lambda v: Dataset(BITS, ids=v),
    "name": lambda v: Dataset(BITS, name=v),
    "show": lambda v: Dataset(BITS, show=v),
    "show that gives v": lambda v: Dataset(BITS, show=lambda data, row: v),
    "pad": lambda v: Dataset({**BITS, "tokens": TOKENS, "mask": TOKENS > 20}, pad=v),
    "take": lambda v: Dataset(BITS).take(v),
    "with_columns": lambda v: Dataset(BITS).with_columns(other=v),
}


def exact(data: Dataset, result: Any) -> bool:
    """Whether losses are those of a sum of what the data hold, and every output comes from an input that agrees."""
    found = {int(one): loss for one, loss in zip(result.ids, result.losses["model"], strict=True)}
    total = np.asarray(data["x"], float) + np.asarray(data["y"], float)
    wanted = dict(zip(data.ids.tolist(), (total - np.asarray(data["label"], float)) ** 2, strict=True))
    losses = result.losses["scrubbed"]
    same = all(abs(wanted[one] - loss) <= 1e-4 * max(1, abs(loss)) for one, loss in found.items())
    return same and len(losses) == len(found) and bool(np.isfinite(losses).all()) and result.record() is not None


@pytest.mark.parametrize("argument", COLUMNS)
def test_data(argument, held):
    def scrubs(data: Dataset) -> bool:
        settings = Settings(draws=1, baselines=False)
        return exact(data, Experiment(adder(), data, SquaredError(), settings).run(x_matters))

    held("data", with_each(COLUMNS[argument], argument == "a column's name"), scrubs)


LOSSES: dict[str, Callable[[Any], Any]] = {
    "Classification(v)": lambda v: Classification(v),
    "Classification(position=v)": lambda v: Classification("label", position=v),
    "Classification(positions=v)": lambda v: Classification("label", positions=v),
    "SquaredError(v)": lambda v: SquaredError(v),
    "SquaredError(position=v)": lambda v: SquaredError("label", position=v),
    "NextToken(v)": lambda v: NextToken(v),
    "loss=v": lambda v: v,
}


@pytest.mark.parametrize("argument", LOSSES)
def test_losses(argument, held, tiny_model):
    model = tiny_model("native classifier")
    output = model.forward(torch.from_numpy(TOKENS), None).double()
    label = torch.tensor(DATA["label"])
    crossed = torch.stack([torch.nn.functional.cross_entropy(at, label, reduction="none") for at in output.unbind(1)])

    def right(loss: Any) -> bool:
        found = Experiment(model, DATA, loss, Settings(draws=1, baselines=False)).run(claims(TARGET.carries(A)))
        chosen = torch.as_tensor(found.losses["model"])[None]
        return bool(((crossed[:, torch.as_tensor(found.ids)] - chosen).abs().amax(1) < 1e-4).any())

    held("losses", with_each(LOSSES[argument]), right)


SETTINGS = [
    "references", "shard", "draws", "seed", "ablation", "strata", "slices", "clusters", "baselines", "extra_baselines",
    "zero_baseline", "measures", "controls", "series", "store", "memory", "spill", "executor", "task", "nonsense",
]  # fmt: skip


@pytest.mark.parametrize("name", [*SETTINGS, "a stratum", "a name of a stratum"])
def test_settings(name, held, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, model = Dataset(BITS), adder()

    def run(value: Any) -> Any:
        changed = {name: value}
        if "stratum" in name:
            changed = {"strata": {"mine": value} if name == "a stratum" else {value: parity}}
        given: dict[str, Any] = {"draws": 1, "baselines": False, **changed}
        return Experiment(model, data, SquaredError(), **given).run(x_matters)

    held("settings", with_each(run, name == "a name of a stratum"), lambda result: exact(data, result))


@pytest.mark.parametrize("argument", ["model", "data", "hypothesis", "recovered of", "loss of", "measure", "toy node"])
def test_what_is_scrubbed_and_asked(argument, held):
    data, model = Dataset(BITS), adder()
    result = Experiment(model, data, SquaredError(), draws=1, baselines=False).run(x_matters)
    asked: dict[str, Callable[[Any], Any]] = {
        "model": lambda v: Experiment(v, data, SquaredError(), draws=1).run(x_matters),
        "data": lambda v: Experiment(model, v, SquaredError(), draws=1).run(x_matters),
        "hypothesis": lambda v: Experiment(model, data, SquaredError(), draws=1).run(v),
        "recovered of": lambda v: (result.loss_recovered(v), result)[1],
        "loss of": lambda v: (result.loss(v), result)[1],
        "measure": lambda v: (result.measure(v), result)[1],
        "toy node": lambda v: Experiment(
            ToyModel({"x": "x", "y": "y"}, {"logits": (lambda a, b: v, {"a": ["x"], "b": ["y"]})}), data, SquaredError()
        ).run(x_matters),
    }
    held("settings", with_each(asked[argument]), lambda found: exact(data, found))


def native(model: Any) -> dict[str, torch.Tensor]:
    """The tensors of a model, by their names in a file."""
    with TemporaryDirectory() as folder:
        to_file(model, f"{folder}/m.safetensors")
        return load_file(f"{folder}/m.safetensors")


FIELDS = ["n_layers", "d_model", "n_heads", "d_head", "n_ctx", "d_vocab", "act_fn", "normalization_type", "d_mlp",
"eps",
          "attention_dir", "positional_embedding_type", "attn_only", "gated_mlp", "final_rms", "rotary_base",
          "nonsense",
          "n_key_value_heads", "use_attn_scale", "attn_scale", "d_vocab_out", "window_size", "dtype"]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_specs_of_models(field, held, tiny_model):
    """A field that is accepted either changes nothing, or is of the kind of value that the field has."""
    model = tiny_model("native LN")
    state, config = native(model), {**NATIVE_SIZES, **NATIVE["native LN"]}
    tokens = torch.from_numpy(TOKENS)

    plain = model.forward(tokens, None)
    words = {"act_fn", "normalization_type", "attention_dir", "positional_embedding_type", "dtype"}

    def load(value: Any) -> tuple[Any, bool]:
        own = isinstance(value, str) if field in words else isinstance(value, (bool, int, float, np.floating))
        return from_state_dict(state, {**config, field: value}), own

    def right(found: Any) -> bool:
        logits = found[0].forward(tokens, None)
        same = logits.shape == plain.shape and bool(torch.allclose(logits, plain, atol=1e-5))
        return bool(torch.isfinite(logits).all()) and (same or found[1])

    held("models", with_each(load), right)


@feature
def stored(data: Dataset) -> Any:
    """Two classes."""
    return data.ids % 2


def test_stored_hypotheses(held):
    claim = (
        TARGET.at(1).part(parts.neurons([1])).carries(Variable("v", stored), group="g", sampler=samplers.agree(stored))
    )
    value = Hypothesis("h", "A claim.", OUTPUT.carries(B, claim, mlp(0).any_path(avoid="a0.h0").carries(B))).to_json()
    graph = transformer_graph(2, 2, d_model=8, d_mlp=6, positions=6, causal=True, padded=False)

    def call(made: Any) -> Hypothesis:
        found = Hypothesis.from_json(made)
        found.check(graph, DATA)
        return found

    calls = ((told, lambda made=made: call(made)) for told, made in altered(value, 600))
    held("files", calls, lambda found: Hypothesis.from_json(found.to_json()) == found)
