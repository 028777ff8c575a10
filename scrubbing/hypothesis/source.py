"""A hypothesis as Python source: what somebody would have written, to be read, edited and run by address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from scrubbing.data.features import Feature
from scrubbing.graph.nodes import EMBED, LOGITS, MASK, POS, Node
from scrubbing.graph.positions import Positions
from scrubbing.guards import is_frozenset, is_scalar, is_tuple
from scrubbing.hypothesis.addresses import reference, resolve, split
from scrubbing.hypothesis.claims import WHOLE_INPUT, Claim, Target
from scrubbing.hypothesis.statement import TOGETHER, Statement
from scrubbing.hypothesis.variables import Variable
from scrubbing.routes import AnyPath, Direct, Via

_CONSTANTS = {EMBED: "EMBED", POS: "POS", MASK: "MASK", LOGITS: "OUTPUT"}
_WIDEST = 100
"""Columns of a claim that stands on one line."""


def source(hypothesis: Statement) -> str:
    """A module that defines the hypothesis, under its own name as far as that is one in Python.

    Raises:
        UsageError: SCR-JSON, a function cannot be imported by name, such as a lambda.
    """
    made = _Source()
    claims = made.claim(hypothesis.correspondence, 1)
    more = "" if hypothesis.scope is None else f"    scope={made.feature(hypothesis.scope)},\n"
    if hypothesis.unclaimed != TOGETHER:
        more += f"    unclaimed={made.value(hypothesis.unclaimed)},\n"
    name = identifier(hypothesis.name.rpartition("/")[2], made.taken)
    body = (
        f"{name} = {made.public('Hypothesis')}(\n    {_quoted(hypothesis.name)},\n    {_quoted(hypothesis.sentence)},\n"
        f"    {claims},\n{more})\n"
    )
    return "\n\n".join(['"""A hypothesis."""', made.head, body])


def identifier(text: str, taken: Sequence[str] = ()) -> str:
    """A name in Python that reads like a text and is not taken."""
    found = re.sub(r"\W+", "_", text.lower(), flags=re.ASCII).strip("_") or "it"
    found = f"_{found}" if found[0].isdigit() else found
    number = next(n for n in range(1, len(taken) + 2) if (found if n == 1 else f"{found}_{n}") not in taken)
    return found if number == 1 else f"{found}_{number}"


def _quoted(text: str) -> str:
    """A string as formatters write it."""
    return f'"{text}"' if text.isprintable() and not {"\\", '"'} & set(text) else repr(text)


def _order(name: str) -> tuple[bool, bool, str]:
    """Where a name stands among those that are imported: constants, classes, functions."""
    return not name.isupper(), not name[0].isupper(), name


class _Source:
    """Imports and variables, as they turn out to be needed."""

    def __init__(self) -> None:
        self.imports: dict[str, dict[str, None]] = {}
        self.files: dict[str, str] = {}
        self.variables: dict[Variable, tuple[str, str]] = {}

    @property
    def taken(self) -> list[str]:
        """Names that mean something in the module."""
        imported = [name.rpartition(" ")[2] for names in self.imports.values() for name in names]
        return [*imported, *self.files.values(), *(name for name, _ in self.variables.values()), "import", "not", "in"]

    @property
    def head(self) -> str:
        """Imports, functions that are found in files, and variables."""
        lines = [
            f"from {module} import {', '.join(sorted(names, key=_order))}"
            for module, names in sorted(self.imports.items())
        ]
        lines += [""] if self.files or self.variables else []
        lines += [f"{name} = resolve({address!r})" for address, name in self.files.items()]
        lines += [f"{name} = {made}" for name, made in self.variables.values()]
        return "\n".join(lines)

    def public(self, name: str, module: str = "scrubbing") -> str:
        """A name of the package."""
        self.imports.setdefault(module, {})[name] = None
        return name

    def thing(self, thing: Any, what: str) -> str:
        """A function, class or feature that stands somewhere under a name."""
        address = reference(thing, what)
        place, name = split(address)
        first, _, rest = name.partition(".")
        if place.endswith(".py"):
            if address not in self.files:
                self.public("resolve", "scrubbing.hypothesis.addresses")
                self.files[address] = identifier(name, self.taken)
            return self.files[address]
        known = next((one for one in self.imports.get(place, {}) if one.split(" ")[0] == first), None)
        if known is None:
            alias = identifier(first, self.taken) if first in self.taken else first
            known = first if alias == first else f"{first} as {alias}"
            self.public(known, place)
        return ".".join([known.rpartition(" ")[2], *([rest] if rest else [])])

    def variable(self, variable: Variable) -> str:
        """The name of a variable, which is defined before it is used."""
        if variable not in self.variables:
            given = [_quoted(variable.name)]
            if isinstance(variable.feature, tuple):
                given.append(f"({', '.join(map(self.feature, variable.feature))},)")
            elif variable.feature is not None:
                given.append(self.feature(variable.feature))
            if variable.parents:
                given.append(f"parents=({', '.join(map(self.variable, variable.parents))},)")
            if variable.value is not None:
                given.append(f"value={self.thing(variable.value, f'the value of {variable.name}')}")
            made = f"{self.public('Variable')}({', '.join(given)})"
            self.variables[variable] = identifier(variable.name, self.taken), made
        return self.variables[variable][0]

    def feature(self, feature: Feature) -> str:
        """A feature, or how it is made of others."""
        parts = [self.feature(one) for one in feature.of]
        numbers = ", ".join(map(repr, feature.numbers))
        match feature.op:
            case "leaf" if hasattr(feature.compute, "as_python"):
                made, given = feature.compute.as_python()  # type: ignore[union-attr]
                return f"{self.public(made, 'scrubbing.data')}({given})"
            case "leaf":
                return self.thing(feature.compute, f"feature {feature.name}")
            case "identity" | "constant":
                return self.public("everything" if feature.op == "identity" else "anything")
            case "and" | "or":
                return f"({parts[0]} {'&' if feature.op == 'and' else '|'} {parts[1]})"
            case "not":
                return f"(~{parts[0]})"
            case "joint":
                return f"{self.public('joint')}({', '.join(parts)})"
            case "all":
                return f"{parts[0]}.everywhere()"
            case "merged":
                return f"{parts[0]}.merged({[list(one) for one in feature.classes]!r})"
            case _:
                return f"{parts[0]}.{feature.op}({numbers})"

    def claim(self, claim: Claim, depth: int) -> str:
        """A claim with those below it."""
        targets = [self.target(one) for one in claim.targets]
        of = targets[0] if len(targets) == 1 else f"({' | '.join(targets)})"
        given = [self.variable(claim.variable), *(self.claim(one, depth + 1) for one in claim.children)]
        others = {name: getattr(claim, name) for name in ("sampler", "unclaimed", "group")}
        given += [f"{name}={self.value(other)}" for name, other in others.items() if other is not None]
        given += [f"{name}=True" for name in ("exclude_self", "freeze_norm") if getattr(claim, name)]
        line = f"{of}.carries({', '.join(given)})"
        if "\n" not in line and 4 * depth + len(line) <= _WIDEST:
            return line
        inner = "".join(f"\n{'    ' * (depth + 1)}{one}," for one in given)
        return f"{of}.carries({inner}\n{'    ' * depth})"

    def target(self, target: Target) -> str:
        """A node, its paths, and what of it is claimed."""
        made = f"{self.public('Target')}(None)" if target.node is None else self.node(target.node)
        match target.route:
            case None:
                pass
            case Direct():
                made += ".direct()"
            case AnyPath():
                avoided = [str(one) for one in target.route.named]
                made += f".any_path(avoid={avoided!r})" if avoided else ".any_path()"
            case Via():
                made += f".via({', '.join(_quoted(str(one)) for one in target.route.through)})"
            case _:
                made += f".by({self.value(target.route)})"
        if target.into_slots:
            made += f".into({', '.join(map(_quoted, target.into_slots))})"
        if target.read_slots:
            named = () if target.read_slots == WHOLE_INPUT else target.read_slots
            made += f".reads({', '.join(map(_quoted, named))})"
        if target.positions is not None:
            made += f".at({self.positions(target.positions)})"
        made += "" if target.only is None else f".part({self.value(target.only)})"
        return made + (".each()" if target.each_position else "")

    def node(self, node: Node) -> str:
        """How a node is named in a claim."""
        if node in _CONSTANTS:
            return self.public(_CONSTANTS[node])
        if node.kind == "head":
            return f"{self.public('head')}({node.layer}, {node.head})"
        if node.kind == "mlp":
            return f"{self.public('mlp')}({node.layer})"
        return f"{self.public('node')}({_quoted(str(node))})"

    def positions(self, positions: Positions) -> str:
        """What `.at` takes."""
        if positions.last:
            return '"last"'
        if isinstance(positions.chosen_by, Feature):
            return self.feature(positions.chosen_by)
        if positions.chosen_by is not None:
            return self.thing(positions.chosen_by, "a choice of positions")
        return f"slice{positions.fixed!r}" if positions.is_slice else repr(list(positions.fixed))

    def value(self, value: Any) -> str:
        """Any other value of the language: its class, and fields that are not at their default."""
        if isinstance(value, Feature):
            return self.feature(value)
        if isinstance(value, Node):
            return f"{self.public('Node')}.parse({str(value)!r})"
        compute = getattr(value, "compute", None)
        if compute is not None and resolve(reference(compute, f"{value}")) == value:
            return self.thing(compute, f"{value}")  # a decorator put the value in the place of its function
        if is_dataclass(value) and not isinstance(value, type):
            given = [f"{one.name}={self.value(getattr(value, one.name))}" for one in fields(value)
                     if one.default is MISSING or getattr(value, one.name) != one.default]  # fmt: skip
            return f"{self.thing(type(value), f'class {type(value).__name__}')}({', '.join(given)})"
        if is_tuple(value):
            return f"({''.join(f'{self.value(one)}, ' for one in value)})"
        if is_frozenset(value):
            return f"frozenset([{', '.join(sorted(self.value(one) for one in value))}])"
        if is_scalar(value):
            return repr(value.item())
        if callable(value):
            return self.thing(value, "a function of the hypothesis")
        return _quoted(value) if isinstance(value, str) else repr(value)
