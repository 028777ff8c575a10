"""What a hypothesis is held to beside its losses: the rule as it was accepted, features that mean what they meant, a
claim that exchanges something, and a model that did not get worse.

A change that loosens what is held and a change that breaks it often come together. Whatever loosens it is said, and
is no pass before somebody has accepted it with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scrubbing.gate.policy import Policy, Rule
from scrubbing.guards import is_sequence
from scrubbing.records.schema import RunRecord

VACUOUS = frozenset(
    {
        "nothing-exchanged",
        "claim-exchanges-nothing",
        "claim-draws-only-copies",
        "output-by-own-value",
        "feature-is-label",
    }
)
"""Notes which say that a hypothesis cannot fail, so that holding it to anything holds nothing."""

_NO_RULE = "The snapshot does not say which rule it was accepted under; accept it again with --update to hold that too."


@dataclass(frozen=True)
class Change:
    """Something that is not as it was accepted."""

    text: str
    """As a sentence."""
    loosens: bool
    """Whether more could pass than before."""


def as_accepted(rule: Rule, policy: Policy) -> dict[str, Any]:
    """What a snapshot keeps of its rule."""
    kept = rule.model_dump(mode="json", exclude={"hypothesis"})
    return kept | {"alpha": policy.alpha, "missing": policy.missing}


def _larger(now: Any, then: Any) -> bool:
    return now > then


def _smaller(now: Any, then: Any) -> bool:
    """Of what may be left out, which asks for least."""
    return then is not None and (now is None or now < then)


def _fewer(now: Any, then: Any) -> bool:
    return bool(set(then) - set(now))


_STRICT = (None, "supported", "tight")
"""Verdicts that a rule may ask for, ever stricter."""
_LOOSENS: Mapping[str, Callable[[Any, Any], bool]] = {
    "margin": _larger,
    "floor": _smaller,
    "beats": _fewer,
    "references": _smaller,
    "draws": _smaller,
    "budget": lambda now, then: False,  # more or fewer inputs to settle on say nothing of what must hold
    "missing": lambda now, then: now != "fail",
    "verdict": lambda now, then: _STRICT.index(now) < _STRICT.index(then),
    "alpha": _smaller,
}
"""By setting, whether the new value (first) lets more pass than the old one; any other setting does when it changes."""


def rule_changes(rule: Rule, policy: Policy, accepted: Mapping[str, Any] | None) -> list[Change]:
    """In what a rule differs from the one under which its snapshot was accepted."""
    if accepted is None:
        return [Change(_NO_RULE, loosens=False)]
    found: list[Change] = []
    for name, now in as_accepted(rule, policy).items():
        then = accepted.get(name)
        if now != then:
            loosens = _LOOSENS.get(name, lambda now, then: True)(now, then)
            found.append(Change(f"The rule's {name} was {_told(then)}, and is {_told(now)}.", loosens))
    return found


def _told(value: Any) -> str:
    if is_sequence(value):
        return ", ".join(map(str, value)) or "nothing"
    return "not given" if value is None else str(value)


def feature_changes(record: RunRecord, before: RunRecord) -> list[Change]:
    """Variables whose features have other values on the dataset than when the snapshot was accepted, or other code.

    Values decide: they are what draws agree on. Code that changed without changing a value is said and holds nothing
    up. It is only compared between runs of one version of Python, whose compilers write it alike.
    """
    found: list[Change] = []
    comparable = _python(record) == _python(before)
    old = {variable.name: variable for variable in before.variables}
    for variable in record.variables:
        then = old.get(variable.name)
        if then is None:
            continue  # the hypothesis is another one, which is said as such
        if variable.digest != then.digest:
            text = f"Feature {variable.feature} of variable {variable.name} has other values on the dataset than when"
            found.append(Change(f"{text} the snapshot was accepted.", loosens=True))
        elif comparable and None not in (variable.code, then.code) and variable.code != then.code:
            text = f"The code of feature {variable.feature}, or of something it calls, changed; its values did not."
            found.append(Change(text, loosens=False))
    return found


def loss_changes(record: RunRecord, before: RunRecord) -> list[Change]:
    """A loss of the same name that is another one."""
    now, then = record.choices.loss_identity, before.choices.loss_identity
    if then is None or now == then:
        return []
    if now is not None and now.partition(" ")[0] == then.partition(" ")[0] and _python(record) != _python(before):
        return []  # the same class with the same settings, compiled by another Python
    return [Change(f"The loss {record.choices.loss} is another one than when the snapshot was accepted.", loosens=True)]


def vacuities(record: RunRecord) -> Iterator[str]:
    """Codes of the notes which say that nothing could fail."""
    yield from (note.code for note in record.notes if note.code in VACUOUS)


def _python(record: RunRecord) -> str:
    return ".".join(record.provenance.versions.get("python", "").split(".")[:2])
