"""The gate, as CI runs it: real commands on the shipped model, unchanged, damaged, fine-tuned, with other claims."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from benchmarks.parens.task import our_data
from scrubbing import from_file
from scrubbing.models.transformer.checkpoint import to_file
from tests.warm import python

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "benchmarks" / "parens" / "model.safetensors"

CLAIMS = '''
"""What we believe of the paren model."""

from dataclasses import replace
from pathlib import Path

from benchmarks.parens.task import our_data
from benchmarks.parens.task import task as shipped
from hypotheses.parens.features import balanced, excess_sign, horizon_ok
from scrubbing import OUTPUT, Hypothesis, Variable, feature, from_file, head, joint

HERE = Path(__file__).parent
task = replace(
    shipped,
    name="ours",
    data=lambda: our_data(3_000),
    model=lambda: from_file(HERE / "model.safetensors", name="paren balancer"),
    ladder=tuple,
)


@feature
def counted(data):
    """Which of the two there is too many of."""
    return excess_sign(data)


def four_heads():
    """Layer 1 tests, layer 2 repeats."""
    early, late = (head(1, 0), head(1, 1)), (head(2, 0), head(2, 1))
    both = Variable("both", joint(counted, horizon_ok))
    return Hypothesis(
        "ours/four-heads",
        "Head 1.0 reports the sign of the excess, 1.1 the horizon, 2.0 and 2.1 both.",
        OUTPUT.carries(
            Variable("balanced", balanced),
            early[0].any_path(avoid=late).carries(Variable("count", counted)),
            early[1].any_path(avoid=late).carries(Variable("horizon", horizon_ok)),
            late[0].any_path(avoid=late[1]).carries(both),
            late[1].any_path(avoid=late[0]).carries(both),
        ),
    )
'''

POLICY = """
[tool.scrubbing.gate]
alpha = 0.05

[[tool.scrubbing.gate.rules]]
hypothesis = "claims.py::four_heads"
references = 500
budget = 1000
margin = 0.01
floor = 0.9
"""


def scrub(where, *arguments, **environment):
    """Run a command."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment}
    found = python("-m", "scrubbing.cli", *arguments, cwd=where, env=env)
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    """A project whose snapshot has been taken."""
    project = tmp_path_factory.mktemp("project")
    shutil.copy(MODEL, project / "model.safetensors")
    (project / "claims.py").write_text(CLAIMS)
    (project / "pyproject.toml").write_text(POLICY)
    taken = scrub(project, "gate", "--update-new")
    assert (taken.returncode, taken.stdout) == (0, "took  claims.py::four_heads: snapshots/ours--four-heads.json\n")
    return project


@pytest.fixture
def project(accepted, tmp_path):
    """A copy to damage."""
    copied = tmp_path / "project"
    shutil.copytree(accepted, copied)
    return copied


def changed(project, change):
    """Another model in the file, with the same architecture."""
    model = from_file(project / "model.safetensors")
    with torch.no_grad():
        change(model.weights)
    to_file(model, project / "model.safetensors")


def test_an_unchanged_tree_passes(project):
    found = scrub(project, "gate", "--out", "found", GITHUB_STEP_SUMMARY=str(project / "step.md"))
    assert found.returncode == 0, found.stdout
    assert found.stdout.startswith("PASS         ours/four-heads\n")
    assert found.stdout.endswith("1 pass; chance of any false alarm at most 0.05\n")
    assert "The weights changed" not in found.stdout
    written = sorted(path.name for path in (project / "found").iterdir() if path.suffix != ".parquet")
    assert written == ["junit.xml", "ours--four-heads.json", "page.html", "summary.md"]
    (case,) = ElementTree.parse(project / "found" / "junit.xml").getroot().iter("testcase")
    assert case.find("failure") is None
    assert {p.get("name"): p.get("value") for p in case.iter("property")}["scrub.verdict"] == "pass"
    assert (project / "step.md").read_text() == (project / "found" / "summary.md").read_text()


def test_a_perturbed_weight_of_a_claimed_head_fails(project):
    changed(project, lambda weights: weights.attention[1].W_O[0].mul_(-3))  # of head 1.0, on which the count rests
    found = scrub(project, "gate", GITHUB_ACTIONS="true")
    assert found.returncode == 1, found.stdout
    assert "fail: Scrubbed loss" in found.stdout
    assert "The weights changed: " in found.stdout
    assert "Exchanging a1.h0 by any path" in found.stdout, found.stdout
    # The annotation points at the function that defines the hypothesis.
    line = CLAIMS.splitlines().index("def four_heads():") + 1
    assert f"::error file=claims.py,line={line},title=ours/four-heads%3A fail::" in found.stdout


def test_a_feature_with_another_meaning_fails(project):
    text = (project / "claims.py").read_text()
    (project / "claims.py").write_text(text.replace("return excess_sign(data)", "return horizon_ok(data)"))
    found = scrub(project, "gate")
    assert found.returncode == 1, found.stdout
    assert "fail: Scrubbed loss" in found.stdout
    assert "Feature counted of variable count has other values on the dataset than before." in found.stdout
    assert "The weights changed" not in found.stdout


def test_another_feature_is_another_hypothesis_without_a_snapshot(project):
    text = (project / "claims.py").read_text()
    (project / "claims.py").write_text(text.replace('Variable("count", counted)', 'Variable("count", excess_sign)'))
    found = scrub(project, "gate")
    assert found.returncode == 1, found.stdout
    assert "There is no snapshot for this key (definition changed)" in found.stdout
    accepting = scrub(project, "gate", "--update", "--reason", "the feature moved to another module")
    assert accepting.returncode == 0
    assert scrub(project, "gate").returncode == 0
    stored = json.loads((project / "snapshots" / "ours--four-heads.json").read_text())
    assert stored["accepted"]["reason"] == "the feature moved to another module"


def test_a_model_that_was_fine_tuned_away_fails(project):
    """A few steps towards calling strings balanced whose count is right, whatever their order."""
    model = from_file(project / "model.safetensors")
    data = our_data(2_000, seed=5)
    tokens = torch.from_numpy(data["tokens"].astype("int64"))
    visible = torch.from_numpy(data["mask"].copy())
    label = torch.from_numpy((data["tokens"] == 3).sum(1) == (data["tokens"] == 4).sum(1)).long()
    tensors = [getattr(one, name) for one in model.weights.attention for name in ("W_Q", "W_K", "W_V", "W_O")]
    tensors += [getattr(one, name) for one in model.weights.mlps for name in ("W_in", "W_out")]
    for tensor in tensors:
        tensor.requires_grad_(True)
    adam = torch.optim.Adam(tensors, 3e-3)
    for step in range(40):
        rows = torch.arange(100) + 50 * (step % 38)
        output = model.forward(tokens[rows], visible[rows])[:, 0]
        loss = torch.nn.functional.cross_entropy(output, label[rows])
        adam.zero_grad()
        loss.backward()
        adam.step()
    for tensor in tensors:
        tensor.requires_grad_(False)
    to_file(model, project / "model.safetensors")
    found = scrub(project, "gate")
    assert found.returncode == 1, found.stdout
    assert "fail: Scrubbed loss" in found.stdout and "The weights changed: " in found.stdout


def test_few_references_are_inconclusive_and_settling_settles(project):
    text, policy = (project / "claims.py").read_text(), (project / "pyproject.toml").read_text()
    (project / "claims.py").write_text(text.replace("return excess_sign(data)", "return horizon_ok(data)"))
    (project / "pyproject.toml").write_text(policy.replace("references = 500", "references = 30"))
    few = scrub(project, "gate")
    assert few.returncode == 3, few.stdout
    assert few.stdout.startswith("INCONCLUSIVE ours/four-heads\n")
    needed = int(re.search(r"about ([\d,]+) references would settle it", few.stdout)[1].replace(",", ""))
    assert 30 < needed < 10_000
    settled = scrub(project, "gate", "--settle")
    assert settled.returncode == 1, settled.stdout
    assert "on 30 common references" not in settled.stdout


def test_a_change_within_the_margin_passes(project):
    """Of 500 references none changed; of others, one in a hundred may have, by as much as the null loses at most."""
    changed(project, lambda weights: weights.attention[1].W_O[0].mul_(1.0001))
    found = scrub(project, "gate")
    assert found.returncode == 3, found.stdout
    assert "none of 500 references shows anything" in found.stdout
    policy = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(policy.replace("margin = 0.01", "margin = 0.2"))
    accepting = scrub(project, "gate", "--update", "--reason", "margin of what 500 references can exclude")
    assert accepting.returncode == 0, accepting.stderr
    changed(project, lambda weights: weights.attention[1].W_O[0].mul_(1.0001))
    found = scrub(project, "gate")
    assert found.returncode == 0, found.stdout


def test_without_a_snapshot_it_fails_and_says_how_to_take_one(project):
    shutil.rmtree(project / "snapshots")
    found = scrub(project, "gate")
    assert found.returncode == 1
    assert "There is no snapshot; take one with --update-new." in found.stdout


def test_a_damaged_snapshot_is_named(project):
    path = project / "snapshots" / "ours--four-heads.json"
    path.write_text(path.read_text()[:500])
    found = scrub(project, "gate")
    assert (found.returncode, found.stdout) == (2, "1 not judged; chance of any false alarm at most 0.05\n")
    assert found.stderr.startswith("[SCR-FILE] snapshots/ours--four-heads.json: it is not a run record")


def test_an_illegal_hypothesis_is_neither_pass_nor_fail(project):
    text = (project / "claims.py").read_text()
    (project / "claims.py").write_text(text.replace("head(1, 0)", "head(9, 0)"))
    found = scrub(project, "gate")
    assert found.returncode == 2
    assert "[SCR-NODE]" in found.stderr


def test_the_shipped_hypotheses_pass_on_this_tree():
    """The policy of this repository, against the committed snapshots, in a Python of its own as CI runs it."""
    command = [sys.executable, "-m", "scrubbing.cli", "gate", "parens/signs", "parens/one-number"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout + found.stderr
    assert found.stdout.count("PASS ") == 2


def test_a_hypothesis_file_that_crashes_is_not_a_fail(project):
    (project / "claims.py").write_text("raise RuntimeError('a bug of ours')\n")
    found = python("-m", "scrubbing.cli", "gate", cwd=project)
    assert found.returncode == 2
    assert "RuntimeError: a bug of ours" in found.stderr


@pytest.mark.slow
def test_all_shipped_hypotheses_pass_on_this_tree():
    found = scrub(ROOT, "gate")
    assert found.returncode == 0, found.stdout
