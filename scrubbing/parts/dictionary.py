"""Dictionaries of features, such as sparse autoencoders and transcoders in SAELens's folders, and features as parts.

A dictionary writes what is at one place of a model as a sum of few features, each a vector with an activation, a bias
and an error. Claimed as a part, some of the features are exchanged; the others, the bias and the error are the
remainder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from scrubbing.errors import FileError, UsageError, counted, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node, attn_node, head_node, mlp_node
from scrubbing.parts.base import OutputPart, Part, ReadPart
from scrubbing.parts.sae_lens import Weights, digest_of, weights_of
from scrubbing.storable import Complaint, named


@named("dictionary")
@dataclass(frozen=True)
class Dictionary:
    """A dictionary in a folder; see `read_dictionary`. Two are equal if their content is."""

    folder: str
    digest: str
    """Of the content of the folder's files, so that others of the same name are not taken for it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dictionary) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    @property
    def weights(self) -> Weights:
        """What is stored.

        Raises:
            FileError: SCR-DICTIONARY, the files are others by now; SCR-FILE, they are gone.
        """
        return _loaded(self.folder, self.digest)

    @property
    def size(self) -> int:
        """Number of features."""
        return len(self.weights.W_dec)

    @property
    def node(self) -> Node | None:
        """The node whose output its features add up to; None where that is no node."""
        return _node(self.weights)

    def features(self, *indices: Any) -> Features | ReadFeatures:
        """Some features together, as a part of the node that they are of; the rest and the error are the remainder.

        Args:
            indices: of features, or one list of them; none means all.

        Raises:
            UsageError: SCR-PART, one is no feature.
        """
        if len(indices) == 1 and not isinstance(indices[0], int):
            indices = tuple(indices[0])
        chosen = tuple(sorted({int(one) for one in indices})) if indices else tuple(range(self.size))
        if not chosen or not 0 <= chosen[0] <= chosen[-1] < self.size:
            problem = f"it has {counted(self.size, 'feature')}, and {list(chosen[-1:])} is not among them."
            fail(UsageError, "SCR-PART", problem, f"Use 0 to {self.size - 1}.", str(self))
        return (ReadFeatures if self.weights.reads_mlp else Features)(self, chosen)

    def activations(self, model: Any, data: Any, indices: Any = None) -> Any:
        """How strong features are on every input, as an array `[n, positions, features]`.

        A column of a dataset made of it can be a variable: "this feature is active".

        Args:
            model: any that can be scrubbed.
            data: the inputs.
            indices: of the features; the default is all.

        Raises:
            UsageError: SCR-PART, the model has no such place.
        """
        value = _value_at(self.weights, model, data)
        found = self.weights.encoder(value)(value)
        chosen = list(range(self.size)) if indices is None else [int(one) for one in indices]
        return found[..., chosen].numpy()

    def explained(self, model: Any, data: Any) -> float:
        """Share of the variance of what the dictionary is of that its reconstruction has, over all positions.

        It is 1 minus the squared error over the squared distance from the mean: 1 is perfect, 0 no better than the
        mean.
        """
        weights = self.weights
        value = _value_at(weights, model, data)
        target = _target_value(weights, model, data, value)
        rebuilt = weights.decoder(value)(value, weights.encoder(value)(value))
        error = ((target - rebuilt) ** 2).sum()
        spread = ((target - target.mean((0, 1))) ** 2).sum()
        return float(1 - error / spread)

    def __str__(self) -> str:
        return f"dictionary {Path(self.folder).name}"


@dataclass(frozen=True)
class _Chosen(Part):
    """Some features of a dictionary, wherever in a model they are computed."""

    dictionary: Dictionary
    indices: tuple[int, ...]

    def function(self, model: Any) -> Callable[[Any], Any]:
        """See `OutputPart.function` and `ReadPart.function`."""
        return _sum_of(self.dictionary.weights, self.indices)

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: the features are of another place, which may be no node."""
        yield from super().faults(graph, node)
        yield from _misplaced(self.dictionary, node, graph)

    def overlaps(self, other: Part, graph: ModelGraph, node: Node) -> bool:
        """Whether the two share a feature."""
        if not isinstance(other, _Chosen) or self.dictionary != other.dictionary:
            return False
        return bool({*self.indices} & {*other.indices})

    def flops(self, d_model: int) -> float:
        """See `Part.flops`."""
        return 2.0 * d_model * (self.dictionary.size + len(self.indices))

    def __str__(self) -> str:
        shown = ",".join(map(str, self.indices[:6])) + (",..." if len(self.indices) > 6 else "")
        return f"features({shown} of {Path(self.dictionary.folder).name})"


@named("features")
@dataclass(frozen=True)
class Features(_Chosen, OutputPart):
    """Some features of a node's output; see `Dictionary.features`."""


@named("read_features")
@dataclass(frozen=True)
class ReadFeatures(_Chosen, ReadPart):
    """Some features of a transcoder, which are functions of what an MLP reads; see `Dictionary.features`."""


def read_dictionary(folder: str | Path) -> Dictionary:
    """A dictionary in a folder that SAELens wrote: `cfg.json` and `sae_weights.safetensors`.

    Architectures are `standard`, `topk`, `jumprelu` and `gated`, and transcoders of an MLP. SAELens is not imported.

    Raises:
        FileError: SCR-FILE, a file is missing or damaged; SCR-DICTIONARY, with everything in it that cannot be used.
    """
    place = str(folder)
    found = Dictionary(place, digest_of(place))
    _loaded(found.folder, found.digest)
    return found


@lru_cache(maxsize=16)
def _loaded(folder: str, digest: str) -> Weights:
    if digest_of(folder) != digest:
        remedy = "Put back the files that the hypothesis was written for, or write it for these."
        fail(FileError, "SCR-DICTIONARY", "its files are not those that were claimed of.", remedy, folder)
    return weights_of(folder)


def _sum_of(weights: Weights, indices: tuple[int, ...]) -> Callable[[Any], Any]:
    chosen = list(indices)

    def features(value: Any) -> Any:
        """The sum of the chosen features, without the bias."""
        active = weights.encoder(value)(value)[..., chosen]
        return weights.written(value, active, chosen)

    return features


def _node(weights: Weights) -> Node | None:
    match weights.place:
        case "mlp_out":
            return mlp_node(weights.layer)
        case "attn_out":
            return attn_node(weights.layer)
        case "result":
            return head_node(weights.layer, weights.head)
        case _:
            return None


def _misplaced(dictionary: Dictionary, node: Node, graph: ModelGraph) -> Iterator[Complaint]:
    weights = dictionary.weights
    wanted = _node(weights)
    if wanted is None or wanted not in graph.slots:
        problem = f"the features of {dictionary} are of {weights.hook}, which is no node of this model."
        yield problem, "Use them as variables: see Dictionary.activations."
    elif node != wanted:
        yield f"the features of {dictionary} are of {wanted}, not of {node}.", f"Claim them of {wanted}."
    width = weights.W_dec.shape[1]
    if graph.d_model and width != graph.d_model:
        problem = f"the features of {dictionary} have {width} numbers; the residual stream has {graph.d_model}."
        yield problem, "Read the dictionary of this model."


def _value_at(weights: Weights, model: Any, data: Any) -> Any:
    """What a dictionary encodes on every input, `[n, positions, d]`."""
    graph: ModelGraph = model.graph(data)
    head, mlp = head_node(weights.layer, 0), mlp_node(weights.layer)
    following = head_node(weights.layer + 1, 0)
    node = _node(weights)
    last = following if following in graph.slots else graph.output
    reader = {"resid_pre": head, "resid_mid": mlp, "resid_post": last, "mlp_in": mlp}.get(weights.place)
    if weights.reads_mlp:
        reader, node = mlp, None
    if node in graph.slots and node is not None:
        return model.read(node, data)
    if reader is None or reader not in graph.slots:
        problem = f"the model has no {weights.hook} that could be put together from its nodes."
        fail(UsageError, "SCR-PART", problem, "Use a dictionary of this model.", str(weights.hook))
    slot = "q" if reader.kind == "head" else "x"
    total: Any = sum(model.read(writer, data) for writer in graph.slots[reader][slot].parents)
    constant = model.constant(reader, slot)
    total = total if constant is None else total + constant.cpu()
    if weights.reads_mlp or weights.place == "mlp_in":
        flat = total.reshape(-1, total.shape[-1]).to(model.device)
        positions = flat.new_tensor(range(graph.positions)).long().repeat(len(total))
        total = model.prepare(model.norm_key(reader, slot), flat, positions, None).reshape(total.shape).cpu()
    return total


def _target_value(weights: Weights, model: Any, data: Any, value: Any) -> Any:
    node = _node(weights)
    return model.read(node, data) if weights.reads_mlp and node is not None else value
