"""Encoders of BERT's kind from folders, new and old; their inputs, and what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from scrubbing import (
    OUTPUT,
    BadData,
    Classification,
    Dataset,
    Hypothesis,
    ModelMismatch,
    UsageError,
    Variable,
    feature,
    from_state_dict,
    load_model,
    node,
    scrub,
)
from scrubbing.cli.listing import listed
from scrubbing.experiment.from_files import task_from_files
from scrubbing.experiment.random_weights import fresh_weights
from scrubbing.experiment.trial import Trial
from scrubbing.graph import Node
from scrubbing.models.transformer import Encoder, to_file

from .families import described, inputs, loaded, module_of, of_transformers

MASKED, CLASSES = "BERT, masked tokens", "BERT, classes"


def first_logits(model: Any, data: Dataset) -> torch.Tensor:
    return model.own_output(model.inputs(data), torch.arange(len(data)))[:, 0]


def test_a_folder(tmp_path: Path) -> None:
    module = module_of(CLASSES, {})
    module.save_pretrained(tmp_path)
    model, data = load_model(tmp_path), inputs(module, 8, padded=True)
    assert torch.allclose(first_logits(model, data), of_transformers(module, data)[:, 0], atol=1e-5)


def test_a_folder_with_the_names_of_the_first_checkpoints(tmp_path: Path) -> None:
    """With `gamma` and `beta` of norms, tables of positions, and the head and pooler of the other task."""
    module = module_of(MASKED, {})
    module.save_pretrained(tmp_path)
    stored = load_file(str(tmp_path / "model.safetensors"))
    old = {key.replace("LayerNorm.weight", "LayerNorm.gamma"): tensor for key, tensor in stored.items()}
    old = {key.replace("LayerNorm.bias", "LayerNorm.beta"): tensor for key, tensor in old.items()}
    assert set(old) != set(stored)
    old |= {"bert.embeddings.position_ids": torch.arange(20)[None], "cls.seq_relationship.weight": torch.ones(2, 32)}
    old |= {"bert.pooler.dense.weight": torch.ones(32, 32), "bert.pooler.dense.bias": torch.ones(32)}
    save_file(old, str(tmp_path / "model.safetensors"))
    assert load_model(tmp_path).fingerprint == loaded(module).fingerprint


def test_types_of_tokens_are_read_and_zero_without_a_column() -> None:
    module = module_of(CLASSES, {})
    model, data = loaded(module), inputs(module, 6, padded=True)
    plain = {key: data[key] for key in ("tokens", "mask")}
    zeros = {**plain, "token_type_ids": np.zeros_like(data["tokens"])}
    without, zero, drawn = (first_logits(model, one) for one in (Dataset(plain), Dataset(zeros), data))
    assert torch.equal(without, zero)
    assert not torch.allclose(without, drawn, atol=1e-2)


def test_types_where_inputs_are_padded_change_nothing() -> None:
    module = module_of(CLASSES, {})
    model, data = loaded(module), inputs(module, 6, padded=True)
    other = np.where(data["mask"], data["token_type_ids"], 1 - data["token_type_ids"])
    changed = Dataset({**{key: data[key] for key in data}, "token_type_ids": other})
    for one in ("tokens", "token_type_ids"):
        assert torch.equal(model.inputs(data).columns[one], model.inputs(changed).columns[one])


@pytest.mark.parametrize("types", [np.zeros((4, 5), int), np.zeros((4, 6)), np.full((4, 6), 2)])
def test_types_that_do_not_fit(types: Any) -> None:
    module = module_of(CLASSES, {})
    data = Dataset({"tokens": inputs(module, 6, padded=False)["tokens"], "token_type_ids": types})
    with pytest.raises(BadData) as caught:
        loaded(module).inputs(data)
    assert caught.value.codes == ("SCR-TOKENS",)


def test_more_positions_than_there_are_embeddings() -> None:
    """RoBERTa keeps embeddings that no position has."""
    module = module_of("RoBERTa, classes", {})
    limit = 20 - module.config.pad_token_id - 1
    assert loaded(module).inputs(inputs(module, limit, padded=False)) is not None
    with pytest.raises(BadData, match=f"prepared for {limit}"):
        loaded(module).inputs(inputs(module, limit + 1, padded=False))


def test_what_is_refused(tmp_path: Path) -> None:
    module = module_of(MASKED, {})
    config = described(module)
    tensors = module.state_dict()
    for changed, code, reason in (
        ({"architectures": None}, "SCR-CONFIG", "which head it has"),
        ({"is_decoder": True}, "SCR-FAMILY", "is a decoder"),
        ({"hidden_act": "mish"}, "SCR-FAMILY", "activation"),
        ({"architectures": ["BertLMHeadModel"]}, "SCR-FAMILY", "only encoders"),
    ):
        with pytest.raises(ModelMismatch, match=reason) as caught:
            from_state_dict(tensors, {**config, **changed})
        assert caught.value.codes == (code,)
    with pytest.raises(ModelMismatch) as caught:
        to_file(loaded(module), tmp_path / "m.safetensors")
    assert caught.value.codes == ("SCR-CONFIG",)


def test_a_wrong_norm_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the norms of its layers in the other order, it is no BERT."""
    from scrubbing.models.transformer_lens import encoders

    def swapped(block: Any, heads: int) -> Any:
        attention, mlp, first, second = layer(block, heads)
        return attention, mlp, second, first

    layer = encoders._bert_layer  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(encoders, "_bert_layer", swapped)
    with pytest.raises(ModelMismatch, match="SCR-CHECK"):
        loaded(module_of(MASKED, {}))


def test_other_weights_and_precisions_stay_encoders() -> None:
    model = loaded(module_of(CLASSES, {}))
    tensors = {name: 1.5 * tensor for name, tensor in model.weights.learned()}
    for made in (model.with_weights(tensors), model.to(dtype=torch.float64)):
        assert isinstance(made, Encoder)
        assert made.fingerprint != model.fingerprint


def test_a_score(tmp_path: Path) -> None:
    """Of a hypothesis about the last norm, on the model and on one with weights that mean nothing."""

    @feature
    def first(data: Any) -> Any:
        return data["tokens"][:, 1]

    module = module_of(CLASSES, {})
    plain = inputs(module, 6, padded=True, n=200)
    logits = of_transformers(module, plain)[:, 0]
    data = Dataset({**{key: plain[key] for key in plain}, "label": logits.argmax(-1).numpy()})
    hypothesis = Hypothesis(
        "first",
        "Only the second token counts.",
        OUTPUT.carries(Variable("class", first), node("m1.norm").direct().carries(Variable("token", first))),
    )
    trial = Trial(hypothesis, loaded(module), data, Classification("label", position=0))
    random = fresh_weights(1).change(trial)
    assert isinstance(random, Trial) and isinstance(random.model, Encoder)
    own, wrong = (scrub(hypothesis, one.model, data, one.loss, references=60) for one in (trial, random))
    assert own.loss("model").value < own.loss().value
    assert own.loss("model").value < wrong.loss("model").value


def test_a_classifier_is_read_at_its_first_position(tmp_path: Path) -> None:
    """By the loss of that name, without a task."""
    module_of(CLASSES, {}).save_pretrained(tmp_path / "classes")
    module_of(MASKED, {}).save_pretrained(tmp_path / "masked")
    for name, position in (("classes", 0), ("masked", "last")):
        loss = task_from_files(str(tmp_path / name), "x.csv", "classification").loss()
        assert isinstance(loss, Classification)
        assert loss.position == position
    with pytest.raises(UsageError, match="sees the next token"):
        task_from_files(str(tmp_path / "masked"), "x.csv").loss()


def test_nodes_as_they_are_listed(tmp_path: Path) -> None:
    """From the folder's config alone: norms by what they follow, and as many outputs as classes."""
    module = module_of(CLASSES, {})
    module.save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    rows = {row.node: row for row in listed(str(tmp_path), None)}
    assert rows["m0.norm"].what == "norm of the residual stream after the MLP of layer 0"
    assert rows["a1.norm"].written_as == 'node("a1.norm")'
    assert rows["logits"].writes == f"[n, positions, {module.config.num_labels}]"
    graph = loaded(module).graph(inputs(module, 4, padded=True))
    assert [Node.parse(one.name) for one in graph.slots] == [*graph.slots]
