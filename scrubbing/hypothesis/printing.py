"""A hypothesis as a text tree, with a sample input and its feature value at each claim where data are given."""

from __future__ import annotations

from collections.abc import Mapping

from scrubbing.data.dataset import Dataset
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.statement import TOGETHER, Statement
from scrubbing.samplers import Sampler, Unclaimed


def tree_text(hypothesis: Statement) -> str:
    """Name, sentence, and the tree of claims."""
    return _render(hypothesis, {})


def sample_text(hypothesis: Statement, data: Dataset, rows: Mapping[str, int]) -> str:
    """The tree with one sampled input per claim.

    Args:
        hypothesis: to print.
        data: the dataset in scope.
        rows: row of the input each claim holds, by claim path (see `sampling.sample_tree`).
    """
    notes: dict[str, str] = {}
    for path, row in rows.items():
        notes[path] = data.show(row)
    return _render(hypothesis, notes, data, rows)


def _render(
    hypothesis: Statement, notes: Mapping[str, str], data: Dataset | None = None, rows: Mapping[str, int] | None = None
) -> str:
    lines = [f"{hypothesis.name}: {hypothesis.sentence}"]
    if hypothesis.scope is not None:
        lines.append(f"  on inputs where {hypothesis.scope}")
    if hypothesis.unclaimed != TOGETHER:
        lines.append(f"  unclaimed: {hypothesis.unclaimed}")

    def visit(claim: Claim, path: str, prefix: str, last: bool, root: bool) -> None:
        stem = "" if root else prefix + ("└─ " if last else "├─ ")
        below = "" if root else prefix + ("   " if last else "│  ")
        lines.append(stem + describe(claim, hypothesis.rule(claim), hypothesis.unclaimed))
        bar = below + ("│  " if claim.children else "   ")
        if path in notes:
            value = _value(claim, data, rows[path]) if data is not None and rows is not None else ""
            lines.append(f"{bar}· {notes[path]}{value}")
        unclaimed = f"{path} / ~unclaimed"
        if unclaimed in notes:
            lines.append(f"{bar}· unclaimed: {notes[unclaimed]}")
        for i, (below_path, child) in enumerate(claim.paths(path)):
            visit(child, below_path, below, i == len(claim.children) - 1, False)

    visit(hypothesis.correspondence, hypothesis.correspondence.label, "", True, True)
    return "\n".join(lines)


def describe(claim: Claim, rule: Unclaimed | None = None, otherwise: Sampler | Unclaimed = TOGETHER) -> str:
    """One claim as a line: what carries what, agreeing on which feature, and any choice that is not the default.

    Args:
        claim: to describe.
        rule: for what it leaves unclaimed (`Statement.rule`); by default the claim's own.
        otherwise: the rule that need not be mentioned.
    """
    rule = rule or claim.unclaimed
    carried = claim.what + f" carries {claim.variable}"
    try:
        agreed = claim.variable.agrees_on().name
        if agreed != claim.variable.name:
            carried += f" = {agreed}"
    except Exception:  # an illegal variable still prints; `check` is where it is reported
        carried += " (no feature)"
    choices: list[str] = []
    if claim.sampler is not None:
        choices.append(str(claim.sampler))
    if claim.children and rule not in (None, otherwise):
        choices.append(f"unclaimed: {rule}")
    if claim.group is not None:
        choices.append(f"group {claim.group}")
    if claim.exclude_self:
        choices.append("never itself")
    if claim.freeze_norm:
        choices.append("norm frozen")
    return carried + (f" [{'; '.join(choices)}]" if choices else "")


def _value(claim: Claim, data: Dataset, row: int) -> str:
    agreed = claim.variable.agrees_on()
    return f"   {claim.variable} = {agreed.value_at(data, row)}" if agreed.per == "input" else ""
