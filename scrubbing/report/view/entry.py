"""What a report is about: a record with what belongs to it, and what it is called beside others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scrubbing.errors import UsageError, fail
from scrubbing.records.compare import unlike
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import RunRecord
from scrubbing.renamed import deprecated


class Verdict(Protocol):
    """The verdict of a gate on one hypothesis, as reports need it; any object with these attributes will do."""

    @property
    def name(self) -> str:
        """Name of the hypothesis."""
        ...

    @property
    def verdict(self) -> Literal["pass", "fail", "inconclusive"]:
        """What the gate decided."""
        ...

    @property
    def reason(self) -> str:
        """Why, as a sentence."""
        ...

    @property
    def details(self) -> Sequence[str]:
        """What was checked and what moved, a line each."""
        ...


@dataclass(frozen=True, eq=False)
class Entry:
    """One record of a report, with everything that belongs to this record alone."""

    record: RunRecord
    inputs: InputTable | None = None
    """Values per reference input of the record."""
    verdict: Verdict | None = None
    """Verdict of a gate on the record."""
    history: Sequence[RunRecord] = ()
    """Other records of the same hypothesis, in order of time."""
    place: str = ""
    """Name of its place on a page, which sets it; what is linked to within the record begins with it."""


def entries(
    records: Sequence[RunRecord | Entry],
    inputs: Sequence[InputTable | None] | Mapping[str, InputTable] | None = None,
    history: Iterable[RunRecord] = (),
    verdicts: Iterable[Verdict] = (),
) -> list[Entry]:
    """Records with what belongs to them.

    Args:
        records: or entries, which are taken as they are.
        inputs: values per input, in the order of the records. Deprecated: a mapping by name of the hypothesis, which
            cannot tell two records of one hypothesis apart.
        history: further records; each entry gets those of its hypothesis.
        verdicts: of a gate; each entry gets the one of its hypothesis.

    Raises:
        UsageError: SCR-PLOT, inputs of another number than records.
    """
    if isinstance(inputs, Mapping):
        deprecated("inputs by name of a hypothesis: give them in the order of the records")
        inputs = [inputs.get(one.hypothesis) if isinstance(one, RunRecord) else None for one in records]
    if inputs is not None and len(inputs) != len(records):
        problem = f"there are {len(records)} records and {len(inputs)} tables of values per input."
        fail(UsageError, "SCR-PLOT", problem, "Give one for each record, in their order, or None.")
    earlier, said = list(history), {one.name: one for one in verdicts}
    found: list[Entry] = []
    for i, one in enumerate(records):
        if isinstance(one, Entry):
            found.append(one)
            continue
        past = [past for past in earlier if past.hypothesis == one.hypothesis and past != one]
        past.sort(key=lambda record: record.provenance.when)
        found.append(Entry(one, None if inputs is None else inputs[i], said.get(one.hypothesis), past))
    return found


def when(record: RunRecord) -> str:
    """When it was measured, to the minute."""
    return record.provenance.when[:16].replace("T", " ")


def names(records: Sequence[RunRecord]) -> list[str]:
    """What each record is called among these: the last part of its hypothesis's name, and more where two share it.

    Two of one hypothesis are told apart by what differs between them, else by when they were measured, else by number.
    """
    short = [record.hypothesis.rpartition("/")[2] or record.hypothesis for record in records]
    if len({*zip(short, (record.hypothesis for record in records), strict=True)}) > len(set(short)):
        short = [record.hypothesis for record in records]
    found: list[str] = []
    for i, record in enumerate(records):
        alike = [j for j, other in enumerate(records) if other.hypothesis == record.hypothesis]
        if len(alike) == 1:
            found.append(short[i])
            continue
        told = [
            f"{one.aspect} {one.values[alike.index(i)]}"
            for one in unlike([records[j] for j in alike])
            if not one.hidden
        ]
        if not told and len({when(records[j]) for j in alike}) > 1:
            told = [when(record)]
        found.append(f"{short[i]} ({', '.join(told)})" if told else short[i])
    return [name if found.count(name) == 1 else f"{name} [{i + 1}]" for i, name in enumerate(found)]
