"""The shipped models of indirect object identification and greater-than do what their ladders say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.greater_than import train as years_trained
from benchmarks.greater_than.task import task as greater_than
from benchmarks.ioi import train as names_trained
from benchmarks.ioi.task import task as ioi
from hypotheses.ioi.shipped import COLLECTORS, SUBTRACTOR
from scrubbing import OUTPUT, Hypothesis, Variable, anything, everything, head
from scrubbing.data import slot
from scrubbing.hypothesis import Bundle
from scrubbing.samplers import exact

REFERENCES = 150


def losses(task):
    experiment = task.experiment(references=REFERENCES, draws=1, baselines=False)
    results = experiment.run_all(task.ladder())
    found = {one.hypothesis.name.rpartition("/")[2]: one.loss("scrubbed").value for one in results}
    return {**found, "model": results[0].loss("model").value, "constant": results[0].loss("constant").value}


def test_names_are_collected_and_the_subject_is_subtracted():
    """The rungs that hold, and those that lose: the published steering of queries, and what is wrong on purpose."""
    found = losses(ioi)
    held = ("subtracted", "each-head", "from-names", "any-query", "from-embeddings")
    even = np.log(2)
    assert found["model"] < 0.005
    assert max(found[name] for name in held) < 0.1
    assert 0.1 < found["five-collectors"] < even
    lost = ("movers", "steered-by-position", "steered-by-name", "collected", "object-subtracted", "position-of-subject")
    assert even < min(found[name] for name in lost)
    assert {*held, *lost, "five-collectors", "model", "constant"} == {*found}


def knocked_out(experiment, *heads):
    """Loss with these heads' output at the end from another prompt, the rest of the model as it is."""
    paths = Bundle(
        tuple(head(*one).at("last").any_path(avoid=[head(*o) for o in heads if o[0] > one[0]]) for one in heads)
    )
    claim = paths.carries(Variable("nothing", anything))
    made = Hypothesis(
        "ioi/knock-out", "These do not matter.", OUTPUT.carries(Variable("all", everything), claim, unclaimed=exact)
    )
    return experiment.run(made).loss("scrubbed").value


def test_collectors_are_idle_alone_and_not_together():
    """Backup by nature: each of seven heads can be lost for a tenth of a nat, and all of them cannot."""
    experiment = ioi.experiment(references=REFERENCES, draws=1, baselines=False)
    alone = [knocked_out(experiment, one) for one in COLLECTORS]
    assert max(alone) < 0.2
    assert knocked_out(experiment, *COLLECTORS) > 20 * sum(alone) / len(alone)
    assert knocked_out(experiment, SUBTRACTOR) > 1


def test_heads_bring_the_year_and_mlps_tell_which_are_larger():
    found = losses(greater_than)
    held = ("year", "from-year", "through-mlps", "mlps", "full")
    assert max(found[name] for name in held) - found["model"] < 0.25
    assert found["model"] + 0.1 < found["decade"] < found["constant"]
    assert found["model"] + 0.1 < found["any-pattern"] < found["constant"]
    assert min(found["heads-alone"], found["last-digit"]) > found["constant"]
    years = slot("YY")(greater_than.data())
    assert found["model"] == pytest.approx(np.log(99 - years).mean(), abs=0.15)


@pytest.mark.parametrize("trained", [names_trained, years_trained], ids=["ioi", "greater-than"])
def test_fresh_prompts_are_answered_as_those_of_training(trained):
    from scrubbing import from_file

    tokens = trained.texts(300, 4_242)
    model = from_file(trained.WEIGHTS)
    with torch.inference_mode():
        loss = torch.nn.functional.cross_entropy(model.forward(tokens[:, :-1], None)[:, -1], tokens[:, -1])
    assert float(loss) < (0.01 if trained is names_trained else 3.85)
