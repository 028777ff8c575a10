"""What is gated and how strictly, read from `pyproject.toml` or a TOML file of its own."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scrubbing.errors import Fault, FileError, UsageError, fail, nearest
from scrubbing.user_code import content_of

TABLE = "tool.scrubbing.gate"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Rule(_Strict):
    """One hypothesis of a gate, with the conditions it must meet."""

    hypothesis: str
    """Address of the hypothesis: FILE.py::name, module:name, or task/rung."""
    task: str | None = None
    """The task, by name or as FILE.py::name; by default the one in the address of the hypothesis."""
    references: int | None = Field(default=None, ge=2)
    """Reference inputs of a gate run; the default is the task's."""
    budget: int | None = Field(default=None, ge=2)
    """Reference inputs of a snapshot, and the most that `--settle` goes to; the default is four times `references`."""
    draws: int | None = Field(default=None, ge=1)
    """Draws per reference; the default is the task's."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of references and draws; the default is the task's."""
    margin: float = Field(default=0.05, ge=0)
    """Nats by which the mean scrubbed loss may rise over the snapshot's."""
    floor: float | None = None
    """Fraction recovered that must be reached, whatever the snapshot says."""
    baseline: str | None = None
    """The baseline that the floor refers to; the default is the task's zero baseline."""
    beats: tuple[str, ...] = ("constant",)
    """Baselines than which the scrubbed model must not be worse."""
    verdict: Literal["supported", "tight"] | None = None
    """What the tests of the hypothesis must come to: `supported` may be wider or finer than needed, `tight` not."""


class Policy(_Strict):
    """The rules of a gate, and the settings they share."""

    rules: tuple[Rule, ...] = Field(min_length=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    """Chance of any false alarm in a whole run of the gate."""
    snapshots: str | None = None
    """Folder of the snapshots, from the policy's own; the default is `snapshots` beside each hypothesis."""
    missing: Literal["fail", "inconclusive"] = "fail"
    """Verdict where there is no snapshot to compare with."""
    memory: int | None = Field(default=None, ge=1)
    """MiB for activations; the default is the task's."""
    file: Path = Path()
    """The file that the policy was read from."""


def load_policy(path: Path | None = None) -> Policy:
    """Load a policy from a file, or from the nearest `pyproject.toml` in this folder or above that has one.

    Raises:
        FileError: SCR-FILE, there is no such file, or it is not TOML.
        UsageError: SCR-POLICY, lists every fault; or no policy is found.
    """
    if path is None:
        path = _nearest()
    try:
        table = tomllib.loads(content_of(path).decode())
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be read ({error.strerror}).", "Check the path.", str(path))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(FileError, "SCR-FILE", f"it is not TOML ({error}).", "Correct this line.", str(path))
    if path.name == "pyproject.toml":
        table = _within(table)
        if table is None:
            fail(UsageError, "SCR-POLICY", f"it has no table [{TABLE}].", _HOW, str(path))
    return policy_of(table, path)


def policy_of(table: Mapping[str, Any], path: Path) -> Policy:
    """A policy from its settings; `path` is where they are from, whose folder relative paths start at.

    Raises:
        UsageError: SCR-POLICY, with every fault.
    """
    try:
        return Policy.model_validate({**table, "file": path})
    except ValidationError as error:
        found = error.errors()
        # A rule that is wrong is also counted as missing from its list.
        told = [one for one in found if len(found) == 1 or one["type"] != "too_short"]
        raise UsageError([_fault(one, path) for one in told], "This gate policy cannot be used") from None


_HOW = f"Add [{TABLE}] with a [[{TABLE}.rules]] table per hypothesis, or name a file with --policy."


def settings_of(path: Path, address: str) -> dict[str, Any]:
    """What a `pyproject.toml` says of one hypothesis; nothing where it has no policy or no rule about it.

    Raises:
        FileError: SCR-FILE. UsageError: SCR-POLICY.
    """
    if not path.is_file() or f"[{TABLE}" not in path.read_text(encoding="utf-8", errors="ignore"):
        return {}
    rules = [rule for rule in load_policy(path).rules if rule.hypothesis == address]
    return rules[0].model_dump(exclude_unset=True) if rules else {}


def _nearest() -> Path:
    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / "pyproject.toml"
        if file.is_file() and f"[{TABLE}" in file.read_text(encoding="utf-8", errors="ignore"):
            return file
    fail(UsageError, "SCR-POLICY", "there is no gate policy in this folder or above it.", _HOW)


def _within(table: dict[str, Any]) -> dict[str, Any] | None:
    for step in TABLE.split("."):
        table = table.get(step, {})
    return table or None


def _fault(error: Any, path: Path) -> Fault:
    place = ".".join(str(step + 1) if isinstance(step, int) else step for step in error["loc"])
    remedy = "See docs/reference/gate.md for what each setting means."
    if error["type"] == "extra_forbidden":
        known = (Rule if "rules" in place else Policy).model_fields
        word = str(error["loc"][-1])
        return Fault(
            "SCR-POLICY",
            f"{path}: {place}",
            "there is no such setting.",
            f"Did you mean: {nearest(word, list(known))}?",
        )
    told = f"{error['msg'][0].lower()}{error['msg'][1:]} (given: {error['input']!r})."
    if error["type"] == "missing":
        told, remedy = "it is not given.", _HOW if place == "rules" else "Name the hypothesis's address."
    return Fault("SCR-POLICY", f"{path}: {place}", told, remedy)
