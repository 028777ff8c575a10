"""Search for a hypothesis, and say what it is worth: on other inputs, and beside what chance finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Unpack

from scrubbing.data.features import Feature, everything
from scrubbing.errors import UsageError
from scrubbing.experiment.controls import controls as known
from scrubbing.experiment.experiment import Experiment
from scrubbing.experiment.random_weights import fresh_weights
from scrubbing.experiment.result import Result
from scrubbing.experiment.trial import Control, Trial
from scrubbing.hypothesis.claims import OUTPUT
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.records.search import SUPPORTED, ControlSearch, SearchRecord
from scrubbing.search.choices import Choices, Options
from scrubbing.search.own import OwnOutputs
from scrubbing.search.searched import Searched


@dataclass(frozen=True, eq=False)
class Found:
    """What a search came to."""

    hypotheses: tuple[Hypothesis, ...]
    """Of what loses next to nothing first, then smaller ones that lose more."""
    record: SearchRecord

    @property
    def hypothesis(self) -> Hypothesis:
        """The smallest that loses next to nothing, as far as the search knows."""
        return self.hypotheses[0]

    def __str__(self) -> str:
        return str(self.hypothesis)


def search(
    experiment: Experiment,
    features: Sequence[Feature] = (),
    *,
    beside: Sequence[Hypothesis] = (),
    out: str | Path | None = None,
    **chosen: Unpack[Options],
) -> Found:
    """Search for a hypothesis: what matters, and the coarsest features that it may be said to carry, by tests.

    From the output down, what a node reads is kept as far as the loss depends on it: writer by writer, slot by slot,
    position by position. What is kept is said to carry the coarsest of many features with which nothing is lost. Each
    step is a test against the model itself, on one part of the inputs. On the other the result is put to the verdict,
    beside others of its size, and beside what the same search comes to where there is nothing to
    find. Source: ours; removing edges from the output down is from Conmy et al. 2023 (ACDC).

    Args:
        experiment: model, inputs, loss, and what measures.
        features: that nodes may be said to carry; they come before those that are generated.
        beside: other hypotheses, to be run on the same held-out inputs.
        out: folder for finished measurements, so that the same search continues after an interruption and comes to the
            same.
        chosen: fields of `Choices`: `by`, `adversarial`, `generated`, `scope`, `through`, `depth`, `margin`, `alpha`,
            `budget`, `held_out`, `random`, `controls`, `seed`, `name`.

    Raises:
        UsageError: SCR-SEARCH, lists everything that cannot be used; SCR-NAME; SCR-GRADIENT, what proposes by gradient
            cannot differentiate the model or the loss. FileError: SCR-FILE, the folder cannot be written, or another
            run is writing to it.
    """
    how = Choices(features=features, **chosen)
    folder = None if out is None else Path(out)
    start = Hypothesis(how.name, "Nothing.", OUTPUT.carries(Variable("output", everything)), how.scope)
    trial = Trial(start, experiment.model, experiment.data, experiment.loss)
    made = Searched.on(trial, experiment, how, folder)
    results = made.results(beside, folder)
    same = replace(how, budget=max(made.effort.examples, 1), random=0)
    should_fail = _controls(how.seed) if how.controls is None else how.controls
    found = (_control(one, trial, experiment, same, folder) for one in should_fail)
    return _found(made, results, [one for one in found if one is not None])


def _found(made: Searched, results: Sequence[Result], controls: Sequence[ControlSearch]) -> Found:
    records = [result.record() for result in results]
    tested = records[0].tested
    assert tested is not None
    chosen, many = made.chosen, len(made.hypotheses)
    record = SearchRecord(
        found=records[:many],
        beside=records[many:],
        word=tested.word,
        alpha=chosen.alpha,
        margin=chosen.margin,
        effort=made.effort,
        features=made.features,
        unusable=[one.name for one in made.unusable],
        fitted=len(made.fitted.data),
        held_out=len(made.rest.data),
        controls=list(controls),
    )
    if tested.word in SUPPORTED and record.unspecific:
        record = record.model_copy(update={"word": "not specific"})
    return Found(made.hypotheses, record)


def _control(control: Control, trial: Trial, of: Experiment, chosen: Choices, out: Path | None) -> ControlSearch | None:
    """The same search where it should find nothing; None where that cannot be arranged."""
    try:
        changed = control.change(trial)
    except UsageError as error:
        if any(one.code != "SCR-CONTROL" for one in error.faults):
            raise
        return None
    if not isinstance(changed, Trial):
        return None  # a control on the hypothesis, and there is none yet
    folder = None if out is None else out / control.name
    made = Searched.on(changed, of, chosen, folder)
    found = made.results((), folder)[0].record()
    tested = found.tested
    assert tested is not None
    return ControlSearch(
        name=control.name,
        meaning=control.meaning,
        word=tested.word,
        recovered=tested.together,
        claimed=None if found.size is None or not made.explains else found.size.claimed,
        own=isinstance(control, OwnOutputs),
        hypothesis=str(made.hypotheses[0]) if made.explains else "",
        effort=made.effort,
    )


def _controls(seed: int) -> list[Control]:
    return [fresh_weights(seed + 1), known["shuffled-labels"]]
