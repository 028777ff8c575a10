"""Names of random streams, from structure: what a claim is about and what draws agree on, never how it is worded.

The page docs/design/streams.md says what enters the name of a stream, and why.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Positions
from scrubbing.guards import class_of
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.codec import encode, parts_of
from scrubbing.parts import Dictionary
from scrubbing.samplers import Agree, Sampler, Unclaimed
from scrubbing.storable import short_name

ROOT = "root"
"""Name of the stream of the claim on the output, which draws nothing."""


class Streams:
    """Names the streams of one hypothesis on one dataset.

    Args:
        data: in scope; what a feature is follows from which of its inputs agree.
        positions: length of the position axis.
    """

    def __init__(self, data: Dataset, positions: int) -> None:
        self.data = data
        self.positions = positions
        self._below: dict[tuple[int, str], tuple[Claim, list[str]]] = {}
        """By identity, as the hash of a claim goes through all that is claimed below it; a claim kept is no other."""

    def below(self, claim: Claim, name: str) -> list[str]:
        """The names of a claim's children: of its own name, what they say, and which of equal ones each is."""
        key = id(claim), name
        if key not in self._below:
            said = [self._said(child) for child in claim.children]
            self._below[key] = claim, [_digest(name, one, said[:i].count(one)) for i, one in enumerate(said)]
        return self._below[key][1]

    def drawn(self, claim: Claim, name: str) -> str:
        """The stream a claim's input is drawn from; claims of one group share one."""
        return name if claim.group is None else _digest("group", claim.group)

    def unclaimed(self, rule: Unclaimed, name: str, node: Node | None) -> str:
        """The stream of what a claim leaves unclaimed; one per producing node if it is drawn separately."""
        said = self._drawing(rule.sampler, rule.feature)
        return _digest(name, "unclaimed", said, None if node is None else self._structure(node))

    def _said(self, claim: Claim) -> Any:
        sampler = claim.sampler or Agree()
        drawing = self._drawing(sampler, sampler.compares(claim.variable.agrees_on()))
        return [self._structure(claim.targets), drawing, claim.exclude_self]

    def _drawing(self, sampler: Sampler, feature: Feature) -> Any:
        # Whether a claim says what it agrees on, or leaves that to its variable, is the same claim.
        return self._structure((Agree() if isinstance(sampler, Agree) else sampler, feature))

    def _structure(self, value: Any) -> Any:
        return encode(value, self._instead)

    def _instead(self, value: Any) -> Any:
        """Replace words: features and chosen positions by their values on the dataset, functions by their own name,
        dictionaries by their content.

        The module of a function or class is left out: a file has another name when it is loaded from another place.
        """
        kind = class_of(value)
        if isinstance(value, Feature):
            return {"agree": digest_of(value, self.data)}
        if isinstance(value, Positions) and value.chosen_by is not None:
            chosen = self.data.remember(("positions", value), lambda: value.chosen(self.data, self.positions))
            packed = np.packbits(chosen[np.argsort(self.data.ids)])
            return {"positions": hashlib.blake2b(packed.tobytes(), digest_size=8).hexdigest()}
        if isinstance(value, Dictionary):
            return {"dictionary": value.digest}
        if hasattr(kind, "__dataclass_fields__") and short_name(kind) is None:
            return {"class": kind.__name__} | {
                field: self._structure(inner) for field, inner in parts_of(value).items()
            }
        if callable(value) and not hasattr(kind, "__dataclass_fields__"):
            return {"function": getattr(value, "__name__", kind.__name__)}
        return None


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()
