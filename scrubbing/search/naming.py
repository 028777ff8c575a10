"""Names of what was found: features that say the same as one with a name go by that name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scrubbing.data.agreement import digest_of
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable


def named(hypothesis: Hypothesis, features: Sequence[Feature], data: Dataset) -> Hypothesis:
    """The hypothesis with its features by the simplest names there are.

    Args:
        hypothesis: as it was found.
        features: that have names, the best first.
        data: inputs on which two features are the same if the same inputs agree on them.
    """
    known: dict[tuple[str, str], Feature] = {}
    for one in features:
        known.setdefault((one.per, digest_of(one, data)), one)

    made: list[Variable] = []

    def claim(of: Claim) -> Claim:
        feature = flat(of.variable.agrees_on())
        feature = (
            feature
            if feature.op in ("identity", "constant")
            else known.get((feature.per, digest_of(feature, data)), feature)
        )
        said = f"{feature.of[0].name}, coarser," if feature.op == "merged" else feature.name
        name = f"{said} of {of.group or ' | '.join(str(target.node) for target in of.targets)}"
        others = [one for one in made if one.name.startswith(name) and one.feature != feature]
        variable = Variable(f"{name} {len(others) + 1}" if others else name, feature)
        made.append(variable)
        return replace(of, variable=variable, children=tuple(claim(one) for one in of.children))

    root = hypothesis.correspondence
    below = tuple(claim(one) for one in root.children)
    return replace(hypothesis, correspondence=replace(root, children=below))


def flat(feature: Feature) -> Feature:
    """A feature whose merged values were merged again, as one that was merged once."""
    if feature.op != "merged" or feature.of[0].op != "merged":
        return feature
    inner, outer = flat(feature.of[0]), feature.classes
    if any(0 in one for one in outer):
        return feature  # 0 is what the inner one leaves unnamed
    return inner.of[0].merged([[value for number in one for value in inner.classes[number - 1]] for one in outer])
