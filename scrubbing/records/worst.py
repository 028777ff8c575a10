"""The references that scrubbing costs most, and what more of them have in common than chance explains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.records.inputs import LOSS, MEASURE, STRATUM, InputTable
from scrubbing.records.measured import SharedTrait, WorstInput

MOST = 10
_LONGEST = 240
"""Characters of a text that are kept."""
_SURE = 0.001
"""Chance, all traits tried taken together, below which a trait is named."""
_FEWEST = 3
"""Worst inputs that must have it."""


def worst(inputs: InputTable, most: int = MOST) -> list[WorstInput]:
    """The inputs whose loss scrubbing raises most, of those that count and whose loss it raises at all."""
    counted = inputs.counted()
    rise = counted[f"{LOSS}scrubbed"] - counted[f"{LOSS}model"]
    order = np.argsort(-rise, kind="stable")[:most]
    return [_worst(counted, int(row)) for row in order if rise[row] > 0]


def _worst(inputs: InputTable, row: int) -> WorstInput:
    predicted = {name: int(inputs[name][row]) for name in ("prediction", "model_prediction") if name in inputs}
    return WorstInput(
        id=int(inputs["id"][row]),
        text=_shortened(str(inputs["text"][row])) if "text" in inputs else "",
        model=float(inputs[f"{LOSS}model"][row]),
        scrubbed=float(inputs[f"{LOSS}scrubbed"][row]),
        **predicted,
        changed=float(inputs[f"{MEASURE}changed"][row]) if f"{MEASURE}changed" in inputs else None,
    )


def shared(inputs: InputTable, found: list[WorstInput]) -> list[SharedTrait]:
    """Traits of the worst inputs that are too common among them to be chance, the most telling first.

    A trait is a stratum, a prediction of the model, a word of the text, or a length in the outer quarters. The chance
    that so many of the worst have it, were they drawn at random, is hypergeometric, times the number of traits tried
    (Bonferroni). The worst are chosen for their losses alone, so the test is of something else than what chose them.
    """
    if len(found) < _FEWEST:
        return []
    counted = inputs.counted()
    rows = np.flatnonzero(np.isin(counted["id"], [one.id for one in found]))
    named: list[tuple[float, SharedTrait]] = []
    traits = list(_traits(counted, rows))
    for told, has in traits:
        here, everywhere, n = int(has[rows].sum()), int(has.sum()), len(counted)
        chance = len(traits) * _chance(here, len(rows), everywhere, n)
        if here >= _FEWEST and chance < _SURE:
            trait = SharedTrait(**told, worst=here, of_worst=len(rows), share=everywhere / n)
            named.append((chance, trait))
    return [trait for _, trait in sorted(named, key=lambda one: one[0])[:3]]


def _chance(here: int, drawn: int, everywhere: int, n: int) -> float:
    """That at least `here` of those drawn have what `everywhere` of n have: the upper tail of the hypergeometric
    distribution, as in `scipy.stats`, which takes longer to import than a small record to make.
    """
    from scipy.special import gammaln

    def ways(of: Any, some: Any) -> Any:
        return gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1)

    k = np.arange(max(here, drawn - (n - everywhere)), min(drawn, everywhere) + 1)
    logs = ways(everywhere, k) + ways(n - everywhere, drawn - k) - ways(n, drawn)
    return min(1.0, float(np.exp(logs).sum()))


def _traits(inputs: InputTable, rows: NDArray[np.int64]) -> Iterator[tuple[dict[str, Any], NDArray[np.bool_]]]:
    """What the worst might have in common, each with who has it."""
    for name, values in inputs.names(STRATUM).items():
        for value in np.unique(values[rows]):
            yield {"kind": "stratum", "name": name, "value": value.item()}, values == value
    if "model_prediction" in inputs:
        for value in np.unique(inputs["model_prediction"][rows]):
            yield {"kind": "prediction", "name": str(value)}, inputs["model_prediction"] == value
    if "text" not in inputs:
        return
    texts = inputs["text"].astype(str)
    lengths = np.char.str_len(texts)
    few, middle, many = np.quantile(lengths, [0.25, 0.5, 0.75])
    # Where the quartile is the middle, it is as long as half of all texts, and only others are long.
    yield {"kind": "short", "name": ""}, lengths <= few if few < middle else lengths < few
    yield {"kind": "long", "name": ""}, lengths >= many if many > middle else lengths > many
    times: dict[str, int] = {}
    for row in rows:
        for word in set(str(texts[row]).split()):
            times[word] = times.get(word, 0) + 1
    candidates = {word for word, count in times.items() if count >= _FEWEST}
    if not candidates:
        return
    having = {word: np.zeros(len(texts), dtype=bool) for word in sorted(candidates)}
    for row, text in enumerate(texts.tolist()):
        for word in candidates.intersection(text.split()):
            having[word][row] = True
    yield from (({"kind": "word", "name": word}, has) for word, has in having.items())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
