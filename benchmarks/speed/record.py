"""How long it takes to make a record of what was measured: all estimates with their intervals, and the notes."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from scrubbing.experiment import find_task

_REPEATS = 3


def seconds(references: int) -> tuple[float, float]:
    """Of the processor, for `record()` and `inputs()`, the table of values per input; parens/signs, least of three."""
    task = find_task("parens")
    result = task.experiment(references=references, draws=4, seed=0).run(task.rung("signs"))
    found: list[tuple[float, float]] = []
    for _ in range(_REPEATS):
        fresh = replace(result)  # nothing of the result before is remembered
        started = time.process_time()
        fresh.record()
        recorded = time.process_time()
        fresh.inputs()
        found.append((recorded - started, time.process_time() - recorded))
    return min(one for one, _ in found), min(two for _, two in found)


def main(arguments: list[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    options = parser.parse_args(arguments)
    table = Table(title="parens/signs, 4 draws")
    for column in ("references", "record s", "values per input s"):
        table.add_column(column, justify="right")
    for references in options.references:
        table.add_row(f"{references:,}", *(f"{one:.2f}" for one in seconds(references)))
    Console(width=100).print(table)
