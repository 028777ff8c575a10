"""The first form of stored hypotheses, rewritten as the present one. Plain JSON to plain JSON: nothing is looked up."""

from __future__ import annotations

from typing import Any

Json = Any


def upgraded(value: Json) -> Json:
    """A hypothesis of format 1 as one of format 2."""
    return {
        "name": value["name"],
        "claim": value["claim"],
        "scope": _feature(value["scope"]),
        "variables": {name: _variable(name, one) for name, one in value["variables"].items()},
        "correspondence": _claim(value["correspondence"]),
    }


def _at(address: str | None) -> Json:
    return None if address is None else {"at": address}


def _variable(name: str, one: Json) -> Json:
    found = {"class": "variable", "name": name, "feature": _feature(one["feature"]), "value": _at(one["value"])}
    return found | {"parents": [{"variable": parent} for parent in one["parents"]]}


def _feature(one: Json) -> Json:
    if one is None:
        return None
    if one["op"] == "leaf":
        return {"class": "feature", "compute": _at(one["at"])}
    kept = {name: one[name] for name in ("name", "op", "numbers", "per")}
    return {"class": "feature", **kept, "of": [_feature(part) for part in one["of"]]}


def _sampler(one: Json) -> Json:
    if one is None:
        return None
    if one["exclude_self"]:
        raise ValueError("a sampler that never draws the held input is now said of its claim, exclude_self=True")
    fields = {
        "agree": lambda: {"feature": _feature(one["feature"])},
        "fixed": lambda: {"input_id": one["input"]},
        "generated": lambda: {"generate": _at(one["generate"])},
    }
    return {"class": one["kind"], **fields.get(one["kind"], dict)()}


def _claim(one: Json) -> Json:
    rule = one["unclaimed"]
    return {
        "class": "claim",
        "targets": [_target(target) for target in one["targets"]],
        "variable": {"variable": one["variable"]},
        "children": [_claim(child) for child in one["children"]],
        "sampler": _sampler(one["sampler"]),
        "unclaimed": _unclaimed(rule),
        "group": one["group"],
        "exclude_self": one["exclude_self"],
        "freeze_norm": one["freeze_norm"],
    }


def _unclaimed(rule: Json) -> Json:
    """None for what was the default, which a claim no longer says."""
    feature = rule["sampler"]["feature"]
    default = rule["sampler"]["kind"] == "agree" and feature is not None and feature["op"] == "constant"
    if default and not rule["separately"]:
        return None
    return {"class": "unclaimed", "sampler": _sampler(rule["sampler"]), "separately": rule["separately"]}


def _nodes(names: list[str]) -> Json:
    return [{"class": "node", "name": name} for name in names]


def _target(one: Json) -> Json:
    positions = one["positions"]
    return {
        "class": "target",
        "node": None if one["node"] is None else {"class": "node", "name": one["node"]},
        "route": _route(one["route"]),
        "into_slots": one["into"],
        "read_slots": one["reads"],
        "positions": None
        if positions is None
        else {
            "class": "positions",
            "fixed": positions["fixed"],
            "is_slice": positions["slice"],
            "last": positions["last"],
            "chosen_by": _at(positions["chosen_by"]),
        },
        "each_position": one["each"],
        "only": _part(one["part"]),
    }


def _route(one: Json) -> Json:
    if one is None:
        return None
    fields = {
        "any": ("any_path", lambda: {"avoid": {"set": _nodes(one["avoid"])}}),
        "via": ("via", lambda: {"through": _nodes(one["through"])}),
    }
    name, more = fields.get(one["kind"], (one["kind"], dict))
    return {"class": name, **more()}


def _vectors(one: Json) -> Json:
    if one is None:
        return None
    if isinstance(one, str):
        return {"class": "direction", "compute": _at(one)}
    return {"class": "vectors", "shape": [len(one), len(one[0])], "values": [number for row in one for number in row]}


def _part(one: Json) -> Json:
    if one is None:
        return None
    compute = one["compute"] if isinstance(one["compute"], dict) else None
    fields = {
        "project": ("project", lambda: {"vectors": _vectors(one["vectors"])}),
        "neurons": ("neurons", lambda: {"indices": one["indices"]}),
        "offsets": ("offsets", lambda: {"indices": one["indices"]}),
        "pairs": ("pairs", lambda: {"keys": one["pairs"]}),
        "as_if": ("attending_to", lambda: {"offset": one["indices"][0]}),
        "activation": ("activation", lambda: {"compute": _at(one["compute"])}),
        "function": (
            "function",
            lambda: {
                "compute": _feature(compute) if compute else _at(one["compute"]),
                "vector": _vectors(one["vectors"]),
            },
        ),
    }
    name, more = fields.get(one["kind"], (one["kind"], dict))
    return {"class": name, **more()}
