"""Controls on the model: weights that mean nothing, and heads that changed places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scrubbing.experiment.relabel import relabelled, what_is_claimed
from scrubbing.experiment.trial import Control, Trial, inapplicable
from scrubbing.graph.nodes import Node

if TYPE_CHECKING:
    from torch import Tensor

    from scrubbing.models.protocol import Model

Change = Callable[["Tensor", np.random.Generator], "Tensor"]

REFERENCES, DRAWS = 400, 4
"""At most, as of the tests of a verdict: enough to tell whether 1 % of a gap is lost."""
WEIGHTS = "a model whose weights are known"
HEADS = "a claim about one of several heads of a layer"


def fresh_weights(seed: int) -> Control:
    """The control in which every tensor of the model is drawn anew, from a normal of its own mean and deviation.

    Scale and bias of each tensor are kept, so that the model's activations are about as large as they were. A tensor of
    equal entries, such as the weights of a norm that is not trained, stays as it is. Source: ours, after the
    re-initialisation of Adebayo et al. 2018.

    Args:
        seed: of the weights; it is in the control's name, `fresh-weights-SEED`.
    """
    meaning = "every tensor of the model drawn from a normal of its own mean and deviation"
    return _on_weights("fresh-weights", meaning, _fresh, seed)


def permuted_weights(seed: int) -> Control:
    """The control in which the entries of every tensor of the model change places within it.

    Not only scale and bias but the whole distribution of its entries is kept, outliers included. Source: ours.

    Args:
        seed: of the places; it is in the control's name, `permuted-weights-SEED`.
    """
    return _on_weights(
        "permuted-weights", "the entries of every tensor of the model permuted within it", _permuted, seed
    )


def permuted_heads(seed: int = 0) -> Control:
    """The control in which the heads of every layer change places: what is claimed of one is claimed of another.

    Args:
        seed: of the places, of which none is a head's own; others than 0 are in the control's name.
    """
    name = f"permuted-heads-{seed}" if seed else "permuted-heads"

    def change(trial: Trial) -> Trial:
        places = _other_heads(sorted(trial.model.graph(trial.data).slots), seed)
        made = relabelled(trial.hypothesis, places)
        before, after = (what_is_claimed(one.correspondence, trial.data) for one in (trial.hypothesis, made))
        if before == after:
            inapplicable(name, f"{trial.hypothesis.name} claims the same with the heads of each layer permuted.")
        return replace(trial, hypothesis=made)

    meaning = "every claim about a head made about another head of its layer"
    return Control(name, meaning, "fails", change, REFERENCES, DRAWS, HEADS)


def _on_weights(scheme: str, meaning: str, change: Change, seed: int) -> Control:
    name = f"{scheme}-{seed}"

    def changed(trial: Trial) -> Trial:
        # One model for all hypotheses: they then share its activations.
        key = (name, id(trial.model))
        _, model = trial.data.remember(key, lambda: (trial.model, _rewritten(trial.model, name, change, seed)))
        return replace(trial, model=model)

    return Control(name, meaning, "fails", changed, REFERENCES, DRAWS, WEIGHTS)


def _rewritten(model: Model, name: str, change: Change, seed: int) -> Model:
    from scrubbing.models.transformer import Transformer  # loads torch, which naming a control must not

    if not isinstance(model, Transformer):
        inapplicable(name, f"{model.name} is of type {type(model).__name__}, whose weights are not known.")
    tensors = {
        one: change(tensor, np.random.default_rng([seed, number]))
        for number, (one, tensor) in enumerate(model.weights.learned())
    }
    return type(model)(model.spec, model.weights.replaced(tensors), None, f"{model.name}, {name}")


def _fresh(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    import torch

    mean, deviation = float(tensor.double().mean()), float(tensor.double().std(correction=0))
    drawn = torch.as_tensor(rng.normal(mean, deviation, tuple(tensor.shape)))
    return drawn.to(tensor.device, tensor.dtype)


def _permuted(tensor: Tensor, rng: np.random.Generator) -> Tensor:
    import torch

    places = torch.as_tensor(rng.permutation(tensor.numel())).to(tensor.device)
    return tensor.detach().reshape(-1)[places].reshape(tensor.shape)


def _other_heads(nodes: list[Node], seed: int) -> Mapping[Node, Node]:
    """For each head another one of its layer, each once: a cycle through all of them in a random order."""
    layers: dict[int, list[Node]] = {}
    for one in nodes:
        if one.kind == "head":
            layers.setdefault(one.layer, []).append(one)
    places: dict[Node, Node] = {}
    for layer, heads in layers.items():
        shuffled: list[int] = np.random.default_rng([seed, layer]).permutation(len(heads)).tolist()
        order = [heads[i] for i in shuffled]
        places |= zip(order, [*order[1:], order[0]], strict=True)
    return places
