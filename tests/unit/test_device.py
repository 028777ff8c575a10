"""Names of devices, what is said of them, and that nothing of it touches a run on the CPU."""

from __future__ import annotations

import pytest
import torch

from scrubbing import Experiment, SquaredError, UsageError, device
from scrubbing.experiment.settings import Settings
from scrubbing.gate.snapshots import place
from scrubbing.models.precision import tolerance
from scrubbing.models.transformer_lens import from_bridge

H100 = "NVIDIA H100 80GB HBM3, CUDA 12.8, TF32 off"


@pytest.mark.parametrize("written", ["auto", "cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu(written, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.resolve(written) == torch.device("cpu")
    assert device.accelerator(torch.device("cpu"), tf32=True) is None


@pytest.mark.parametrize("written", ["", "GPU", "cuda:", "cuda:-1", "cuda 1", "cuda:0:1", 1, b"cpu", None])
def test_what_is_no_name(written):
    if written is not None:
        with pytest.raises(UsageError, match="SCR-DEVICE"):
            Settings(device=written)
    if isinstance(written, str):
        with pytest.raises(UsageError, match="SCR-DEVICE"):
            device.resolve(written)


def test_what_is_said_of_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    assert device.accelerator(torch.device("cuda:0"), tf32=False) == H100
    assert device.accelerator(torch.device("cuda:0"), tf32=True) == H100.replace("off", "on")
    assert device.accelerator(torch.device("mps:0"), tf32=False).startswith("MPS, macOS")


@pytest.mark.parametrize(
    ("release", "told"), [("2.8.0", True), ("2.9.0", False), ("2.13.0+cpu", False), ("3.0", False)]
)
def test_releases_are_compared_as_numbers(release, told, monkeypatch):
    monkeypatch.setattr(torch, "__version__", release)
    assert bool(device.outdated("mps")) == told
    assert not device.outdated("cuda")


@pytest.mark.parametrize("before", ["highest", "high", "medium"])
def test_tf32_is_off_unless_it_is_asked_for(before):
    """Whatever switched it on, and afterwards it is as it was."""
    kept = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(before)
        for asked, within in ((False, "highest"), (True, "high")):
            with device.multiplying(torch.device("cuda"), asked):
                assert torch.get_float32_matmul_precision() == within
            assert torch.get_float32_matmul_precision() == before
            with device.multiplying(torch.device("cpu"), asked):
                assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision(kept)


def test_tolerance_is_that_of_its_bits(monkeypatch, toy, tiny_bridge):
    model = from_bridge(tiny_bridge("native LN"))
    exact = tolerance(model)
    model.device = torch.device("cuda")
    assert tolerance(model) == exact
    with device.multiplying(model.device, tf32=True):
        assert tolerance(model) == 0.02  # float16's, which has as many bits


def test_snapshots_of_different_gpus_are_kept_apart(tmp_path):
    """Those of the CPU stay where they were."""
    assert place(tmp_path, "a/b", "float32", "cpu").name == "a--b.json"
    assert place(tmp_path, "a/b", "bfloat16", "cpu").name == "a--b.bfloat16-cpu.json"
    found = {place(tmp_path, "a/b", "float32", "cuda", told) for told in (H100, H100.replace("off", "on"), None)}
    assert {path.name for path in found} == {
        "a--b.float32-cuda.json",
        "a--b.float32-cuda-nvidia-h100-80gb-hbm3-cuda-12-8-tf32-off.json",
        "a--b.float32-cuda-nvidia-h100-80gb-hbm3-cuda-12-8-tf32-on.json",
    }


def test_a_run_that_names_the_cpu_is_the_run_that_names_nothing(toy):
    plain, named = toy.run("x").record(), toy.run("x", device="cpu").record()
    assert plain.choices == named.choices and plain.losses == named.losses
    assert (named.choices.device, named.choices.accelerator) == ("cpu", None)
    experiment = Experiment(toy.model, toy.data, SquaredError())
    assert experiment.but(device="cpu").model is toy.model
