"""Numbers and verdicts in words: the one way in which every report writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from scrubbing.errors import counted
from scrubbing.records.schema import Equivalent, Number, Recovered, RunRecord, Size

FAR = 10.0
"""A fraction below minus this is not written out: of a gap next to nothing, more digits would say no more."""

MEANING = {
    "model": "as it is",
    "null": "the whole output resampled",
    "constant": "the best prediction that ignores the input",
    "mean claimed": "everything claimed at its mean",
}


class Verdict(Protocol):
    """What a gate said of one hypothesis; any object with these attributes will do."""

    @property
    def name(self) -> str:
        """Of the hypothesis."""
        ...

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """The verdict."""
        ...

    @property
    def reason(self) -> str:
        """Why, as a sentence."""
        ...

    @property
    def details(self) -> Sequence[str]:
        """What moved, a line each."""
        ...


def verdict_of(name: str, verdicts: Iterable[Verdict]) -> Verdict | None:
    """The verdict on one hypothesis."""
    return next((one for one in verdicts if one.name == name), None)


def short_name(record: RunRecord) -> str:
    """The last part of a hypothesis's name: `signs` of `parens/signs`."""
    return record.hypothesis.rpartition("/")[2]


def day(record: RunRecord) -> str:
    """When it was made, to the minute."""
    return record.provenance.when[:16].replace("T", " ")


def short(number: Number) -> str:
    """`0.228 (0.054)`: a value with its standard error."""
    return f"{number.value:.3f}" + ("" if number.se is None else f" ({number.se:.3f})")


def percentages(number: Number | None, sign: str = " %") -> str:
    """`95.7 % [93.1, 97.6]`: a fraction with its interval."""
    if number is None:
        return "-"
    whole = f"{100 * number.value:.1f}{sign}"
    if number.low is None or number.high is None:
        return whole
    return f"{whole} [{100 * number.low:.1f}, {100 * number.high:.1f}]"


def percent(recovered: Recovered | None, interval: bool = False, sign: str = " %") -> str:
    """A fraction of loss recovered; a dash where there is none."""
    if recovered is None or recovered.fraction is None:
        return "-"
    return share(recovered.fraction, sign) if interval else share(recovered.fraction, sign).partition(" [")[0]


def share(fraction: Number, sign: str = " %") -> str:
    """A fraction recovered with its interval, or that it is far below zero."""
    return f"< -{100 * FAR:.0f}{sign}" if fraction.value < -FAR else percentages(fraction, sign)


def of(record: RunRecord, baseline: str) -> Recovered | None:
    """What a record recovers of one baseline."""
    return next((one for one in record.recovered if one.baseline == baseline), None)


def worse(record: RunRecord) -> bool:
    """Whether the scrubbed model is worse than the constant one."""
    return "constant" in record.losses and record.losses["scrubbed"].value > record.losses["constant"].value


def unit(record: RunRecord) -> str:
    """What losses are means over."""
    per_input = record.counted in (None, record.choices.references)
    return f"nats per {'reference input' if per_input else 'counted position'}"


def how(record: RunRecord) -> str:
    """What became of the unclaimed."""
    if record.choices.ablation is None:
        return "what is unclaimed resampled"
    return f"what is unclaimed ablated ({record.choices.ablation}), not resampled"


def meanings(record: RunRecord) -> dict[str, str]:
    """Every loss of a record in words."""
    told = {one.baseline: one.meaning for one in record.recovered}
    return {name: told.get(name) or MEANING.get(name, "") for name in record.losses} | {"scrubbed": how(record)}


def size(given: Size) -> str:
    """How much is claimed, as a sentence."""
    return (
        f"{counted(given.claims, 'claim')} on {given.nodes:,} of {counted(given.of_nodes, 'node')}, keeping at most "
        f"{given.bits:.1f} of {given.of_bits:.1f} bits of an input."
    )


def equivalent(given: Equivalent) -> str:
    """Compute-equivalent, as a sentence with its interval."""
    if given.amount is None or given.amount.low is None or given.amount.high is None:
        return given.told
    return f"{given.told} [{_amount(given.amount.low)}, {_amount(given.amount.high)} {given.unit}]"


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def differences(record: RunRecord, earlier: RunRecord) -> list[str]:
    """What else changed between two records of one hypothesis: they compare only where this is empty."""
    kept = {"references", "draws", "ablation", "loss", "dtype", "clusters", "numerics"}
    pairs = {
        "claims": (record.hash, earlier.hash) if record.hash and earlier.hash else (record.stored, earlier.stored),
        "model": (record.provenance.model_fingerprint, earlier.provenance.model_fingerprint),
        "data": (record.provenance.data_fingerprint, earlier.provenance.data_fingerprint),
        "choices": (record.choices.model_dump(include=kept), earlier.choices.model_dump(include=kept)),
        "zero": (record.zero, earlier.zero),
    }
    return [name for name, (now, then) in pairs.items() if now != then]
