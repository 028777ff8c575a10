"""The table of families: each variant's logits are those of `transformers`, and the page says what was measured."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import transformers

from scrubbing import ModelMismatch, from_state_dict
from scrubbing.graph.configs import FAMILIES as GRAPHS
from scrubbing.graph.configs import config_graph
from scrubbing.models.check import random_inputs
from scrubbing.models.transformer_lens import families
from scrubbing.models.transformer_lens.encoders import ENCODERS
from scrubbing.models.transformer_lens.tiny import FURTHER, HUGGING_FACE
from scrubbing.testing import check_model

from .families import (
    FAMILIES,
    LIMITS,
    PAGE,
    REFUSED_VARIANTS,
    VOCABULARY,
    inputs,
    loaded,
    measured,
    module_of,
    refusals,
    shape,
)

VARIANTS = [(family, one) for family, (_, _, variants) in FAMILIES.items() for one in variants]


def stated() -> dict[str, dict[str, float]]:
    """The numbers on the page, by family."""
    found: dict[str, dict[str, float]] = {}
    for family in FAMILIES:
        (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(shape(family))]
        numbers = row[len(shape(family)) :].strip(" |").split(" | ")
        found[family] = dict(zip(LIMITS, map(float, numbers), strict=True))
    return found


def within(found: dict[str, float], family: str) -> None:
    """Below the limits, and no larger than the page says but for what another machine's order of sums does."""
    for key, limit in LIMITS.items():
        assert found[key] <= limit, (family, key, found[key])
        assert found[key] <= 10 * stated()[family][key], (family, key, found[key], stated()[family][key])


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family: str) -> None:
    within(measured(family, "plain"), family)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_variants(family: str, variant: str) -> None:
    within(measured(family, variant), family)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "variant"), VARIANTS)
def test_variants_in_the_engine(family: str, variant: str) -> None:
    """Random hypotheses, engine against oracle."""
    module = module_of(family, FAMILIES[family][2][variant])
    model = loaded(module)
    check_model(model, inputs(module, 4, padded=True, n=12), cases=2, references=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_follows_from_the_config(family: str) -> None:
    """In every variant that changes it, and where the config leaves out what is at its default."""
    _, _, variants = FAMILIES[family]
    for changed in ({}, *(variants[one] for one in ("sequential", "parallel") if one in variants)):
        module = module_of(family, changed)
        data = random_inputs(VOCABULARY, 4, padded=True)
        for config in (
            module.config.to_dict(),
            {**module.config.to_diff_dict(), "model_type": module.config.model_type},
        ):
            assert config_graph(config, 4, padded=True) == loaded(module).graph(data)


@pytest.mark.parametrize(("family", "variant"), REFUSED_VARIANTS)
def test_variants_that_are_refused(family: str, variant: str) -> None:
    changed, reason = REFUSED_VARIANTS[family, variant]
    with pytest.raises(ModelMismatch, match=reason) as caught:
        loaded(module_of(family, changed))
    assert caught.value.codes == ("SCR-FAMILY",)


@pytest.mark.parametrize("name", families.REFUSED)
def test_families_that_are_refused(name: str) -> None:
    import transformers

    kind: Any = getattr(transformers, name)
    config = {"model_type": kind.config_class.model_type, "architectures": [name]}
    with pytest.raises(ModelMismatch, match=re.escape(f"{name} is not supported: {families.REFUSED[name]}.")) as caught:
        from_state_dict({"x": torch.ones(1)}, config)
    assert caught.value.codes == ("SCR-FAMILY",)


def test_the_page_has_a_row_for_each() -> None:
    """Of every family that is accepted, by the class that is accepted, and of everything that is refused."""
    assert {kind for kind, _, _ in FAMILIES.values()} == {*families.FAMILIES, *ENCODERS}
    assert {kind for kind, _ in (HUGGING_FACE | FURTHER).values()} == set(families.FAMILIES)
    assert set(GRAPHS) == {getattr(transformers, kind).config_class.model_type for kind, _, _ in FAMILIES.values()}
    assert not {*families.FAMILIES, *ENCODERS} & set(families.REFUSED)
    assert refusals() in PAGE.read_text()
    for row in stated().values():
        for key, number in row.items():
            assert 0 < number <= LIMITS[key]


def test_a_wrong_reading_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the norms of its queries and keys, Qwen3 is Llama, and no Qwen3."""

    def none(*_: object) -> None:
        return None

    monkeypatch.setattr(families, "_head_norm", none)
    with pytest.raises(ModelMismatch, match="SCR-CHECK"):
        loaded(module_of("Qwen3", {}))
