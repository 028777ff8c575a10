"""What the docs of version 0.1 showed keeps working, with a warning that names the new spelling."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from scrubbing import OUTPUT, Hypothesis, Variable, everything

MOVED = {
    "scrubbing.models.protocol.Inputs": "scrubbing.models.protocol.ModelInputs",
    "scrubbing.records.inputs.Inputs": "scrubbing.records.inputs.InputTable",
    "scrubbing.records.store.found": "scrubbing.records.store.records_in",
    "scrubbing.hypothesis.parts.neurons": "scrubbing.parts.neurons",
    "scrubbing.hypothesis.samplers.fixed": "scrubbing.samplers.fixed",
}


def at(address: str) -> Any:
    module, _, name = address.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("old", MOVED)
def test_a_name_that_moved_says_where_it_is_now(old: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"^{old} is now {MOVED[old]}$") as warned:
        found = at(old)
    assert found is at(MOVED[old])
    assert warned[0].filename == __file__, "the warning points at the caller's line"


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name in MOVED}))
def test_a_name_that_never_was_is_an_ordinary_error(module: str) -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        at(f"{module}.nothing")


def test_the_sentence_of_a_hypothesis_was_its_claim() -> None:
    made = Hypothesis("h", "It is so.", OUTPUT.carries(Variable("output", everything)))
    with pytest.warns(DeprecationWarning, match="Hypothesis.claim is now called sentence"):
        assert made.claim == "It is so."
    old: dict[str, Any] = {"name": "h", "claim": "It is so.", "correspondence": made.correspondence}
    with pytest.warns(DeprecationWarning, match=r"Hypothesis\(claim=\) is now called sentence="):
        assert Hypothesis(**old) == made


def test_a_model_of_version_0_1_still_scrubs() -> None:
    from scrubbing import Dataset, ToyModel, transformer_graph
    from scrubbing.models.protocol import Model

    with pytest.warns(DeprecationWarning, match="is now called") as warned:

        class Old(Model):
            def graph(self, data: Dataset) -> Any:
                return transformer_graph(layers=1, heads=1, length=1)

            def inputs(self, data: Dataset) -> Any:
                raise NotImplementedError

            def source(self, *given: Any) -> Any:
                raise NotImplementedError

            def run(self, *given: Any) -> Any:
                raise NotImplementedError

            def raw_width(self, *given: Any) -> int:
                return 1

            def reference(self, inputs: Any, rows: Any) -> Any:
                return "its own"

            def lens(self, node: Any, slot: str) -> str:
                return "norm"

    said = [str(one.message) for one in warned]
    assert said == ["Old.reference is now called own_output", "Old.lens is now called norm_key"]
    old: Any = Old()
    assert old.own_output(None, None) == "its own"
    assert old.norm_key(None, "x") == "norm"
    with pytest.warns(DeprecationWarning, match="reference is now called own_output"):
        assert ToyModel.reference(old, None, None) == "its own"
