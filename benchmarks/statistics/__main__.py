"""What intervals and verdicts cover: simulated, and written into `docs/reference/statistics.md`.

    python -m benchmarks.statistics                     # 1,000 runs in each place of the table
    python -m benchmarks.statistics --runs 50 --show    # a glimpse, and the page is left as it is

Nine populations of losses: five skewed families, and four hypotheses about the shipped paren model, whose losses on
4,096 references are measured first. The numbers follow from the number of runs and from nothing else.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

from benchmarks.statistics.coverage import Rates, rates
from benchmarks.statistics.families import RUNGS, Floats, measured, population, skewed

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "statistics.md"
SIZES, DRAWS = (50, 200, 800, 2000), (1, 4)
COLUMNS = {
    "losses": None,
    "draws": None,
    "loss covered": "loss",
    "optimistic": "loss_optimistic",
    "recovered covered": "recovered",
    "optimistic ": "recovered_optimistic",
    "slack": "slack",
    "false pass: floor": "floor",
    "false pass: change": "change",
    "false fail: change": "worse",
    "percentile bootstrap": "percentile",
}
"""Headings of the table, and what stands below them, in %."""

Cell = tuple[str, int, int]
"""A population, draws, and references."""


def simulated(cell: Cell, losses: Mapping[str, Floats] | None, runs: int) -> Rates:
    """One place of the table; `losses` are those of a hypothesis, None for a skewed family."""
    name, draws, n = cell
    family = next(one for one in skewed() if one.name == name) if losses is None else population(name, losses)
    return rates(family, n, draws, runs, seed=0)


def table(found: Mapping[Cell, Rates]) -> str:
    """As Markdown: a row for each population and number of draws, four numbers of references in each field."""
    lines = [" | ".join(name.strip() for name in COLUMNS), "|".join(["---"] * len(COLUMNS))]
    for name, draws in dict.fromkeys((name, draws) for name, draws, _ in found):
        fields = [name, str(draws)]
        for field in filter(None, COLUMNS.values()):
            digits = 0 if field == "percentile" else 1
            fields.append(" / ".join(f"{100 * getattr(found[name, draws, n], field):.{digits}f}" for n in SIZES))
        lines.append(" | ".join(fields))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    """Simulate every place of the table, and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="in each place of the table")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--show", action="store_true", help="print the table and leave the page as it is")
    options = parser.parse_args()
    populations = {family.name: None for family in skewed()} | {rung: measured(rung) for rung in RUNGS}
    cells: list[Cell] = list(product(populations, DRAWS, SIZES))
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [pool.submit(simulated, cell, populations[cell[0]], options.runs) for cell in cells]
        found = {cell: job.result() for cell, job in zip(cells, jobs, strict=True)}
    made = table(found)
    print(made)
    if not options.show:
        marks = "(<!-- coverage -->\n).*(\n<!-- end of coverage -->)"
        text = re.sub(marks, lambda mark: f"{mark[1]}{made}{mark[2]}", PAGE.read_text(), flags=re.DOTALL)
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
