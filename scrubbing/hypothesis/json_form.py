"""Hypotheses as JSON values and back, in the present form and from older ones."""

from __future__ import annotations

from typing import Any

from scrubbing.errors import ScrubbingError, UsageError, brief, fail
from scrubbing.hypothesis.codec import check, decode, encode
from scrubbing.hypothesis.first_form import upgraded
from scrubbing.hypothesis.statement import TOGETHER, Statement
from scrubbing.hypothesis.variables import Variable

FORMAT = "scrubbing.hypothesis/2"
_FIRST = "scrubbing.hypothesis/1"

Json = dict[str, Any]


def dump(hypothesis: Statement) -> Json:
    """See `Hypothesis.to_json`."""
    variables = {variable.name: variable for variable in hypothesis.interpretation.variables}
    stored = {
        "format": FORMAT,
        "name": hypothesis.name,
        "claim": hypothesis.sentence,
        "scope": encode(hypothesis.scope),
        "variables": {name: _dumped(variable) for name, variable in sorted(variables.items())},
        "correspondence": encode(hypothesis.correspondence, _by_name),
    }
    return stored if hypothesis.unclaimed == TOGETHER else stored | {"unclaimed": encode(hypothesis.unclaimed)}


def load(value: Json, run_files: bool = False) -> Json:
    """The fields of a hypothesis from its JSON; see `Hypothesis.from_json`."""
    found = value.get("format") if isinstance(value, dict) else type(value).__name__
    if found not in (FORMAT, _FIRST):
        problem = f"this is not a stored hypothesis: its format is {found!r}."
        fail(UsageError, "SCR-JSON", problem, f"Give what Hypothesis.to_json() returned, of format {FORMAT!r}.")
    try:
        stored = upgraded(value) if found == _FIRST else value
        check(stored, run_files)
        variables = _variables(stored["variables"])

        def by_name(one: Json) -> Variable | None:
            return variables[one["variable"]] if "variable" in one and "class" not in one else None

        made = {"name": stored["name"], "sentence": stored["claim"], "scope": decode(stored["scope"])}
        made["correspondence"] = decode(stored["correspondence"], by_name)
        return made | ({"unclaimed": decode(stored["unclaimed"])} if "unclaimed" in stored else {})
    except ScrubbingError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else brief(error)
        problem = f"this stored hypothesis is damaged: {told}."
        fail(UsageError, "SCR-JSON", problem, "Store it again with Hypothesis.to_json().")


def _by_name(value: Any) -> Json | None:
    """Variables stand in a table of their own, so that one that is used twice is one variable again."""
    return {"variable": value.name} if isinstance(value, Variable) else None


def _dumped(variable: Variable) -> Json:
    return encode(variable, lambda value: None if value is variable else _by_name(value))


def _variables(stored: dict[str, Json]) -> dict[str, Variable]:
    built: dict[str, Variable] = {}
    begun: set[str] = set()

    def build(name: str) -> Variable:
        if name not in built:
            if name in begun:
                raise ValueError(f"variable {name!r} is computed from itself")
            begun.add(name)
            built[name] = decode(stored[name], lambda one: build(one["variable"]) if "variable" in one else None)
        return built[name]

    for name in stored:
        build(name)
    return built
