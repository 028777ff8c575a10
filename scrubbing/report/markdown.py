"""Records as Markdown, for the job summary of a CI run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from scrubbing.records.schema import Branch, RunRecord
from scrubbing.report import words

EDGES, CHARACTERS = 500, 50_000
"""What mermaid draws at most, as configured by default."""
_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_POINTER = "\n*Cut here: a job summary has a limit. The HTML page has everything.*\n"


def markdown(records: Sequence[RunRecord], verdicts: Iterable[words.Verdict] = (), limit: int = 1_000_000) -> str:
    """Records for `$GITHUB_STEP_SUMMARY`: verdicts, a table, warnings, and the details folded.

    Args:
        records: one per hypothesis, in this order.
        verdicts: what a gate said, if one did.
        limit: in bytes of UTF-8. GitHub drops a summary of more than 1,024 KiB per step whole.

    Returns:
        At most `limit` bytes. Where not everything fits, whole blocks are left out at the end, and it says so.
    """
    verdicts = list(verdicts)
    blocks = [*_verdicts(verdicts), _table(records), *_notes(records), *(_details(record) for record in records)]
    whole = "\n".join(blocks)
    if len(whole.encode()) <= limit:
        return whole
    left = limit - len(_POINTER.encode())
    kept: list[str] = []
    for block in blocks:
        left -= len(block.encode()) + 1
        if left < 0:
            break
        kept.append(block)
    return "\n".join([*kept, _POINTER])


def escaped(text: str) -> str:
    """Text in which nothing is markup: no table cell, code, HTML, emphasis, link, mention or formula.

    Entities rather than backslashes, because they also hold inside tables and HTML.
    """
    flat = " ".join(text.split())
    return re.sub(r"[&<>|`*\[\]~$\\#@]|(?<!\w)_|_(?!\w)", lambda found: f"&#{ord(found[0])};", flat)


def _verdicts(verdicts: Sequence[words.Verdict]) -> list[str]:
    order = ["fail", "inconclusive", "pass"]
    blocks: list[str] = []
    for one in sorted(verdicts, key=lambda one: order.index(one.verdict)):
        line = f"{_MARKS[one.verdict]} **{one.verdict}** {escaped(one.name)}: {escaped(one.reason)}\n"
        blocks.append(line + "".join(f"- {escaped(detail)}\n" for detail in one.details))
    return blocks


def _table(records: Sequence[RunRecord]) -> str:
    if not records:
        return ""
    zero = records[0].zero
    heads = ["hypothesis", "model", "scrubbed", f"of {zero}", "of constant", "nats lost", "accuracy", "kept"]
    rows = [heads, ["---"] + ["---:"] * (len(heads) - 1)]
    for record in records:
        recovered = words.of(record, zero)
        rows.append(
            [
                escaped(record.hypothesis) + (" **!**" if words.worse(record) else ""),
                f"{record.losses['model'].value:.3f}",
                str(record.losses["scrubbed"]),
                words.percent(recovered, interval=True),
                words.percent(words.of(record, "constant"), interval=True),
                str(recovered.nats) if recovered else "-",
                "" if record.accuracy is None else words.percentages(record.accuracy),
                f"{record.size.bits:.1f} of {record.size.of_bits:.1f} bits" if record.size else "-",
            ]
        )
    told = f"Losses in {words.unit(records[0])}, with 95 % intervals."
    if any(map(words.worse, records)):
        told += " **!** worse than the constant model."
    return "".join("| " + " | ".join(row) + " |\n" for row in rows) + f"\n{told}\n"


def _notes(records: Sequence[RunRecord]) -> list[str]:
    blocks: list[str] = []
    for record in records:
        if record.notes:
            told = [f"> - {escaped(record.hypothesis)}: {escaped(note)}\n" for note in record.notes]
            blocks.append("> [!WARNING]\n" + "".join(told))
    return blocks


def _details(record: RunRecord) -> str:
    _, _, tree = record.tree.partition("\n")
    parts = [f"<details><summary>{escaped(record.hypothesis)}: {escaped(record.claim)}</summary>\n"]
    if graph := mermaid(record.branches):
        parts.append(f"```mermaid\n{graph}\n```\n")
    elif record.branches:
        parts.append("The graph of the claims is larger than mermaid draws.\n")
    if tree:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", tree)), default=0))
        parts.append(f"{fence}text\n{tree}\n{fence}\n")
    parts.append(_losses(record))
    if record.strata:
        parts.append("| stratum | references | model | scrubbed | accuracy |\n| --- | ---: | ---: | ---: | ---: |")
        for one in record.strata:
            cells = (escaped(one.name), f"{one.n:,}", f"{one.model:.3f}", str(one.scrubbed))
            parts.append(f"| {' | '.join(cells)} | {'' if one.accuracy is None else f'{100 * one.accuracy:.1f} %'} |")
        parts.append("")
    if record.size:
        parts.append(words.size(record.size) + "\n")
    source, choices = record.provenance, record.choices
    parts.append(
        f"{choices.references:,} references x {choices.draws} draws, seed {choices.seed}; model "
        f"{escaped(source.model)} `{source.model_fingerprint[:8]}`, "
        f"data {escaped(source.data)} `{source.data_fingerprint[:8]}`.\n"
    )
    return "\n".join([*parts, "</details>\n"])


def _losses(record: RunRecord) -> str:
    rows = ["| | loss | recovered | meaning |\n| --- | ---: | ---: | --- |\n"]
    meanings = words.meanings(record)
    for name, loss in record.losses.items():
        recovered = words.of(record, name)
        told = words.percent(recovered, interval=True) if recovered else ""
        rows.append(f"| {escaped(name)} | {loss} | {told} | {escaped(meanings[name])} |\n")
    return "".join(rows)


def mermaid(branches: Sequence[Branch]) -> str | None:
    """The claims as a mermaid flowchart, from the inputs' side up; None where it is empty or too large to be drawn."""
    lines = ["flowchart BT"]
    above: list[int] = []
    for i, branch in enumerate(branches):
        lines.append(f'  c{i}["{_label(branch.what)}<br/>{_label(branch.variable)}"]')
        del above[branch.depth :]
        if above:
            lines.append(f"  c{i} --> c{above[-1]}")
        above.append(i)
    text = "\n".join(lines)
    return text if 1 < len(branches) <= EDGES + 1 and len(text) <= CHARACTERS else None


def _label(text: str) -> str:
    flat = " ".join(text.split())
    return re.sub(r"[^\w .,:;=+()'/-]", lambda found: f"#{ord(found[0])};", flat)
