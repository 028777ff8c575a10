"""What a verdict costs, next to one plain run of the same hypothesis.

    OMP_NUM_THREADS=1 python -m benchmarks.speed verdict                    # every shipped rung, a table in Markdown
    OMP_NUM_THREADS=1 python -m benchmarks.speed verdict --write            # into docs/design/speed.md
    OMP_NUM_THREADS=1 python -m benchmarks.speed verdict --out DIR          # and their records

Both are run in this process, one after the other, each with nothing kept from before: the verdict first, which so pays
for values of features too. Seconds are of the processor, since another process may be running.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from scrubbing import Hypothesis, Task
from scrubbing.experiment import find_task
from scrubbing.records import save

PAGE = Path(__file__).parents[2] / "docs" / "design" / "speed.md"
SUITES = ("parens", "induction", "induction-python")


@dataclass(frozen=True)
class Cost:
    """Of one rung."""

    rung: str
    word: str
    claims: int
    plain_examples: int
    examples: int
    """Of the tests, beside those of a plain run."""
    plain: float
    seconds: float
    """Of a plain run, and of the whole verdict, which begins with one."""

    @property
    def ratio(self) -> float:
        """Time of a verdict in plain runs."""
        return self.seconds / self.plain


def measure(task: Task, hypothesis: Hypothesis, out: Path | None) -> Cost:
    """Run a hypothesis with and without its tests."""
    started = time.process_time()
    result = task.experiment(verdict=True).run(hypothesis)
    seconds = time.process_time() - started
    if out is not None:
        save(result.record(), out / task.name / f"{hypothesis.name.rpartition('/')[2]}.json", result.inputs())
    started = time.process_time()
    experiment = task.experiment()
    experiment.run(hypothesis)
    plain = time.process_time() - started
    examples = sum(len(job.reference.rows) * job.draws for job in dict.fromkeys(experiment.jobs(hypothesis)))
    assert result.tested is not None
    claims = len(result.tested.claims)
    return Cost(hypothesis.name, result.tested.word, claims, examples, result.tested.examples, plain, seconds)


def table(costs: list[Cost]) -> Iterator[str]:
    """In Markdown."""
    yield "| rung | claims | examples: tests, plain run | seconds: verdict, plain run | ratio |"
    yield "|---|---|---|---|---|"
    for one in costs:
        examples, seconds = f"{one.examples:,}, {one.plain_examples:,}", f"{one.seconds:.1f}, {one.plain:.1f}"
        yield f"| {one.rung} | {one.claims} | {examples} | {seconds} | {one.ratio:.1f} |"


def main(arguments: list[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", nargs="+", default=SUITES)
    parser.add_argument("--rungs", nargs="+", help="only these")
    parser.add_argument("--out", type=Path, help="folder for the records")
    parser.add_argument("--write", action="store_true", help="put the table into docs/design/speed.md")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    costs: list[Cost] = []
    for suite in options.suites:
        task = find_task(suite)
        for hypothesis in task.ladder():
            if options.rungs is None or hypothesis.name.rpartition("/")[2] in options.rungs:
                costs.append(measure(task, hypothesis, options.out))
                print(costs[-1], file=sys.stderr, flush=True)
    made = "\n".join(table(costs))
    print(made)
    if options.write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), made))


def written(page: str, made: str, name: str = "verdict") -> str:
    """The page with this table at its mark."""
    marks = f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    return re.sub(marks, lambda mark: f"{mark[1]}{made}\n{mark[2]}", page, flags=re.DOTALL)
