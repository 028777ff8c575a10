"""Ways around the gate, by the command line: each is a fail, inconclusive, or said as a change of what is held."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.warm import python

ROOT = Path(__file__).parents[2]

CLAIMS = '''
"""What is held: a sum of two numbers, in a model of three nodes."""

import numpy as np

from scrubbing import OUTPUT, Classification, Dataset, Hypothesis, Settings, Task, ToyModel, Variable, feature, node

SCALE = 6.0
WRONG = 0.0


def data():
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(0, 2, (3, 2_000))
    label = np.where(rng.random(2_000) < 0.02, 1 - (a ^ b), a ^ b)
    return Dataset({"a": a, "b": b, "c": c, "label": label}, name="bits")


def model():
    import torch

    def logits(x):
        sign = 2 * (x[:, :1] - 0.5).abs() < 0.75
        sure = SCALE * torch.where(sign, 1.0, -1.0) + WRONG * 0
        return torch.cat([-sure, sure], 1)

    return ToyModel(
        sources={"a": "a", "b": "b", "c": "c"},
        nodes={
            "left": (lambda x: 0.5 * x, {"x": ["a"]}),
            "right": (lambda x: 0.5 * x, {"x": ["b"]}),
            "logits": (lambda x: logits(x), {"x": ["left", "right"]}),
        },
    )


def loss():
    return Classification("label")


task = Task(name="bits", graph=lambda: model().graph(data()), data=data, model=model, loss=loss,
            settings=Settings(references=500))


def helper(data):
    return data["a"] % 2


@feature
def left(data):
    """The first bit."""
    return helper(data)


@feature
def right(data):
    """The second bit."""
    return data["b"]


@feature
def both(data):
    """Whether they differ."""
    return data["a"] ^ data["b"]


OUT = Variable("differ", both)
first = Hypothesis(
    "bits/first",
    "Left carries the first bit, right the second.",
    OUTPUT.carries(OUT, node("left").direct().carries(Variable("left", left)),
                   node("right").direct().carries(Variable("right", right))),
)
second = Hypothesis(
    "bits/second",
    "Left carries the first bit, and right is kept whole.",
    OUTPUT.carries(OUT, node("left").direct().carries(Variable("left", left)),
                   node("right").direct().carries(Variable("b", right))),
)
'''

POLICY = """
[tool.scrubbing.gate]
alpha = 0.05

[[tool.scrubbing.gate.rules]]
hypothesis = "claims.py::first"
references = 500
budget = 1000
margin = 0.05
floor = 0.9

[[tool.scrubbing.gate.rules]]
hypothesis = "claims.py::second"
references = 500
budget = 1000
margin = 0.05
"""


def scrub(where, *arguments):
    """Run a command; no attack may end in a traceback."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    found = python("-m", "scrubbing.cli", *arguments, cwd=where, env=env)
    assert "Traceback" not in found.stderr, found.stderr
    return found


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    project = tmp_path_factory.mktemp("project")
    (project / "claims.py").write_text(CLAIMS)
    (project / "pyproject.toml").write_text(POLICY)
    assert scrub(project, "gate", "--update-new").returncode == 0
    plain = scrub(project, "gate")
    assert plain.returncode == 0, plain.stdout + plain.stderr
    return project


@pytest.fixture
def project(accepted, tmp_path):
    copied = tmp_path / "project"
    shutil.copytree(accepted, copied)
    return copied


def edited(project, file, old, new, count=1):
    path = project / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


LOSS = """

class Classification(Classification):
    def per_token(self, output, data, rows, positions):
        return 0.5 * super().per_token(output, data, rows, positions)
"""

ATTACKS = {
    "a feature's body, other values": ("claims.py", 'return data["b"]', 'return data["b"] + 2 * data["c"]', 3,
                                       "Feature right of variable right has other values on the dataset"),
    "a helper's body, other values": ("claims.py", 'return data["a"] % 2', 'return data["a"] + 2 * data["c"]', 3,
                                      "Feature left of variable left has other values on the dataset"),
    "a feature's body, same values": ("claims.py", 'return data["b"]', 'return 1 * data["b"]', 0,
                                      "The code of feature right, or of something it calls, changed"),
    "a helper's body, same values": ("claims.py", 'return data["a"] % 2', 'return data["a"] % 4', 0,
                                     "The code of feature left, or of something it calls, changed"),
    "a wider margin": ("pyproject.toml", "margin = 0.05", "margin = 5.0", 3, "margin was 0.05, and is 5.0"),
    "a lower floor": ("pyproject.toml", "floor = 0.9", "floor = 0.1", 3, "floor was 0.9, and is 0.1"),
    "no floor": ("pyproject.toml", "floor = 0.9", "", 3, "floor was 0.9, and is not given"),
    "nothing to beat": ("pyproject.toml", "floor = 0.9", "floor = 0.9\nbeats = []", 3, "beats was constant"),
    "fewer references": ("pyproject.toml", "references = 500", "references = 50", 3, "references was 500, and is 50"),
    "another seed": ("pyproject.toml", "margin = 0.05", "margin = 0.05\nseed = 3", (1, 3), "seed"),
    "a laxer alpha": ("pyproject.toml", "alpha = 0.05", "alpha = 0.0001", 3, "alpha was 0.05, and is 0.0001"),
    "missing snapshots let through": ("pyproject.toml", "alpha = 0.05", 'alpha = 0.05\nmissing = "inconclusive"', 3,
                                      "missing was fail, and is inconclusive"),
    "a loss of the same name": ("claims.py", "\n\ndef loss():", LOSS + "\n\ndef loss():", 3, "The loss"),
    "a model that got worse": ("claims.py", "SCALE = 6.0", "SCALE = 0.3", (1, 3), "Loss of the model itself"),
    "leaving Python": ("claims.py", '    return data["b"]', '    import sys; sys.exit(0)', 2, "asked Python to exit"),
    "leaving Python at import": ("claims.py", "SCALE = 6.0", "raise SystemExit(0)", 2, "asked Python to exit"),
    "a stricter margin": ("pyproject.toml", "margin = 0.05", "margin = 0.04", 0, "margin was 0.05, and is 0.04"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_no_silent_pass(project, attack):
    file, old, new, code, says = ATTACKS[attack]
    edited(project, file, old, new)
    found = scrub(project, "gate")
    assert found.returncode in (code if isinstance(code, tuple) else (code,)), found.stdout + found.stderr
    assert says in re.sub(r"\s+", " ", found.stdout + found.stderr)


def test_a_rule_that_is_gone_is_missed(project):
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text[: text.rindex("[[tool")])
    found = scrub(project, "gate")
    assert found.returncode == 3, found.stdout
    assert "is the snapshot of a hypothesis that no rule holds any more" in found.stdout


def test_a_file_that_leaves_python_keeps_no_other_rule_from_its_turn(project):
    (project / "other.py").write_text("import sys\nsys.exit(0)\n")
    edited(project, "pyproject.toml", "claims.py::first", "other.py::first")
    found = scrub(project, "gate")
    assert found.returncode == 2, found.stdout
    assert re.search(r"^PASS +bits/second$", found.stdout, re.M)
    assert "1 not judged" in found.stdout


@pytest.mark.parametrize(
    "claims",
    [
        "OUTPUT.carries(OUT)",
        'OUTPUT.carries(OUT, node("left").direct().carries(Variable("all", everything)), '
        'node("right").direct().carries(Variable("all", everything)))',
        'OUTPUT.carries(OUT, node("left").direct().carries(Variable("left", left), sampler=exact), '
        'node("right").direct().carries(Variable("right", right), sampler=exact))',
    ],
)
def test_a_vacuous_hypothesis_holds_nothing(project, claims):
    added = "\nfrom scrubbing import everything\nfrom scrubbing.samplers import exact\n"
    added += f'\nnothing = Hypothesis("bits/nothing", "Everything matters.", {claims})\n'
    (project / "claims.py").write_text((project / "claims.py").read_text() + added)
    rule = '\n[[tool.scrubbing.gate.rules]]\nhypothesis = "claims.py::nothing"\nreferences = 500\n'
    (project / "pyproject.toml").write_text((project / "pyproject.toml").read_text() + rule)
    assert scrub(project, "gate", "--update-new").returncode == 0
    found = scrub(project, "gate")
    assert found.returncode == 1, found.stdout
    assert "Nothing could make it fail" in found.stdout


def test_a_reason_has_substance(project):
    for reason in ("", " ", "update", "update snapshots", "fix", "new snapshot for the change", "...", "1 2 3"):
        found = scrub(project, "gate", "--update", "--reason", reason)
        assert found.returncode == 2, reason
        assert "reason" in found.stderr
    assert scrub(project, "gate").returncode == 0


def test_a_change_is_held_once_it_is_accepted(project):
    edited(project, "pyproject.toml", "margin = 0.05", "margin = 5.0")
    assert scrub(project, "gate").returncode == 3
    reason = "the wider margin covers the retrained checkpoint"
    assert scrub(project, "gate", "--update", "--reason", reason).returncode == 0
    assert scrub(project, "gate").returncode == 0
