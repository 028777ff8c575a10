"""A small world in which everything illegal happens, and the one way to assert that something was refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from scrubbing import OUTPUT, Claim, Dataset, Feature, Hypothesis, ScrubbingError, Variable, everything, feature
from scrubbing import transformer_graph as graph_of

TOKENS = np.arange(72).reshape(12, 6) * 7 % 50
LENGTHS = np.array([6, 5, 4, 3] * 3)


@feature
def parity(data: Dataset) -> Any:
    """Two classes."""
    return data.ids % 2


@feature
def thirds(data: Dataset) -> Any:
    """Three classes."""
    return data.ids % 3


@feature(per="position")
def token_parity(data: Dataset) -> Any:
    """Two classes at each position."""
    return data["tokens"] % 2


class World:
    """Twelve inputs of six tokens, a two-layer graph with and without padding, and a few variables."""

    def __init__(self, models: Callable[[str], Any]) -> None:
        self.models = models
        self.data = Dataset({"tokens": TOKENS, "label": np.arange(12) % 2}, name="numbers")
        self.padded = self.data.with_columns(mask=np.arange(6)[None] < LENGTHS[:, None])
        sizes: dict[str, Any] = {"d_model": 8, "d_mlp": 6, "positions": 6, "causal": True}
        self.graph = graph_of(2, 2, **sizes, padded=False)
        self.padded_graph = graph_of(2, 2, **sizes, padded=True)
        self.post_norm_graph = graph_of(2, 2, **sizes, padded=False, post_norms=True)
        self.output = Variable("output", everything)
        self.parity, self.thirds = Variable("parity", parity), Variable("thirds", thirds)
        self.token_parity = Variable("token parity", token_parity)

    def variable(self, name: str, compute: Callable[[Dataset], Any], **options: Any) -> Variable:
        """A variable with a feature of its own name."""
        return Variable(name, feature(name=name, **options)(compute))

    def never(self) -> Feature:
        """A scope that leaves nothing."""
        return feature(name="never")(lambda data: data.ids < 0)

    def early(self) -> Feature:
        """A scope that leaves the first four inputs."""
        return feature(name="early")(lambda data: data.ids < 4)

    def hypothesis(self, *claims: Claim, scope: Feature | None = None) -> Hypothesis:
        """A hypothesis with these claims under its root."""
        return Hypothesis("test/claims", "What is claimed.", OUTPUT.carries(self.output, *claims), scope)

    def check(self, *claims: Claim, padded: bool = False, scope: Feature | None = None) -> None:
        """Check them without a model."""
        graph, data = (self.padded_graph, self.padded) if padded else (self.graph, self.data)
        self.hypothesis(*claims, scope=scope).check(graph, data)

    def scrub(self, *claims: Claim, scope: Feature | None = None, **changed: Any) -> Any:
        """Scrub them on a tiny classifier, or on the data, model and loss given instead."""
        from scrubbing import Classification, scrub

        given = {
            "data": self.data,
            "model": self.models("native classifier"),
            "loss": Classification("label"),
            **changed,
        }
        return scrub(self.hypothesis(*claims, scope=scope), **given)


@pytest.fixture(scope="session")
def world(tiny_model: Callable[[str], Any]) -> World:
    """See `World`; its model is built when first used."""
    return World(tiny_model)


@pytest.fixture
def refused(snapshot: Any) -> Callable[..., None]:
    """Assert that a call is refused by exactly this exception and these codes, in the words of the stored snapshot.

    The words of other libraries change with their releases and are left out; so is what `hide` matches.
    """

    def check(
        kind: type[ScrubbingError], codes: str, call: Callable[[], Any], hide: dict[str, str] | None = None
    ) -> None:
        with pytest.raises(kind) as caught:
            call()
        assert type(caught.value) is kind
        assert " ".join(caught.value.codes) == codes
        told = re.sub(r"\((\w+Error): .*\)", r"(\1: <its words>)", str(caught.value))
        told = re.sub(r", in tests/\S+, line \d+: `.*`", ", in FILE, line N: `CODE`", told)
        for pattern, shown in (hide or {}).items():
            told = re.sub(pattern, shown, told)
        assert told == snapshot

    return check
