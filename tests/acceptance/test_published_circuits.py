"""Published circuits of GPT-2 small run end to end on random weights: a tiny twin, and the real shape."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from benchmarks.greater_than import gpt2 as greater_than
from benchmarks.greater_than.prompts import small as numbers
from benchmarks.ioi import gpt2 as ioi
from benchmarks.ioi.prompts import prompts as short
from benchmarks.ioi.prompts import words
from hypotheses.greater_than import ladder as years
from hypotheses.greater_than.ladder import Circuit as Years
from hypotheses.ioi import published
from hypotheses.ioi.published import GPT2_SMALL, Circuit
from scrubbing import ModelMismatch, transformer_graph
from scrubbing.experiment import find_task
from tests.acceptance.gpt2_folder import write

TINY = {"n_layer": 4, "n_head": 2, "n_embd": 16, "n_positions": 24}
NAMES = Circuit(((0, 0),), ((0, 1),), ((1, 0),), ((2, 0),), ((3, 0),), ((3, 1),))
TASKS = {
    "ioi": lambda folder: ioi.task(folder, NAMES),
    "greater-than": lambda folder: greater_than.task(folder, Years(((0, 0), (2, 1)), (1, 2), 4, 2)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("gpt2")
    write(made, scrambled=True, **TINY)
    return made


def test_the_published_circuit_is_that_of_the_paper():
    assert len(GPT2_SMALL.heads) == 26
    assert len({*GPT2_SMALL.heads}) == len(GPT2_SMALL.heads)


@pytest.mark.parametrize("name", TASKS)
def test_every_rung_runs_on_a_model_of_a_folder(name, folder):
    from transformers import GPT2LMHeadModel

    task = TASKS[name](folder)
    results = task.experiment(references=6, draws=1, baselines=False).run_all(task.ladder())
    assert len({round(one.loss("scrubbed").value, 6) for one in results}) > len(results) // 2
    record = results[-1].record()
    assert record.provenance.preparation.startswith("begin token 0 before every prompt")
    metric = "logit difference of the model" if name == "ioi" else "probability difference of the model"
    measured = next(one.value.value for one in record.measures if one.name == metric)
    data = task.data().take(np.isin(task.data().ids, results[-1].inputs().columns["id"]))
    with torch.no_grad():
        logits = GPT2LMHeadModel.from_pretrained(folder)(torch.tensor(data["tokens"])).logits[:, -1].double()
    rows = np.arange(len(data))
    if name == "ioi":
        right, other = (torch.tensor(data[column]) for column in ("label", "other"))
        expected = logits[rows, right] - logits[rows, other]
    else:
        p = logits[:, list(task.loss().tokens)].softmax(1)
        larger = torch.tensor(data["larger"])
        expected = (p * larger).sum(1) - (p * ~larger).sum(1)
    assert measured == pytest.approx(float(expected.mean()), abs=1e-5)


@pytest.mark.parametrize("name", TASKS)
def test_a_model_without_these_heads_is_refused(name, folder):
    with pytest.raises(ModelMismatch, match="SCR-ROLES"):
        find_task(name).variant("gpt2", folder).model()


SHAPE = {"d_model": 768, "d_mlp": 3072, "causal": True, "padded": False}
RUNGS = [*published.ladder(), *years.ladder(years.GPT2_SMALL, "greater-than-published")]


@pytest.mark.slow
@pytest.mark.parametrize("rung", RUNGS, ids=lambda one: one.name)
def test_every_rung_is_legal_on_the_shape_of_gpt2_small(rung):
    """The tiny twin above has as many kinds of layers in another order; here all are where they were published."""
    drawn = short(words(), 0, third_name=False) if rung in published.ladder() else numbers()
    rung.check(transformer_graph(12, 12, positions=drawn.length, **SHAPE), drawn.draw(300))


_RUN = """
import resource, sys
from scrubbing.cli import app
try:
    app(sys.argv[1:])
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rungs"), [("ioi", ["movers", "full"]), ("greater-than", ["year", "full"])])
def test_gpt2_small_on_random_weights_takes_less_than_4_gb(name, rungs, tmp_path):
    write(tmp_path, 50257, n_layer=12, n_head=12, n_embd=768, n_positions=1024)
    chosen = [word for rung in rungs for word in ("--only", rung)]
    options = ["--model", "gpt2", "--data", str(tmp_path), "--references", "4", "--draws", "1", "--no-verdict"]
    command = [sys.executable, "-c", _RUN, "bench", name, *chosen, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    records = json.loads(done.stdout)
    assert [one["hypothesis"].rpartition("/")[2] for one in records] == rungs
    peak = int(done.stderr.rpartition("peak ")[2].split()[0])  # in KiB on Linux
    assert peak < 4 * 2**20
