"""How often the host waits for the device while a run is under way: at most twice per batch, whatever is claimed."""

from __future__ import annotations

import pytest
from conftest import NAME
from test_runs import ALL, CLAIMS, PADDED, padded_or_not

from benchmarks.induction.task import task as induction
from benchmarks.parens.task import our_data
from benchmarks.parens.task import task as parens
from scrubbing import OUTPUT, Experiment, Hypothesis, NextToken
from scrubbing.experiment.measured import Measured
from scrubbing.metrics.recalibration import FEWEST
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import tiny
from scrubbing.samplers import separate

if NAME != "pretend":
    pytest.skip("CUDA says where it waits and does not count; see test_cuda.py", allow_module_level=True)
from pretend import Pretend

MOST = 2
"""Waits per batch."""


def counted(experiment, hypothesis, rows, double=True):
    """Waits, and copies from memory that is not pinned, by the line that causes them, over a whole run whose clean
    activations are there; and its number of batches.
    """
    job, executor = experiment.jobs(hypothesis)[0], experiment.executor
    compiled, engine = executor.compile(job), executor.engine(job.subject)

    def once():
        found = Measured.empty(job)
        for batch in engine.run(compiled, job.reference.rows, job.draws, job.seed, batch=rows):
            found.add(batch, job, job.title)
        return found.batches

    with Pretend(double) as device:
        once()
        device.waits.clear()
        device.unpinned.clear()
        return device.waits, device.unpinned, once()


def held(waits, unpinned, batches):
    assert batches > 1
    assert not unpinned, unpinned
    assert sum(waits.values()) <= MOST * batches, (batches, waits)
    assert waits  # losses are read back


@pytest.mark.parametrize("there", [False], indirect=True, ids=["without float64"])
def test_losses_on_the_host(there):
    """Where there is no float64, outputs are read back in place of losses: the model's and the scrubbed one's."""
    options = parens.settings.but(references=8, draws=1, baselines=False)
    experiment = Experiment(parens.model(), our_data(400), parens.loss(), options, device=there)
    held(*counted(experiment, parens.rung("signs"), 4, double=False))


@pytest.mark.parametrize("rung", [one.name.rpartition("/")[2] for one in parens.ladder()])
def test_the_paren_suite(rung, there):
    options = parens.settings.but(references=2 * FEWEST, draws=1, baselines=False)
    experiment = Experiment(parens.model(), our_data(400), parens.loss(), options, device=there)
    held(*counted(experiment, parens.rung(rung), FEWEST))


@pytest.mark.parametrize("rung", ["heads-only", "naive", "refined", "free-pattern"])
def test_the_induction_suite(rung, there):
    experiment = induction.experiment(references=8, draws=1, baselines=False, series=None, device=there)
    held(*counted(experiment, induction.rung(rung), 4))


@pytest.mark.parametrize(
    ("case", "padded"), [(case, padded) for case in CLAIMS for padded in (False, True) if padded or case != PADDED]
)
def test_claims(case, padded, there):
    hypothesis = Hypothesis("claims", "Something.", OUTPUT.carries(ALL, *CLAIMS[case]), unclaimed=separate())
    model, data = from_bridge(tiny("native LN")), padded_or_not(padded)
    experiment = Experiment(model, data, NextToken(), draws=1, references=12, device=there)
    held(*counted(experiment, hypothesis, 4))
