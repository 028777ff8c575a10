"""The worst permitted assignment, against enumerations and numbers worked out by hand."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from scrubbing import (
    OUTPUT,
    Claim,
    Experiment,
    Hypothesis,
    NoFraction,
    Variable,
    anything,
    everything,
    head,
    mlp,
    node,
    reads,
)
from scrubbing.cli import app
from scrubbing.engine.demand import fixed
from scrubbing.engine.engine import Engine
from scrubbing.experiment.verdict.adversary import Adversary, adversary
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens.tiny import VOCABULARY
from scrubbing.records.beyond import AdversaryRecord
from scrubbing.report.terminal import verdict_view
from scrubbing.rng import stream_key, uniform
from scrubbing.sampling.contexts import Mode
from scrubbing.testing import Oracle, ProtocolNodes
from scrubbing.testing.random_hypotheses import halves, thirds, token_parity
from tests.verdict.toys import OUT, claimed, copy, experiment, same, shown, variable, verdict_of


def toy(data: dict[str, Any], out: Any, *claims: Claim, **how: Any) -> tuple[Adversary, Experiment]:
    names = [name for name in data if name != "label"]
    nodes = {f"{name}copy": copy(name) for name in names} | {"out": (out, {name: [f"{name}copy"] for name in names})}
    columns = {name: data[name] for name in names}
    made = experiment(nodes, columns, data["label"], references=min(400, len(data["x"])))
    return adversary(made.run(claimed(*claims)), made.executor, **how), made


def test_the_worst_of_an_unclaimed_number() -> None:
    """out = x + z, label x, z any of 0, 1, 3: an assignment is one z for all, and loses 0, 1 or 9, on any reference."""
    rng = np.random.default_rng(0)
    x, z = rng.integers(0, 9, 3000) * 1.0, rng.choice([0.0, 1.0, 3.0], 3000)
    data = {"x": x, "z": z, "label": x + z}
    found, _ = toy(data | {"label": x, "z": z}, lambda x, z: x + z, node("xcopy").direct().carries(variable("x")))
    own = (z**2).mean()  # of the model, on all inputs; on the references about as much
    assert not found.whole
    assert found.worst.mean == pytest.approx(9 - own, abs=4 * (z**2).std() / np.sqrt(200))
    assert found.average.mean == pytest.approx(0, abs=4 * (z**2).std() * np.sqrt(1 / 32 + 1 / 400))
    (unclaimed, *_) = found.held
    assert unclaimed.what == ""
    assert z[unclaimed.id] == 3


INPUTS = np.array(list(itertools.product((0, 1), (0, 1, 2), (0, 3))), dtype=np.float64)
"""x, y, z: 12 inputs."""


def enumerated() -> dict[float, float]:
    """Every assignment for out = y + 2 x z, label the same; claimed is that y's node carries x, and the other two any.

    An assignment is an input with x = 0 and one with x = 1, of which y matters, and one for the unclaimed, of which x
    and z matter: 3 * 3 * 4 of them differ. Returns the mean loss over all inputs, and how likely it is.
    """
    found: dict[float, float] = {}
    for first, second, (x, z) in itertools.product(range(3), range(3), itertools.product((0, 1), (0, 3))):
        losses = [((second if a else first) + 2 * x * z - (b + 2 * a * c)) ** 2 for a, b, c in INPUTS]
        found[float(np.mean(losses))] = found.get(float(np.mean(losses)), 0.0) + 1 / 36
    return found


def test_enumeration_of_all_assignments() -> None:
    """All inputs are references, so that losses of assignments are exact: the worst of many is the enumerated one."""
    x, y, z = INPUTS.T
    data = {"x": x, "y": y, "z": z, "label": y + 2 * x * z}
    claim = node("ycopy").direct().carries(variable("x"))
    found, _ = toy(data, lambda x, y, z: y + 2 * x * z, claim, assignments=600)
    assert found.whole
    wanted = enumerated()
    assert found.worst.mean == pytest.approx(max(wanted), abs=1e-6)
    mean = sum(loss * share for loss, share in wanted.items())
    spread = np.sqrt(sum((loss - mean) ** 2 * share for loss, share in wanted.items()) / 600)
    assert found.average.mean == pytest.approx(mean, abs=4 * spread)
    assert found.stochastic.mean == pytest.approx(mean, abs=4 * found.stochastic.se)
    # What stood in agrees with what it stood in for, and is the worst there is.
    held = {(one.what, one.value): INPUTS[one.id] for one in found.held}
    assert {key[1] for key in held} == {"", "0", "1"}
    first, second, other = (held[key] for key in sorted(held, key=lambda key: (not key[0], key[1])))
    assert (first[0], second[0]) == (0, 1)
    losses = [((second if a else first)[1] + 2 * other[0] * other[2] - (b + 2 * a * c)) ** 2 for a, b, c in INPUTS]
    assert np.mean(losses) == pytest.approx(max(wanted))


def test_what_is_sufficient_input_by_input_has_no_worst() -> None:
    """out = 2 x, of two copies: whatever stands in for an x has it."""
    x = np.random.default_rng(0).integers(0, 2, 3000) * 1.0
    claims = [node(f"{name}copy").direct().carries(variable("x")) for name in "xc"]
    found, _ = toy({"x": x, "c": x, "label": 2 * x}, lambda x, c: x + c, *claims)
    assert (found.worst.mean, found.average.mean, found.stochastic.mean) == (0, 0, 0)


def test_the_choice_flatters_no_adversary() -> None:
    """Where all assignments are as bad, and references differ, the worst is no worse than the average: the label is
    noise to x, and each z moves the output alike for all but a random half of the inputs.
    """
    rng = np.random.default_rng(1)
    x = rng.normal(size=4000)
    data = {"x": x, "z": rng.integers(0, 10**6, 4000) * 1.0, "label": x}

    def out(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Moved by a hash of x and z: up or down by chance."""
        return x + torch.where(torch.sin(1e4 * x + 37.0 * z) > 0, 1.0, 0.0)

    biased, honest = [], []
    for start in range(0, 4000, 800):
        part = {name: values[start : start + 800] for name, values in data.items()}
        found, _ = toy(part, out, node("xcopy").direct().carries(Variable("x", everything)))
        honest.append(found.worst.mean - found.average.mean)
        biased.append(found.worst.se)
    assert abs(np.mean(honest)) < 3 * np.sqrt(np.mean(np.square(biased)) / len(biased))


def test_a_model_that_is_no_better_than_the_null() -> None:
    rng = np.random.default_rng(0)
    data = {"x": rng.normal(size=500), "label": rng.normal(size=500)}
    with pytest.raises(NoFraction, match="SCR-FRACTION"):
        toy(data, same, node("xcopy").direct().carries(Variable("x", anything)))


def test_one_assignment_for_all_references_is_what_the_oracle_computes(tiny_model: Any) -> None:
    """Draws are a function of the value that must agree, known by the first input that has it, and of the draw."""
    model = tiny_model("native classifier")
    data = random_inputs(VOCABULARY, 3, padded=False, n=9, seed=4)
    half, third, parity = Variable("half", halves), Variable("third", thirds), Variable("parity", token_parity)
    made = Hypothesis(
        "h",
        "As claimed.",
        OUTPUT.carries(
            OUT,
            head(1, 0).direct().carries(half, reads("v").carries(third)),
            head(1, 1).direct().carries(third, reads("k", each=True).carries(parity)),
            mlp(1).direct().carries(Variable("any", anything), group="g"),
            mlp(0).direct().carries(Variable("any", anything), group="g"),
        ),
    )
    engine = Engine(model, data, fixed((0, 1, 2)))
    found = engine.outputs(engine.compile(made, Mode(shared=True)), np.arange(9), draws=4, seed=7)
    oracle = Oracle(ProtocolNodes(model), engine.graph, data, model)

    def choose(name: str, options: list[int], reference: int, draw: int, counter: int) -> int:
        value = np.array([data.ids[options[0]]])
        return options[int(float(uniform(stream_key(7, name), value, draw, counter)[0]) * len(options))]

    for row, draw in itertools.product(range(9), range(4)):
        assert torch.allclose(found[draw, row], oracle.output(made, row, draw, choose).float(), atol=1e-5)
    usual = engine.outputs(engine.compile(made, Mode()), np.arange(9), draws=4, seed=7)
    assert not torch.allclose(found, usual, atol=1e-3)


def test_the_record_and_what_is_shown() -> None:
    x, y, z = INPUTS.T
    data = {"x": x, "y": y, "z": z, "label": y + 2 * x * z}
    claims = node("ycopy").direct().carries(variable("x"))
    _, made = toy(data, lambda x, y, z: y + 2 * x * z, claims)
    result = made.verdict(claimed(claims))
    found = made.adversary(result)
    assert AdversaryRecord.model_validate_json(found.model_dump_json()) == found
    assert (found.worst.low, found.worst.se) == (None, 0)
    assert found.worst.value < found.average.value
    record = result.record().model_copy(update={"tested": verdict_of(result).model_copy(update={"adversary": found})})
    said = shown(verdict_view(record))
    assert "with the worst of 32 assignments that were tried, on all inputs in scope" in said
    assert "what is unclaimed" in said


def test_the_command() -> None:
    """Both parts are left out unless asked for, and are in the record."""
    runner = CliRunner()
    options = ["--references", "300", "--json"]
    found = runner.invoke(app, ["verdict", "parens/two-tests", *options, "--adversary", "--complete"])
    assert found.exit_code == 0, found.output
    tested = json.loads(found.stdout)["tested"]
    assert tested["adversary"]["tried"] == 32
    assert tested["complete"]["removed"]
