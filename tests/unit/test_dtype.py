"""The precision of a run: asked for in the settings or on the command line, and said in the record."""

from __future__ import annotations

import json

import pytest
import torch
from typer.testing import CliRunner

from scrubbing import Experiment, ModelMismatch, SquaredError, UsageError
from scrubbing.cli import app
from scrubbing.device import PRECISIONS
from scrubbing.experiment.settings import Settings
from scrubbing.models.precision import TOLERANCE

COMMANDS = ("bench", "run", "verdict", "why", "plan", "search", "gate")


def test_the_precisions_are_those_that_models_are_scrubbed_in():
    assert {getattr(torch, name) for name in PRECISIONS} == set(TOLERANCE)


@pytest.mark.parametrize("command", COMMANDS)
def test_wherever_there_is_a_device_there_is_a_precision(command):
    told = CliRunner().invoke(app, [command, "--help"]).output
    assert "--device" in told and "--dtype" in told


def test_no_command_has_one_without_the_other():
    for command in app.registered_commands:
        name = command.name or command.callback.__name__
        told = CliRunner().invoke(app, [name, "--help"]).output
        assert ("--device" in told) == ("--dtype" in told), name


@pytest.mark.parametrize("wanted", ["float8", "torch.float32", 32])
def test_another_precision_is_refused(wanted):
    with pytest.raises(UsageError, match="SCR-DTYPE"):
        Settings(dtype=wanted)


def test_a_run_in_another_precision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = ["run", "parens/two-tests", "--references", "20", "--draws", "1", "--json"]
    found = {name: CliRunner().invoke(app, [*run, "--dtype", name]) for name in ("float64", "bfloat16")}
    assert [one.exit_code for one in found.values()] == [0, 0], [one.output for one in found.values()]
    records = {name: json.loads(one.stdout) for name, one in found.items()}
    assert [one["choices"]["dtype"] for one in records.values()] == list(records)
    losses = [one["losses"]["scrubbed"]["value"] for one in records.values()]
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.2)


def test_a_model_of_functions_is_not_converted(toy):
    same = str(toy.model.dtype).removeprefix("torch.")
    assert Experiment(toy.model, toy.data, SquaredError(), dtype=same).model is toy.model
    with pytest.raises(ModelMismatch, match="SCR-DTYPE"):
        Experiment(toy.model, toy.data, SquaredError(), dtype="float16")
