"""A control of a search in which there is something to find, and nothing that means anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scrubbing.experiment.random_weights import fresh_weights
from scrubbing.experiment.trial import Control, Trial, inapplicable

TRIES = 20
"""Re-initialised models of which the first is taken whose outputs tell inputs apart."""
LEAST = {"classes": 0.5, "numbers": 0.01}
"""Bits of entropy that its outputs have at least, or share of the deviation of the labels that theirs is at least."""
AT_ONCE = 256


@dataclass(frozen=True)
class OwnOutputs(Control):
    """Re-initialised weights, labelled with what this other model itself puts out."""


def own_outputs(seed: int) -> Control:
    """The control in which weights are re-initialised and labels are what the new model itself puts out.

    On re-initialised weights a search mostly ends at once, since the model is no better than a constant at the labels.
    At its own outputs it is perfect, so that there is something to find: how a model without a mechanism does what
    it does. What is found there is true of that model; a result is not specific if it says no more than that: if
    what is found there is supported with as few bits. Source: ours, after Adebayo et al. 2018.

    Args:
        seed: of the weights; of twenty models that it stands for the first is taken whose outputs tell inputs apart.
    """
    name = f"own-outputs-{seed}"

    def change(trial: Trial) -> Trial:
        label = getattr(trial.loss, "label", None)
        places = getattr(trial.loss, "positions", None)
        if not isinstance(label, str) or places is not None or trial.data[label].ndim > 1:
            inapplicable(name, f"{trial.loss.name} has no column with one label per input.")
        for number in range(TRIES):
            made = fresh_weights(seed * TRIES + number).change(trial)
            assert isinstance(made, Trial)
            found = _outputs(made)
            known = trial.data[label].astype(np.float64)
            spread = _entropy(found) if trial.loss.outputs == "classes" else found.std() / known.std()
            if spread >= LEAST[trial.loss.outputs]:
                return replace(made, data=trial.data.with_columns(**{label: found}))
        inapplicable(name, f"of {TRIES} re-initialised models none puts out anything but nearly always the same.")

    meaning = "re-initialised weights, labelled with what this model itself puts out"
    return OwnOutputs(name, meaning, "fails", change, needs="a model whose weights are known, and one label per input")


def _outputs(trial: Trial) -> NDArray[Any]:
    """What the model puts out where the loss reads it: the likeliest class, or the number, `[n]`."""
    inputs, counted = trial.model.inputs(trial.data), trial.loss.counted(trial.data, trial.data["tokens"].shape[1])
    rows = [torch.arange(at, min(at + AT_ONCE, len(trial.data))) for at in range(0, len(trial.data), AT_ONCE)]
    found = torch.cat([trial.model.own_output(inputs, some.to(trial.model.device)).cpu() for some in rows])
    read = found[torch.arange(len(found)), torch.as_tensor(counted.argmax(1))]
    return read.argmax(1).numpy() if trial.loss.outputs == "classes" else read.double()[:, 0].numpy()


def _entropy(values: NDArray[Any]) -> float:
    share = np.unique(values, return_counts=True)[1] / len(values)
    return float(-(share * np.log2(share)).sum())
