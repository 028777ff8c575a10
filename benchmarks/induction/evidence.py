"""What speaks for induction heads before any hypothesis about them: attention, copying, and what it costs to lose them.

python -m benchmarks.induction.evidence                                    # the two shipped models
python -m benchmarks.induction.evidence --model FOLDER_OR_NAME --text FILE
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hypotheses.induction.features import repeated_bigram
from hypotheses.induction.ladder import without_heads
from hypotheses.induction.roles import Head, Roles
from scrubbing import Task

if TYPE_CHECKING:
    from scrubbing import Result
    from scrubbing.models.transformer import Transformer

REPEATED = "second token of a repeated bigram"


@dataclass(frozen=True)
class Evidence:
    """Numbers that a model with induction heads should show."""

    roles: Roles
    matching: NDArray[np.float64]
    """Prefix matching by layer and head, `[layers, heads]`: attention in the second copy of random tokens to what
    followed in the first. Source: Olsson et al. 2022."""
    first_half: float
    """Loss on random tokens, in nats per token."""
    second_half: float
    """Loss on the same tokens when they come again."""
    losses: dict[str, tuple[float, float]]
    """Loss at candidate tokens of ordinary text, and at the second token of a repeated bigram, in nats per counted
    position, by what is ablated."""

    def describe(self) -> str:
        """As text."""
        heads = " ".join(f"{layer}.{i} {self.matching[layer, i]:.2f}" for layer, i in self.roles.induction)
        best = np.unravel_index(int(self.matching.argmax()), self.matching.shape)
        lines = [
            self.roles.describe(),
            "",
            f"prefix matching on repeated random tokens: {heads}; best {best[0]}.{best[1]} {self.matching[best]:.2f}",
            f"loss on random tokens {self.first_half:.2f}, when they come again {self.second_half:.2f} nats per token",
            f"loss at candidate tokens, and at the {REPEATED}, nats per counted position:",
            *(f"  {all_:.3f}  {repeated:.3f}  {what}" for what, (all_, repeated) in self.losses.items()),
        ]
        return "\n".join(lines)


def on_random_tokens(
    model: Transformer, half: int, n: int = 64, seed: int = 0
) -> tuple[NDArray[np.float64], float, float]:
    """Prefix matching by layer and head, and the losses of both halves of repeated random tokens.

    Args:
        model: a causal language model.
        half: tokens before they are repeated.
        n: sequences.
        seed: of the tokens, which are drawn uniformly from all but the first of the vocabulary.
    """
    import torch
    import torch.nn.functional as F

    from scrubbing.models.transformer import patterns

    generator = torch.Generator().manual_seed(seed)
    once = torch.randint(1, model.weights.W_E.shape[0], (n, half), generator=generator)
    tokens = torch.cat([once, once], dim=1).to(model.device)
    total = np.zeros((model.n_layers, model.n_heads))
    losses: list[torch.Tensor] = []
    with torch.inference_mode():
        for rows in tokens.split(16):
            for layer, pattern in enumerate(patterns(model.spec, model.weights, rows, None)):
                # From the second copy of a token to what followed the first: half - 1 positions back.
                total[layer] += pattern.diagonal(1 - half, dim1=2, dim2=3).mean(-1).double().sum(0).cpu().numpy()
            logits = model.forward(rows, None)[:, :-1]
            losses.append(
                F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none").view(len(rows), -1)
            )
    loss = torch.cat(losses)
    return total / n, float(loss[:, : half - 1].mean()), float(loss[:, half:].mean())


def evidence(task: Task, roles: Roles, references: int = 200) -> Evidence:
    """All of it for the model, text and loss of a task.

    Heads are ablated with the rest of the model as it is: their output is another sequence's, or its mean over the
    dataset. For comparison, as many of the other heads of the same layers.
    """
    model: Transformer = task.model()  # pyright: ignore[reportAssignmentType]
    length = task.data()["tokens"].shape[1]
    matching, first, second = on_random_tokens(model, length // 2)
    others = _others(roles)
    wanted = {"induction heads": roles.induction, "other heads of these layers": others}
    experiment = task.experiment(
        references=min(references, task.settings.how_many(len(task.data()))),
        draws=1,
        slices={REPEATED: repeated_bigram},
        extra_baselines={},
        zero_baseline="null",
        series=None,
    )
    losses: dict[str, tuple[float, float]] = {}
    for name, heads in wanted.items():
        if heads:
            result = experiment.run(without_heads(roles, heads))
            losses["the model"] = _losses(result, "model")
            losses[f"{name} resampled"] = _losses(result, "scrubbed")
            losses[f"{name} at their mean"] = _losses(result, "mean claimed")
    return Evidence(roles, matching, first, second, losses)


def _losses(result: Result, name: str) -> tuple[float, float]:
    """At candidates, and at those of them that are in a repeated bigram."""
    weights, of = result.slices[REPEATED]
    drawn = of[name].reshape(len(weights), -1).mean(axis=1)
    return result.loss(name).value, float((weights * drawn).sum() / weights.sum())


def _others(roles: Roles) -> tuple[Head, ...]:
    """As many heads of the same layers as there are induction heads, those with the lowest scores."""
    table = roles.scores["induction"]
    found: list[Head] = []
    for layer in sorted({layer for layer, _ in roles.induction}):
        free = sorted((table[layer][i], i) for i in range(roles.heads) if (layer, i) not in roles.induction)
        found += [(layer, i) for _, i in free[: sum(one == layer for one, _ in roles.induction)]]
    return tuple(sorted(found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the evidence for the shipped models, or for one of the user's own."""
    from benchmarks.induction.task import python_task, roles, task

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder, or name on the hub")
    parser.add_argument("--text", type=Path, help="text file")
    options = parser.parse_args(arguments)
    if options.model:
        from benchmarks.induction.yours import on
        from scrubbing.data import read_text

        found = on(options.model, lambda: read_text(options.text))
        print(evidence(found.task, found.roles).describe())
        return
    for which, one in (("language", task), ("python", python_task)):
        print(f"{which}\n{evidence(one, roles(which)).describe()}\n")


if __name__ == "__main__":
    main()
