"""The verdict on every hypothesis that we ship, written into `docs/reference/verdicts-of-what-we-ship.md`.

    OMP_NUM_THREADS=1 python -m benchmarks.verdicts --out DIR          # all of them, an hour; goes on if stopped
    OMP_NUM_THREADS=1 python -m benchmarks.verdicts --original DIR     # and the original study's ladder
    python -m benchmarks.verdicts --records DIR                        # from records in a folder for each suite

Sentences and numbers are those that reports show; what they mean is told in `benchmarks.verdicts.words`. Suites and
rungs that are not run, and have no record in the folder, keep what the page has.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verdicts.words import ABOUT, SUITES
from scrubbing import Experiment, Result, Task, report
from scrubbing.experiment import find_task
from scrubbing.records import RunRecord, load, save
from scrubbing.report import Entry, Sentences

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "verdicts-of-what-we-ship.md"
_HELD = ("tight", "wider or finer than needed")


def sentences(record: RunRecord) -> list[str]:
    """What the verdict came to, and where the rest is lost, as reports say it."""
    sections = [one for one in report.view(Entry(record)) if one.name in ("tested", "rest")]
    return [line for one in sections for block in one.blocks if isinstance(block, Sentences) for line in block.lines]


def suite(task: str, records: Sequence[RunRecord], rungs: Sequence[str], before: Mapping[str, Told]) -> str:
    """The part of the page about one suite.

    Args:
        task: the suite's name.
        records: of rungs that were run.
        rungs: names of all its rungs, in order.
        before: what the page tells of rungs, which those without a record keep.
    """
    title, about = SUITES[task]
    names = [name.rpartition("/")[2] for name in rungs]
    new = {rung: _told(task, rung, record) for record in records if (rung := record.hypothesis.rpartition("/")[2])}
    known = {**before, **new}
    found = {rung: known[rung] for rung in names if rung in known}
    lines = [
        f"## {title}\n\n{about}\n",
        "| rung | verdict | recovered | bits claimed | not needed | references x draws |\n|---|---|---|---|---|---|",
        *(one.row for one in found.values()),
    ]
    if missing := [rung for rung in names if rung not in found]:
        lines.append(f"\nNot run for this page yet: {', '.join(missing)}.")
    return "\n".join(lines + [one.text for one in found.values()])


@dataclass(frozen=True)
class Told:
    """What the page has about one rung: its row of the table, and its part below."""

    row: str
    text: str


def told(page: str, task: str) -> dict[str, Told]:
    """What a page tells of the rungs of a suite."""
    part = re.search(rf"^<!-- {re.escape(task)} -->$(.*?)^<!-- end of", page, re.M | re.S)
    text = "" if part is None else part[1]
    rows = {row[2]: row[1] for row in re.finditer(r"^(\| \[([^]]+)\]\(#verdict-.*)$", text, re.M)}
    below = re.finditer(rf"^\(verdict-\S+\)=\n\n### {re.escape(task)}: (\S+)$.*?(?=^\(verdict-|\Z)", text, re.M | re.S)
    return {one[1]: Told(rows[one[1]], f"\n{one[0].strip()}") for one in below}


def _told(task: str, rung: str, record: RunRecord) -> Told:
    tested = record.tested
    assert tested is not None
    recovered = "–" if tested.together is None else f"{100 * tested.together.value:.1f} %"
    unneeded = f"{tested.unneeded:.1f}" if tested.word in _HELD else "–"
    size = f"{record.choices.references:,} x {record.choices.draws}"
    link = f"[{rung}](#{_anchor(task, rung)})"
    row = f"| {link} | {tested.word} | {recovered} | {tested.bits:,.1f} | {unneeded} | {size} |"
    return Told(row, "\n".join(_below(task, rung, record)))


def _below(task: str, rung: str, record: RunRecord) -> Iterator[str]:
    assert record.tested is not None
    yield f"\n({_anchor(task, rung)})=\n\n### {task}: {rung}\n\n*{record.claim}*\n"
    yield "\n".join(f"- {line}" for line in sentences(record))
    word, about = ABOUT.get(f"{task}/{rung}", ("tight", ""))
    if word != record.tested.word:  # for a test to find: the page is written, and what would be wrong is left out
        print(f"{task}/{rung} is {record.tested.word}: tell of it in benchmarks/verdicts/words.py", file=sys.stderr)
    elif about:
        yield f"\n{about}"


def _anchor(task: str, rung: str) -> str:
    return f"verdict-{task}-{rung}".replace("+", "-and-")


def _run(task: Task, out: Path | None, references: int | None, chosen: Sequence[str] | None) -> Iterator[RunRecord]:
    experiment = task.experiment(verdict=True)
    if references is not None:
        experiment = experiment.but(references=references)
    wanted = [one for one in task.ladder() if chosen is None or one.name.rpartition("/")[2] in chosen]
    with experiment.results(wanted, out) as results:
        for found in results:
            result = asked_whether_specific(experiment, found)
            record = result.record()
            if out is not None:
                save(record, out / task.name / f"{record.hypothesis.rpartition('/')[2]}.json", result.inputs())
            print(record.hypothesis, file=sys.stderr, flush=True)
            yield record


def asked_whether_specific(experiment: Experiment, result: Result) -> Result:
    """The verdict, if one of support, with random hypotheses of its size beside it."""
    tested = result.tested
    if tested is None or tested.word not in _HELD:
        return result
    return experiment.but(controls=["random-hypotheses"]).verdict(result.hypothesis)


def _loaded(task: str, folder: Path, rungs: Iterable[str]) -> list[RunRecord]:
    """The records of a suite, in the order of its ladder, as far as there are any."""
    found = {record.hypothesis: record for record in map(load, sorted((folder / task).rglob("*.json")))}
    return [found[name] for name in rungs if name in found]


def replaced(page: str, task: str, made: str) -> str:
    """The page with the part about one suite renewed."""
    marks = f"(<!-- {task} -->\n).*?(<!-- end of {task} -->)"
    return re.sub(marks, lambda mark: f"{mark[1]}{made}\n{mark[2]}", page, flags=re.DOTALL)


def main() -> None:
    """Run every suite, or load its records, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", nargs="*", default=[name for name in SUITES if name != "parens-original"])
    parser.add_argument("--original", type=Path, help="folder with the original study's files")
    parser.add_argument("--records", type=Path, help="folder with a folder of records for each suite")
    parser.add_argument("--references", type=int, help="of each run; the default is the task's")
    parser.add_argument("--rungs", nargs="+", help="only these are run; of others, records in --out are shown")
    parser.add_argument("--out", type=Path, help="folder for records; a run that was stopped goes on")
    options = parser.parse_args()
    tasks = [find_task(name) for name in options.suites]
    if options.original is not None:
        tasks.append(find_task("parens").variant("redwood", options.original))
    for task in tasks:
        names = [hypothesis.name for hypothesis in task.ladder()]
        records: list[RunRecord] = []
        if not options.records:
            records = list(_run(task, options.out, options.references, options.rungs))
        if options.records or (options.rungs and options.out):
            records = _loaded(task.name, options.records or options.out, names)
        page = PAGE.read_text(encoding="utf-8")
        made = suite(task.name, records, names, told(page, task.name))
        PAGE.write_text(replaced(page, task.name, made), encoding="utf-8")


if __name__ == "__main__":
    main()
