"""Hypotheses as JSON values and back; functions are stored by address, never by code."""

from __future__ import annotations

from typing import Any

from scrubbing.data.features import Feature
from scrubbing.errors import ScrubbingError, UsageError, brief, fail
from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.claims import Claim, Route, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.parts import Direction, Part, Vectors
from scrubbing.hypothesis.references import reference, resolve
from scrubbing.hypothesis.samplers import Sampler, Unclaimed
from scrubbing.hypothesis.variables import Variable

FORMAT = "scrubbing.hypothesis/1"

Json = dict[str, Any]


def dump(hypothesis: Hypothesis) -> Json:
    """See `Hypothesis.to_json`."""
    variables = {variable.name: variable for variable in hypothesis.interpretation.variables}
    return {
        "format": FORMAT,
        "name": hypothesis.name,
        "claim": hypothesis.claim,
        "scope": None if hypothesis.scope is None else _dump_feature(hypothesis.scope),
        "variables": {name: _dump_variable(variable) for name, variable in sorted(variables.items())},
        "correspondence": _dump_claim(hypothesis.correspondence),
    }


def load(value: Json) -> Hypothesis:
    """See `Hypothesis.from_json`."""
    found = value.get("format") if isinstance(value, dict) else type(value).__name__
    if found != FORMAT:
        problem = f"this is not a stored hypothesis: its format is {found!r}."
        fail(UsageError, "SCR-JSON", problem, f"Give what Hypothesis.to_json() returned, of format {FORMAT!r}.")
    try:
        variables = _load_variables(value["variables"])
        return Hypothesis(
            value["name"],
            value["claim"],
            _load_claim(value["correspondence"], variables),
            None if value["scope"] is None else _load_feature(value["scope"]),
        )
    except ScrubbingError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else brief(error)
        problem = f"this stored hypothesis is damaged: {told}."
        fail(UsageError, "SCR-JSON", problem, "Store it again with Hypothesis.to_json().")


def _dump_variable(variable: Variable) -> Json:
    return {
        "feature": None if variable.feature is None else _dump_feature(variable.agrees_on()),
        "parents": [parent.name for parent in variable.parents],
        "value": None
        if variable.value is None
        else reference(variable.value, f"the value function of {variable.name}"),
    }


def _load_variables(stored: dict[str, Json]) -> dict[str, Variable]:
    built: dict[str, Variable] = {}
    begun: set[str] = set()

    def build(name: str) -> Variable:
        if name not in built:
            if name in begun:
                raise ValueError(f"variable {name!r} is computed from itself")
            begun.add(name)
            one = stored[name]
            built[name] = Variable(
                name,
                None if one["feature"] is None else _load_feature(one["feature"]),
                tuple(build(parent) for parent in one["parents"]),
                None if one["value"] is None else resolve(one["value"]),
            )
        return built[name]

    for name in stored:
        build(name)
    return built


def _dump_feature(feature: Feature) -> Json:
    if feature.op == "leaf":
        return {"op": "leaf", "at": reference(feature.compute, f"feature {feature.name}")}
    return {
        "op": feature.op,
        "name": feature.name,
        "per": feature.per,
        "numbers": list(feature.numbers),
        "of": [_dump_feature(part) for part in feature.of],
    }


def _load_feature(stored: Json) -> Feature:
    if stored["op"] != "leaf":
        of = tuple(_load_feature(part) for part in stored["of"])
        return Feature(stored["name"], stored["op"], of=of, numbers=tuple(stored["numbers"]), per=stored["per"])
    found = resolve(stored["at"])
    if not isinstance(found, Feature):
        fail(UsageError, "SCR-JSON", f"{stored['at']} is not a feature any more.", "Decorate it with @feature again.")
    return found


def _dump_sampler(sampler: Sampler) -> Json:
    return {
        "kind": sampler.kind,
        "feature": None if sampler.feature is None else _dump_feature(sampler.feature),
        "input": sampler.input_id,
        "generate": None if sampler.generate is None else reference(sampler.generate, "a generating sampler"),
        "exclude_self": sampler.exclude_self,
    }


def _load_sampler(stored: Json) -> Sampler:
    return Sampler(
        stored["kind"],
        None if stored["feature"] is None else _load_feature(stored["feature"]),
        stored["input"],
        None if stored["generate"] is None else resolve(stored["generate"]),
        stored["exclude_self"],
    )


def _dump_claim(claim: Claim) -> Json:
    return {
        "targets": [_dump_target(target) for target in claim.targets],
        "variable": claim.variable.name,
        "sampler": None if claim.sampler is None else _dump_sampler(claim.sampler),
        "unclaimed": {"sampler": _dump_sampler(claim.unclaimed.sampler), "separately": claim.unclaimed.separately},
        "group": claim.group,
        "exclude_self": claim.exclude_self,
        "freeze_norm": claim.freeze_norm,
        "children": [_dump_claim(child) for child in claim.children],
    }


def _load_claim(stored: Json, variables: dict[str, Variable]) -> Claim:
    unclaimed = stored["unclaimed"]
    return Claim(
        tuple(_load_target(target) for target in stored["targets"]),
        variables[stored["variable"]],
        tuple(_load_claim(child, variables) for child in stored["children"]),
        None if stored["sampler"] is None else _load_sampler(stored["sampler"]),
        Unclaimed(_load_sampler(unclaimed["sampler"]), unclaimed["separately"]),
        stored["group"],
        stored["exclude_self"],
        stored["freeze_norm"],
    )


def _dump_target(target: Target) -> Json:
    route, positions = target.route, target.positions
    return {
        "node": None if target.node is None else str(target.node),
        "route": None
        if route is None
        else {"kind": route.kind, "avoid": sorted(map(str, route.avoid)), "through": list(map(str, route.through))},
        "into": list(target.into_slots),
        "reads": list(target.read_slots),
        "positions": None
        if positions is None
        else {
            "fixed": list(positions.fixed),
            "slice": positions.is_slice,
            "last": positions.last,
            "chosen_by": None
            if positions.chosen_by is None
            # A feature is found again by the function it was made of.
            else reference(getattr(positions.chosen_by, "compute", positions.chosen_by), "a choice of positions"),
        },
        "each": target.each_position,
        "part": None if target.only is None else _dump_part(target.only),
    }


def _load_target(stored: Json) -> Target:
    route, positions = stored["route"], stored["positions"]
    return Target(
        None if stored["node"] is None else Node.parse(stored["node"]),
        None
        if route is None
        else Route(
            route["kind"],
            frozenset(map(Node.parse, route["avoid"])),
            tuple(map(Node.parse, route["through"])),
        ),
        tuple(stored["into"]),
        tuple(stored["reads"]),
        None
        if positions is None
        else Positions(
            tuple(positions["fixed"]),
            positions["slice"],
            positions["last"],
            None if positions["chosen_by"] is None else resolve(positions["chosen_by"]),
        ),
        stored["each"],
        None if stored["part"] is None else _load_part(stored["part"]),
    )


def _dump_part(part: Part) -> Json:
    vectors: Any = None
    if isinstance(part.vectors, Direction):
        vectors = reference(part.vectors.compute, "a direction")
    elif part.vectors is not None:
        vectors = part.vectors.array().tolist()
    compute: Any = None
    if isinstance(part.compute, Feature):
        compute = _dump_feature(part.compute)
    elif part.compute is not None:
        compute = reference(part.compute, f"part {part}")
    return {"kind": part.kind, "vectors": vectors, "indices": list(part.indices), "compute": compute} | (
        {"pairs": [list(keys) for keys in part.pairs]} if part.pairs else {}
    )


def _load_part(stored: Json) -> Part:
    vectors, compute = stored["vectors"], stored["compute"]
    return Part(
        stored["kind"],
        resolve(vectors) if isinstance(vectors, str) else None if vectors is None else Vectors.of(vectors),
        tuple(stored["indices"]),
        tuple(tuple(keys) for keys in stored.get("pairs", ())),
        _load_feature(compute) if isinstance(compute, dict) else None if compute is None else resolve(compute),
    )
