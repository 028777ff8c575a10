"""Controls of every hypothesis that we ship, written into `docs/reference/controls-of-what-we-ship.md`.

    OMP_NUM_THREADS=1 python -m benchmarks.controls --out DIR          # everything; goes on if stopped
    OMP_NUM_THREADS=1 python -m benchmarks.controls --suites truth     # models in which everything is known
    python -m benchmarks.controls --suites induction --parts weights --references 20 --draws 1 --out DIR

Every rung is scrubbed on weights drawn anew and permuted, with ten seeds each, and counted among 200 random hypotheses
of its size, on as many references as are asked for. Suites and rungs that are not run, and
have no record in the folder, keep what the page has.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.verdicts.__main__ import PAGE as VERDICTS
from benchmarks.verdicts.__main__ import replaced
from scrubbing import Control, Experiment, Hypothesis
from scrubbing.errors import UsageError
from scrubbing.experiment import find_task
from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.random_weights import fresh_weights, permuted_weights
from scrubbing.experiment.verdict.specific import unsettled, unspecific
from scrubbing.numbers import PLAIN
from scrubbing.records import RunRecord, load, save

PAGE = VERDICTS.with_name("controls-of-what-we-ship.md")
TRUTH = "truth"
PARTS = (WEIGHTS := "weights", OTHERS := "others")
SUITES = ("parens", "induction", "induction-python", "ioi", "greater-than", TRUTH)
SUPPORTED = ("tight", "wider or finer than needed")
"""Words of a verdict that say that a hypothesis is supported."""
_WORD = r"^\| \[([^\]]+)\]\(#verdict-{}-\1\) \| ([^|]+) \|"


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


def wanted(part: str, seeds: int, others: int) -> list[Control]:
    """The controls of a part of the page."""
    if part == OTHERS:
        return [random_hypotheses(others)]
    return [scheme(seed) for scheme in (fresh_weights, permuted_weights) for seed in range(seeds)]


def controlled(experiment: Experiment, hypothesis: Hypothesis, controls: Sequence[Control]) -> RunRecord | None:
    """A run with these controls; None where they cannot be run on this hypothesis."""
    try:
        return experiment.but(controls=list(controls)).run(hypothesis).record()
    except UsageError as error:
        if any(one.code != "SCR-CONTROL" for one in error.faults):
            raise
        return None


def lines_of(page: str, suite: str) -> dict[str, str]:
    """The lines that a page has about the rungs of a suite."""
    part = re.search(f"<!-- {re.escape(suite)} -->\n(.*?)<!-- end of", page, re.DOTALL)
    return {} if part is None else {line.split(" | ")[0].strip("| "): line for line in part[1].splitlines() if line}


def table(
    suite: str, rows: Sequence[tuple[str, str, Mapping[str, RunRecord | None]]], day: str, before: Mapping[str, str]
) -> str:
    """The part of the page about one suite.

    Args:
        suite: of which it is.
        rows: name, word of the verdict and records by part.
        day: of the last run.
        before: lines of those without any record.
    """
    heads = ["model"] if suite == TRUTH else ["rung", "verdict"]
    heads += ["on weights that mean nothing", "references x draws", "others that do as well", "references x draws", "p"]
    heads += [] if suite == TRUTH else ["with these controls"]
    lines = [f"Last run on {day}.\n", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, word, found in rows:
        if name in before and not any(found.values()):
            lines.append(before[name])
            continue
        weights, others = found.get(WEIGHTS), found.get(OTHERS)
        as_well, p = _counted(others)
        cells = [name] if suite == TRUTH else [name, word]
        cells += [_outcomes(weights), _size(weights), as_well, _size(others), p]
        cells += [] if suite == TRUTH else [_with_controls(word, weights, others)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_controls(word: str, *found: RunRecord | None) -> str:
    """The word of a verdict that was run with these controls: it changes only where that is a word of support."""
    controls = [one for record in found if record is not None for one in record.controls]
    if word not in SUPPORTED:
        return word
    if unspecific(controls):
        return "not specific"
    return word if None not in found and not unsettled(controls) else "undecided"


def _size(record: RunRecord | None) -> str:
    return "–" if record is None else f"{record.controls[0].references:,} x {record.choices.draws}"


def _outcomes(record: RunRecord | None) -> str:
    found = Counter(one.outcome for one in (record.controls if record else []) if one.outcome is not None)
    return ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items())) or "not run"


def _counted(record: RunRecord | None) -> tuple[str, str]:
    """How many of how many do as well, and p."""
    several = next((one.several for one in record.controls if one.several is not None), None) if record else None
    if several is None:
        return "not run", "–"
    return f"{several.as_well:,} of {several.tried:,}", PLAIN.one(several.p)


def main() -> None:
    """Run what was asked for, and write its part of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--rungs", nargs="+", help="only these are run; of others, records in --out are shown")
    parser.add_argument("--references", type=int, default=100)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=10, help="of the weights, for each of two schemes")
    parser.add_argument("--others", type=int, default=200, help="random hypotheses")
    parser.add_argument("--out", type=Path, help="folder for records; what is there is not run again")
    options = parser.parse_args()
    for suite in options.suites:
        rows: list[tuple[str, str, dict[str, RunRecord | None]]] = []
        for name, word, experiment, hypothesis in subjects(suite):
            found: dict[str, RunRecord | None] = {}
            for part in PARTS:
                file = options.out and options.out / suite / f"{name}-{part}.json"
                record = load(file) if file and file.exists() else None
                if record is None and part in options.parts and (options.rungs is None or name in options.rungs):
                    chosen = experiment.but(references=options.references, draws=options.draws)
                    record = controlled(chosen, hypothesis, wanted(part, options.seeds, options.others))
                    if file and record is not None:
                        save(record, file)
                    print(f"{suite}/{name}: {_outcomes(record)}, {_counted(record)}", file=sys.stderr, flush=True)
                found[part] = record
            rows.append((name, word, found))
        page = PAGE.read_text(encoding="utf-8")
        made = table(suite, rows, datetime.datetime.now(datetime.UTC).date().isoformat(), lines_of(page, suite))
        PAGE.write_text(replaced(page, suite, made), encoding="utf-8")


if __name__ == "__main__":
    main()
