"""The ladder of greater-than for any model with such heads and MLPs, from naive to full, and a wrong rung last.

Source of the roles: Hanna et al. 2023, "How does GPT-2 compute greater-than?". There what is outside of the circuit
comes from prompts that start with the year 01; here it comes from another prompt.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypotheses.greater_than.features import decade, last_digit, year
from scrubbing import OUTPUT, Claim, Hypothesis, Target, Variable, head, joint, mlp, reads
from scrubbing.data import at_slot, layout
from scrubbing.hypothesis import Bundle
from scrubbing.samplers import refill

Head = tuple[int, int]
"""Layer and index."""

YEAR = Variable("YY", year)
DECADE = Variable("decade", decade)
LAST_DIGIT = Variable("last digit", last_digit)
YEAR_HERE = Variable("YY in its place", joint(year, layout))
LAYOUT = Variable("layout", layout)


@dataclass(frozen=True)
class Circuit:
    """Heads and MLPs by what they do, and the sizes of their model."""

    heads: tuple[Head, ...]
    """At the end, attend to the year and bring it there."""
    mlps: tuple[int, ...]
    """Layers of the MLPs that tell which years are larger."""
    layers: int
    heads_per_layer: int

    @property
    def all_heads(self) -> list[Target]:
        """Every head of the model."""
        return [head(layer, index) for layer in range(self.layers) for index in range(self.heads_per_layer)]

    @property
    def other_mlps(self) -> list[Target]:
        """MLPs without that role."""
        return [mlp(layer) for layer in range(self.layers) if layer not in self.mlps]


GPT2_SMALL = Circuit(((5, 1), (5, 5), (6, 1), (6, 9), (7, 10), (8, 8), (8, 11), (9, 1)), (8, 9, 10, 11), 12, 12)
"""As published."""
SHIPPED = Circuit(((0, 0), (0, 1), (0, 2), (0, 3)), (0, 1), 2, 4)
"""Of our small model: the heads that attend to the year from the end, and both MLPs."""


def ladder(circuit: Circuit, name: str = "greater-than") -> list[Hypothesis]:
    """Every rung for a model with this circuit."""
    return [
        _heads(circuit, name, "heads-alone", "Heads bring the year to the output, and no MLP matters.", YEAR, "output"),
        _heads(circuit, name, "decade", "Heads bring the decade to the end.", DECADE),
        _heads(circuit, name, "year", "Heads bring the year to the end.", YEAR),
        from_year(circuit, name),
        any_pattern(circuit, name),
        _heads(circuit, name, "through-mlps", "As year, through these MLPs alone.", YEAR, "mlps"),
        mlps(circuit, name),
        full(circuit, name),
        _heads(circuit, name, "last-digit", "Heads bring the last digit to the end.", LAST_DIGIT),
    ]


def from_year(circuit: Circuit, name: str) -> Hypothesis:
    """What the heads read: the year where it stands, under a pattern that knows the year."""
    pattern = reads("q", "k").carries(YEAR_HERE, sampler=refill("YY"))
    told = "As year; the heads read it where it stands."
    return _rung(
        name, "from-year", told, _together(circuit).carries(YEAR_HERE, _value(), pattern, sampler=refill("YY"))
    )


def any_pattern(circuit: Circuit, name: str) -> Hypothesis:
    """The same, looking there whatever the year is."""
    pattern = reads("q", "k").carries(LAYOUT, sampler=refill())
    told = "As from-year, with patterns that know nothing of the year."
    claim = _together(circuit).carries(YEAR_HERE, _value(), pattern, sampler=refill("YY"))
    return _rung(name, "any-pattern", told, claim)


def mlps(circuit: Circuit, name: str) -> Hypothesis:
    """The other half: what is known of the year at the output comes from these MLPs."""
    claims = [mlp(layer).at("last").direct().carries(YEAR) for layer in circuit.mlps]
    return _rung(name, "mlps", "MLPs tell which years are larger.", *claims)


def full(circuit: Circuit, name: str) -> Hypothesis:
    """Both: each MLP tells from what heads below it read of the year, straight or through the MLPs between."""
    claims: list[Claim] = []
    for layer in circuit.mlps:
        below = tuple(one for one in circuit.heads if one[0] <= layer)
        pattern = reads("q", "k").carries(YEAR_HERE, sampler=refill("YY"))
        heads = _together(circuit, "mlps", below).carries(YEAR_HERE, _value(), pattern, sampler=refill("YY"))
        claims.append(mlp(layer).at("last").direct().carries(YEAR, *([heads] if below else [])))
    told = "MLPs tell which years are larger, from the year that heads read where it stands."
    return _rung(name, "full", told, *claims)


def _rung(name: str, rung: str, claim: str, *claims: Claim) -> Hypothesis:
    return Hypothesis(f"{name}/{rung}", claim, OUTPUT.carries(YEAR, *claims))


def _heads(
    circuit: Circuit, name: str, rung: str, claim: str, variable: Variable, through: str = "everything"
) -> Hypothesis:
    """The heads carry a variable, by these paths."""
    return _rung(name, rung, claim, _together(circuit, through).carries(variable))


def _value() -> Claim:
    return reads("v", at=at_slot("YY")).carries(YEAR_HERE, sampler=refill("YY"))


def _together(circuit: Circuit, through: str = "everything", heads: tuple[Head, ...] | None = None) -> Bundle:
    """Heads at the end, by paths through no other of them: everything else, the circuit's MLPs alone, or nothing."""
    avoided = {
        "everything": [head(*one) for one in circuit.heads],
        "mlps": [*circuit.all_heads, *circuit.other_mlps],
        "output": [*circuit.all_heads, *(mlp(layer) for layer in range(circuit.layers))],
    }[through]
    return Bundle(
        tuple(
            head(*one)
            .at("last")
            .any_path(avoid=[other for other in avoided if other.node is not None and _after(other.node, one)])
            for one in (circuit.heads if heads is None else heads)
        )
    )


def _after(node: object, one: Head) -> bool:
    """Whether a component reads what a head writes."""
    layer, kind = getattr(node, "layer", 0), getattr(node, "kind", "")
    return layer > one[0] or (kind == "mlp" and layer == one[0])
