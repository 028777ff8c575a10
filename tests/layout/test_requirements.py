"""What the package requires is what it imports."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OURS = {"scrubbing", "hypotheses", "benchmarks"}
PEERS = {"interventions.py", "peer_auto_circuit.py", "peer_rust_circuit.py", "from_torchwright.py"}
"""Files that use other tools, which have dependency groups of their own."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=! ]", one)[0].replace("-", "_").lower() for one in requirements}


def imported() -> set[str]:
    found: set[str] = set()
    for path in (path for room in OURS for path in (ROOT / room).rglob("*.py") if path.name not in PEERS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "library":
                found |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    return {name.split(".")[0] for name in found} - OURS - set(sys.stdlib_module_names)


def test_what_is_imported_is_required_and_what_is_required_is_imported() -> None:
    optional = [one for extra in PROJECT["optional-dependencies"].values() for one in extra]
    assert imported() - names([*PROJECT["dependencies"], *optional]) - {"pytest", "hypothesis"} == set()
    assert names([*PROJECT["dependencies"], *optional]) - imported() == set()
