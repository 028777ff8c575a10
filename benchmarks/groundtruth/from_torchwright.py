"""Models compiled by `torchwright` as native ones, with a map from nodes of its graph to heads and neurons.

A program is a graph of its operations, which it places in layers, heads and neurons by itself, among heads that move
values and heads that clear what is no longer needed. It is installed by the dependency group `torchwright`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.groundtruth.truth import INPUTS, Truth, all_rows, balanced_rows, says
from scrubbing import EMBED, OUTPUT, Classification, Dataset, Hypothesis, Target, Variable, anything, head, mlp
from scrubbing.parts import neurons

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from scrubbing import Model

WIDTH, OF_A_HEAD = 64, 32
LOUD = 10.0
"""Size of a logit: outputs of the program are -1 and 1."""


@dataclass(frozen=True)
class Compiled:
    """A compiled program: the model, and where it computes what."""

    model: Model
    places: Mapping[Any, Target]
    """By node of torchwright's graph, the head or the neurons that compute it."""
    moves: Mapping[Any, Target]
    """By node, the head that adds it to another one."""
    clears: tuple[Target, ...]
    """Heads that clear what is no longer needed, in order of layers."""


def compiled(output: Any, inputs: Mapping[str, ArrayLike], positions: int, name: str) -> Compiled:
    """Compile a graph of ReLU operations to a native transformer of two classes.

    Args:
        output: its last node, one number that is -1 or 1.
        inputs: name of an input node to its value for each token, `[tokens, width]`.
        positions: length of the inputs.
        name: of the model.
    """
    import torch
    from torchwright import compile_headless  # pyright: ignore[reportMissingImports]
    from torchwright.graph.rope import rope_cos_sin  # pyright: ignore[reportMissingImports]

    from scrubbing.models.transformer import Attention, Mlp, Norm, Spec, Weights, assemble

    made = compile_headless(output, d=WIDTH, d_head=OF_A_HEAD)
    net, norm = made.net, Norm("none")
    values = {key: torch.tensor(np.asarray(value), dtype=torch.float32) for key, value in inputs.items()}
    heads, hidden = (
        max(sizes) for sizes in zip(*((x.attn.attn.n_heads, x.mlp.d_hidden) for x in net.layers), strict=True)
    )

    def padded(rows: torch.Tensor, number: int = heads) -> torch.Tensor:
        """As many heads or neurons as the layer has that has most; further ones write nothing."""
        return torch.cat([rows, rows.new_zeros(number - len(rows), *rows.shape[1:])])

    attention, mlps = [], []
    for layer in net.layers:
        one, first, second = layer.attn.attn, layer.mlp.linear1, layer.mlp.linear2
        W_Q, W_K, W_V, W_O = map(padded, (one.query_matrix, one.key_matrix, one.value_matrix, one.output_matrix))
        attention.append(Attention(norm, W_Q, W_K, W_V, W_O))
        W_in, W_out = padded(first.output_matrix.T, hidden).T, padded(second.output_matrix, hidden)
        mlps.append(Mlp(norm, W_in, W_out, padded(first.output_bias, hidden), second.output_bias))
    (column,) = made.output_indices.tolist()
    W_U = torch.zeros(WIDTH, 2)
    W_U[column] = torch.tensor([-LOUD, LOUD])
    W_E = net.get_input_res_stream(len(next(iter(values.values()))), values)
    rotary = rope_cos_sin(torch.arange(positions), OF_A_HEAD, net.layers[0].attn.attn.rope_base)
    weights = Weights(W_E, W_U, tuple(attention), tuple(mlps), norm, rotary=rotary)
    model = assemble(Spec("torchwright", True, 1.0, positions="rotary_half"), weights, name)
    return Compiled(model, *_places(net.placements.entries))


def _places(entries: Any) -> tuple[dict[Any, Target], dict[Any, Target], tuple[Target, ...]]:
    """Which head or neurons write each node, move it, or clear something."""
    places: dict[Any, Target] = {}
    moves: dict[Any, Target] = {}
    clears: list[Target] = []
    hidden: dict[tuple[int, Any], list[int]] = {}
    for one in entries:
        if one.matrix_kind == "mlp.W_out":
            hidden.setdefault((one.layer, one.node), []).extend(one.rows)
        elif one.matrix_kind == "attn.W_O":
            target = head(one.layer, one.rows[0] // OF_A_HEAD)
            if one.op_type == "cancel":
                clears.append(target)
            else:
                (moves if one.op_type == "add_into" else places)[one.node] = target
    places |= {node: mlp(layer).part(neurons(rows)) for (layer, node), rows in hidden.items()}
    return places, moves, tuple(clears)


def larger(seed: int) -> Truth:
    """Whether the last number is larger than the one before it."""
    from torchwright.ops.attention_ops import attend_to_offset  # pyright: ignore[reportMissingImports]
    from torchwright.ops.inout_nodes import create_input, create_rope_config  # pyright: ignore[reportMissingImports]
    from torchwright.ops.linear import add, negate  # pyright: ignore[reportMissingImports]
    from torchwright.ops.relu.arithmetic_ops import compare  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng([seed, 41])
    kinds, positions, name = int(rng.choice([3, 4, 5])), int(rng.choice([4, 5, 6])), f"larger/{seed}"
    tokens = rng.permutation(kinds)
    value = create_input("value", 1, value_range=(0, kinds - 1))
    before = attend_to_offset(create_rope_config(OF_A_HEAD), value, -1)
    less = negate(before)
    difference = add(value, less)
    output = compare(difference, 0.5)
    made = compiled(output, {"value": np.argsort(tokens)[:, None]}, positions, name)

    rows = all_rows(kinds, kinds)
    pair = rows[balanced_rows(rng, rows @ [kinds, 1])]
    others = rng.integers(kinds, size=(INPUTS, positions - 2))
    symbols, label = np.column_stack([others, pair]), (pair[:, 1] > pair[:, 0]).astype(np.int64)
    columns = {"tokens": tokens[symbols], "label": label, "previous": pair[:, 0], "last": pair[:, 1]}
    noise = {f"noise_{i}": others[:, i] for i in range(positions - 2)}
    data = Dataset({**columns, **noise, "each_symbol": symbols, "parity": symbols.sum(1) % 2}, name=f"inputs of {name}")
    place, moved = made.places, made.moves[difference].direct()
    fetched = says(place[less].direct().into("v"), "previous", says(place[before].direct(), "previous"))
    decided = says(place[output].direct(), "label", says(moved, "previous", fetched), says(EMBED.direct(), "last"))
    # What was read is cleared before the output is written in its place: on one input, the two cancel.
    cleared = (place[before].direct() | made.clears[-1].direct()).carries(Variable("cleared", anything))
    about = "A head reads the number before, neurons negate it, a head adds it to the last one, neurons compare."
    tight = Hypothesis(name, about, says(OUTPUT, "label", decided, cleared))
    loss = Classification("label", position=-1)
    return Truth("larger", seed, about, made.model, data, loss, (tight,))
