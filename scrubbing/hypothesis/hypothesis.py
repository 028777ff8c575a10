"""A hypothesis: what it says, whether it can be tested, how it is stored and how it is shown."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

from scrubbing.data.dataset import Dataset
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.guards import is_dict, is_list
from scrubbing.hypothesis.json_form import dump, load
from scrubbing.hypothesis.legality import legal
from scrubbing.hypothesis.printing import tree_text
from scrubbing.hypothesis.source import source
from scrubbing.hypothesis.statement import Statement
from scrubbing.renamed import deprecated
from scrubbing.shown import Shown


@dataclass(frozen=True)
class Hypothesis(Statement, Shown):
    """A hypothesis about how a model computes something, and on which inputs.

    An immutable value. Printing it shows the tree of claims; `to_json` and `from_json` store it, features and other
    functions by import path.

    Args:
        name: of the hypothesis, such as `parens/signs`.
        sentence: what is claimed, in words.
        correspondence: the tree of claims, the output first.
        scope: boolean feature that is true on the inputs that the hypothesis is about; references and draws both come
            from these.
        unclaimed: how inputs are drawn for what no claim accounts for: a sampler of `scrubbing.samplers`, or
            `separate(...)` of one; claims may override it. The default is one uniform draw for each claim.

    Raises:
        UsageError: SCR-CLAIM, SCR-SCOPE or SCR-SAMPLER, an argument is not of the type expected.
    """

    if not TYPE_CHECKING:

        @wraps(Statement.__init__)
        def __init__(self, *fields: Any, **named: Any) -> None:
            if "claim" in named:
                deprecated("Hypothesis(claim=) is now called sentence=")
                named["sentence"] = named.pop("claim")
            super().__init__(*fields, **named)

    @property
    def claim(self) -> str:
        """Deprecated: `sentence`."""
        deprecated("Hypothesis.claim is now called sentence")
        return self.sentence

    def check(self, graph: ModelGraph, data: Dataset | None = None) -> None:
        """Raise if the hypothesis cannot be tested on this model graph (and dataset).

        Raises:
            IllegalHypothesis: lists every fault found.
        """
        legal(self, graph, data)

    def to_json(self) -> dict[str, Any]:
        """The hypothesis as JSON values, with functions stored by import path.

        Raises:
            UsageError: SCR-JSON, a function cannot be imported by name, such as a lambda.
        """
        return dump(self)

    @classmethod
    def from_json(cls, value: dict[str, Any], *, run_files: bool = False) -> Hypothesis:
        """The inverse of `to_json`. Modules named in it are imported, which runs their code.

        Args:
            value: what `to_json` gave, in this release or an earlier one.
            run_files: whether code that is not installed may run: files, and modules in the current folder. Without
                it, only modules that are installed or already imported are used.

        Raises:
            UsageError: SCR-JSON, it is not a hypothesis, or names an unknown class or code that may not run, which is
                checked before anything is imported; SCR-ADDRESS, a function is no longer at its address; SCR-CODE, a
                module raises an exception.
        """
        return cls(**load(value, run_files))

    def to_source(self) -> str:
        """The hypothesis as a Python module that defines it, to be read, edited, and run by address.

        Raises:
            UsageError: SCR-JSON, a function cannot be imported by name, such as a lambda.
        """
        return source(self)

    @cached_property
    def hash(self) -> str:
        """Hash of what is claimed: equal hypotheses have equal hashes, in every process."""
        text = json.dumps(_without_folders(self.to_json()), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        return tree_text(self)


def _without_folders(stored: Any) -> Any:
    """JSON of a hypothesis without the places of dictionaries, which are told apart by their content."""
    if is_list(stored):
        return [_without_folders(one) for one in stored]
    if not is_dict(stored):
        return stored
    kept = {name: one for name, one in stored.items() if name != "folder" or stored.get("class") != "dictionary"}
    return {name: _without_folders(one) for name, one in kept.items()}
