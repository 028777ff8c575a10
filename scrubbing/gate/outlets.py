"""Where verdicts go beside the terminal: annotations, job summary, JUnit file, records."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from scrubbing.gate.judge import Gate
from scrubbing.records.files import write
from scrubbing.records.names import place
from scrubbing.records.store import save

_MOST = 10
"""Annotations of one kind that a GitHub step shows."""


def annotate(gates: Sequence[Gate]) -> None:
    """Workflow commands that mark the lines defining hypotheses that did not pass; on GitHub only."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    kinds = {"fail": "error", "inconclusive": "warning"}
    for verdict, kind in kinds.items():
        for gate in [gate for gate in gates if gate.verdict == verdict][:_MOST]:
            source = gate.record.source
            place = ""
            if source is not None and source.file is not None:
                place = f"file={_escaped(_in_repository(source.file), True)},line={source.line},"
            title = _escaped(f"{gate.name}: {verdict}", True)
            sys.stdout.write(f"::{kind} {place}title={title}::{_escaped(gate.reason)}\n")


def _in_repository(file: str) -> str:
    """A path from this folder as annotations want it: from the root of the repository."""
    root = os.environ.get("GITHUB_WORKSPACE")
    path = Path(file).resolve()
    return str(path.relative_to(Path(root).resolve())) if root and path.is_relative_to(Path(root).resolve()) else file


def _escaped(text: str, within: bool = False) -> str:
    """As workflow commands want it; within a property, colons and commas too."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if within else text


def write_all(gates: Sequence[Gate], out: Path) -> None:
    """Records, and a JUnit file.

    Raises:
        FileError: SCR-FILE.
    """
    seen: Counter[str] = Counter()
    for gate in gates:
        name = gate.record.hypothesis
        save(gate.record, place(out, name, str(seen[name] or "")), gate.inputs)
        seen[name] += 1  # hypotheses in different folders may have one name
    write(out / "junit.xml", junit(gates), "the JUnit file")


def junit(gates: Sequence[Gate]) -> bytes:
    """A test case per rule, with its numbers as properties; an inconclusive one is a failure of that type."""
    failures = sum(gate.verdict != "pass" for gate in gates)
    suite = ElementTree.Element("testsuite", name="scrub gate", tests=str(len(gates)), failures=str(failures))
    for gate in gates:
        case = ElementTree.SubElement(suite, "testcase", classname="scrub", name=gate.name)
        properties = ElementTree.SubElement(case, "properties")
        for name, value in facts(gate).items():
            ElementTree.SubElement(properties, "property", name=name, value=value)
        if gate.verdict != "pass":
            failure = ElementTree.SubElement(case, "failure", type=gate.verdict, message=gate.reason)
            failure.text = "\n".join(gate.details)
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def facts(gate: Gate) -> dict[str, str]:
    """The numbers of a verdict, by name."""
    record = gate.record
    recovered = {one.baseline: one.fraction for one in record.recovered}
    found = {"scrub.verdict": gate.verdict, "scrub.references": str(record.choices.references)}
    found |= {f"scrub.loss.{name}": f"{number.value:.6g}" for name, number in record.losses.items()}
    found |= {f"scrub.recovered.{name}": f"{of.value:.6g}" for name, of in recovered.items() if of is not None}
    return found
