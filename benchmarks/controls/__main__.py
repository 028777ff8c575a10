"""Controls of every hypothesis that we ship, written into `docs/reference/controls-of-what-we-ship.md`.

    OMP_NUM_THREADS=1 python -m benchmarks.controls --out DIR          # everything; goes on if stopped
    OMP_NUM_THREADS=1 python -m benchmarks.controls --suites truth     # models in which everything is known
    python -m benchmarks.controls --suites induction --references 20 --draws 1 --seeds 2 --others 50

Every rung is scrubbed on weights drawn anew and permuted, with ten seeds each, and counted among 200 random hypotheses
of its size. Suites that are not run keep what the page has.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.verdicts.__main__ import PAGE as VERDICTS
from benchmarks.verdicts.__main__ import replaced
from scrubbing import Experiment, Hypothesis
from scrubbing.errors import UsageError
from scrubbing.experiment import find_task
from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.random_weights import fresh_weights, permuted_weights
from scrubbing.numbers import PLAIN
from scrubbing.records import RunRecord, load, save

PAGE = VERDICTS.with_name("controls-of-what-we-ship.md")
TRUTH = "truth"
SUITES = ("parens", "induction", "induction-python", TRUTH)
_WORD = r"^\| \[([^\]]+)\]\(#verdict-{}-\S+\) \| ([^|]+) \|"


@dataclass(frozen=True)
class Size:
    """How much is run."""

    references: int
    draws: int
    seeds: int
    """Of the weights, each with two schemes."""
    others: int
    """Random hypotheses."""

    def __str__(self) -> str:
        return (
            f"{self.references:,} references, {self.draws} {'draw' if self.draws == 1 else 'draws'}, "
            f"{self.seeds} seeds of 2 schemes of weights, {self.others:,} random hypotheses"
        )


def subjects(suite: str) -> Iterator[tuple[str, str, Experiment, Hypothesis]]:
    """Name, word of the verdict, experiment and hypothesis of everything in a suite."""
    if suite == TRUTH:
        for name in PROGRAMS | TRAINED:
            known = truth(name, 0)
            yield name, "", Experiment(known.model, known.data, known.loss, baselines=False), known.tight[0]
        return
    task, words = find_task(suite), verdicts(suite)
    experiment = Experiment(task.model(), task.data(), task.loss(), baselines=False)
    for rung in task.ladder():
        name = rung.name.rpartition("/")[2]
        yield name, words.get(name, "not run"), experiment, rung


def verdicts(suite: str) -> dict[str, str]:
    """Words by rung, on the page of verdicts."""
    return dict(re.findall(_WORD.format(re.escape(suite)), VERDICTS.read_text(encoding="utf-8"), re.M))


def controlled(experiment: Experiment, hypothesis: Hypothesis, size: Size) -> RunRecord:
    """A run with all the controls that are on the page. With the verdict where there is none on another page."""
    seeds = range(size.seeds)
    wanted = [scheme(seed) for scheme in (fresh_weights, permuted_weights) for seed in seeds]
    wanted.append(random_hypotheses(size.others))
    chosen = experiment.but(references=size.references, draws=size.draws)
    while True:
        try:
            return chosen.but(controls=wanted).run(hypothesis).record()
        except UsageError as error:
            where = {one.where for one in error.faults if one.code == "SCR-CONTROL"}
            kept = [one for one in wanted if f"control {one.name}" not in where]
            if len(kept) == len(wanted):
                raise
            wanted = kept


def table(suite: str, rows: Sequence[tuple[str, str, RunRecord | None]], size: Size, day: str) -> str:
    """The part of the page about one suite."""
    lines = [f"Run on {day} with {size}.\n"]
    first = "model" if suite == TRUTH else "rung | verdict"
    lines.append(f"| {first} | on weights that mean nothing | others that do as well | p |")
    lines.append("|---" * (first.count("|") + 4) + "|")
    for name, word, record in rows:
        head = f"{name}" if suite == TRUTH else f"{name} | {word}"
        lines.append(f"| {head} | {_outcomes(record)} | {_counted(record)} |")
    return "\n".join(lines)


def _outcomes(record: RunRecord | None) -> str:
    if record is None:
        return "not run"
    found = Counter(one.outcome for one in record.controls if one.several is None and one.outcome is not None)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items())) or "–"


def _counted(record: RunRecord | None) -> str:
    several = next((one.several for one in record.controls if one.several is not None), None) if record else None
    if several is None:
        return "– | –"
    return f"{several.as_well:,} of {several.tried:,} | {PLAIN.one(several.p)}"


def main() -> None:
    """Run what was asked for, and write its part of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--rungs", nargs="+", help="only these are run; of others, records in --out are shown")
    parser.add_argument("--references", type=int, default=100)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--others", type=int, default=200)
    parser.add_argument("--out", type=Path, help="folder for records; what is there is not run again")
    options = parser.parse_args()
    size = Size(options.references, options.draws, options.seeds, options.others)
    for suite in options.suites:
        rows: list[tuple[str, str, RunRecord | None]] = []
        for name, word, experiment, hypothesis in subjects(suite):
            file = options.out and options.out / suite / f"{name}.json"
            record = load(file) if file and file.exists() else None
            if record is None and (options.rungs is None or name in options.rungs):
                record = controlled(experiment, hypothesis, size)
                if file:
                    save(record, file)
                print(f"{suite}/{name}: {_outcomes(record)}; {_counted(record)}", file=sys.stderr, flush=True)
            rows.append((name, word, record))
        made = table(suite, rows, size, datetime.datetime.now(datetime.UTC).date().isoformat())
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), suite, made), encoding="utf-8")


if __name__ == "__main__":
    main()
