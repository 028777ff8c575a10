"""Modes of a hypothesis that share a plan: each is what it is alone, and less is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from scrubbing import Classification, Dataset, Experiment, NextToken, NothingToDraw
from scrubbing.engine.together import compile_together
from scrubbing.experiment.in_process import InProcess
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.attribution import players, restored
from scrubbing.experiment.verdict.claims import members, units
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.sampling.contexts import Mode
from scrubbing.testing.random_hypotheses import random_hypothesis

LENGTH, N = 6, 24


def inputs(padded: bool) -> Dataset:
    columns: dict[str, Any] = {
        "tokens": random_inputs(VOCABULARY, LENGTH, padded=False, n=N)["tokens"],
        "label": np.arange(N) % 2,
    }
    if padded:
        columns["mask"] = np.arange(LENGTH)[None] < (2 + np.arange(N) // 2 % (LENGTH - 1))[:, None]
    return Dataset(columns)


def modes_of(job: Job) -> list[Mode]:
    """Every way in which tests run a hypothesis, some at a time."""
    tree, mode = job.tree, job.mode

    def all_of() -> Iterator[Mode]:
        yield mode
        for unit in units(job):
            yield from (unit.crossed(mode, tree, **how) for how in (*unit.ways, {"single": True}))
        yield from (replace(mode, freed=freed) for _, _, freed in members(tree))
        who = players(job)
        yield from (restored(mode, who[:number]) for number in range(len(who) + 1))
        yield from (replace(mode, apart=True), replace(mode, shared=True), Mode(output="another"))

    return list(dict.fromkeys(all_of()))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("family", ["GPT-2", "native classifier"])
def test_each_mode_is_what_it_is_alone(family: str, padded: bool, tiny_model: Callable[[str], Any]) -> None:
    model, data = tiny_model(family), inputs(padded)
    loss = Classification() if family == "native classifier" else NextToken()
    experiment = Experiment(model, data, loss, references=6, draws=2, baselines=False)
    compared = plans = 0
    for seed in range(12):
        made = random_hypothesis(experiment.subject.graph, data, 900 + seed, read=experiment.subject.read)
        scrub = replace(experiment.jobs(made)[0], logits=False, reported=False)
        jobs = [replace(scrub, mode=mode) for mode in modes_of(scrub)]
        together, alone = (InProcess(store=True, memory=2**26, spill=None) for _ in range(2))
        try:
            found = list(together.measure(jobs))
        except NothingToDraw:
            assert padded
            continue
        for job, one in zip(jobs, found, strict=True):
            (wanted,) = alone.measure([job])
            for name, values in wanted.values.items():
                assert np.allclose(one.values[name], values, atol=1e-4), (seed, job.mode, name)
        compared += len(jobs)
        modes, real, positions = [job.mode for job in jobs], scrub.subject.real, scrub.positions
        engine = together.engine(scrub.subject)
        plans += len(compile_together(engine, scrub.tree, modes, data=scrub.data, real=real, positions=positions))
        if compared > 20:
            break
    assert compared > 20 and plans < compared / 3
