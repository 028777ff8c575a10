"""How well a search finds what was planted, and what it finds where nothing is, as tables for the reference.

python -m benchmarks.search [--seeds N] [--only PROGRAM ...] [--tables planted ways controls]
    [--write docs/reference/search.md]
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import get_args

import numpy as np

from benchmarks.groundtruth.__main__ import share
from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.truth import Truth
from benchmarks.search.planted import RELATIONS, Comparison, compared
from scrubbing import Experiment, Feature, controls
from scrubbing.search import By, Found, own_outputs, search

FIRST_SEED = 310
"""Seeds below were looked at while the search was written, or are those of the calibration."""
PLANTED = 2
"""Depth down to which circuits were planted by training; below, nothing is known."""
CONTROLS = 20
"""Runs of each control."""


@dataclass(frozen=True)
class One:
    """One search, and what it came to."""

    made: Truth
    found: Found
    beside: Comparison
    seconds: float


def experiment(made: Truth) -> Experiment:
    """On a model of which everything is known."""
    return Experiment(made.model, made.data, made.loss, baselines=False)


def named(made: Truth) -> list[Feature]:
    """The variables of the program, and others that it does not use."""
    return [column(name) for name in made.data if name != "tokens"]


def searched(program: str, seed: int, by: By = "tests") -> One:
    """A search on one model, judged on inputs that it was not searched on."""
    made, started = truth(program, seed), time.perf_counter()
    depth = PLANTED if program in TRAINED else None
    found = search(
        experiment(made), named(made), scope=made.tight[0].scope, depth=depth, random=0, controls=(), seed=seed, by=by
    )
    return One(made, found, compared(made, found.hypothesis), time.perf_counter() - started)


def table(ones: Sequence[One]) -> str:
    """A row for each program, and one for all."""
    heads = ["program", "searches", "node precision", "node recall", "edge precision", "edge recall",
             "position precision", "position recall", "features exact", "finer", "coarser", "other",
             "words"]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    programs = list(dict.fromkeys(one.made.program for one in ones))
    for title, some in [*((p, [one for one in ones if one.made.program == p]) for p in programs), ("**all**", ones)]:
        cells = [title, str(len(some)), *_counts(some)]
        counts = {name: sum(one.beside.features[name] for one in some) for name in RELATIONS}
        cells += [_of(counts["exact"], sum(counts.values())), *(str(counts[name]) for name in RELATIONS[1:])]
        words = [one.found.record.word for one in some]
        cells.append(", ".join(f"{word} {words.count(word)}" for word in sorted(set(words))))
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def where_nothing_is(seeds: Sequence[int], number: int = CONTROLS) -> str:
    """What searches by gradient come to in controls, with the budget that they take on the model itself."""
    found: list[Found] = []
    for i in range(number):
        made = truth(list(PROGRAMS)[i % len(PROGRAMS)], seeds[i % len(seeds)])
        chosen = controls[f"fresh-weights-{1 + i % 5}"], controls["shuffled-labels"], own_outputs(i)
        scope = made.tight[0].scope
        found.append(
            search(experiment(made), named(made), scope=scope, by="gradient", random=0, controls=chosen, seed=i)
        )
        told = [(one.word, one.claimed, str(one.recovered)) for one in found[-1].record.controls]
        size = found[-1].record.found[0].size
        sys.stderr.write(f"{made.name}: {found[-1].record.word}, {size and size.claimed}; {told}\n")
    rows = ["| control | searches | verdicts there | supported with as few bits as on the model itself |",
            "|---|---|---|---|"]  # fmt: skip
    for kind, name in (("fresh-weights", "re-initialised weights"), ("shuffled-labels", "shuffled labels"),
                       ("own-outputs", "re-initialised weights, labelled with their own outputs")):  # fmt: skip
        there = [one for some in found for one in some.record.controls if one.name.startswith(kind)]
        as_few = [one for some in found for one in some.record.unspecific if one.name.startswith(kind)]
        words = [one.word for one in there]
        told = ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))
        rows.append(f"| {name} | {len(there)} | {told} | {len(as_few)} |")
    words = [one.record.word for one in found]
    told = ", ".join(f"{word} {words.count(word)}" for word in sorted(set(words)))
    return "\n".join(rows) + f"\n\nOn the models themselves: {told}."


def ways(ones: Mapping[By, Sequence[One]]) -> str:
    """A row for each way of searching: what is found, and what it takes."""
    heads = ["proposals by", "searches", "node precision", "node recall", "edge precision", "edge recall",
             "position precision", "position recall", "features exact", "tight", "hypotheses tried", "tests",
             "forward passes"]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    for by, some in ones.items():
        features = {name: sum(one.beside.features[name] for one in some) for name in RELATIONS}
        efforts = [one.found.record.effort for one in some]
        cells = [by, str(len(some)), *_counts(some), _of(features["exact"], sum(features.values()))]
        cells.append(_of(sum(one.found.record.word == "tight" for one in some), len(some)))
        means = (np.mean([getattr(one, name) for one in efforts]) for name in ("tried", "decided", "examples"))
        cells += [f"{mean:,.0f}" for mean in means]
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _counts(some: Sequence[One]) -> list[str]:
    cells: list[str] = []
    for kind in ("nodes", "edges", "positions"):
        counts = [getattr(one.beside, kind) for one in some]
        both, there, found = (sum(getattr(one, what) for one in counts) for what in ("both", "there", "found"))
        cells += [_of(both, found), _of(both, there)]
    return cells


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def write_between(page: Path, tables: Mapping[str, str]) -> None:
    """Put tables into a page, each between the two comments of its name."""
    text = page.read_text(encoding="utf-8")
    for name, made in tables.items():
        between = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = re.sub(between, lambda found, made=made: f"{found[1]}\n{made}\n\n{found[2]}", text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")


def main() -> None:
    """Run, print, and write into the reference."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*PROGRAMS, *TRAINED])
    parser.add_argument("--tables", nargs="*", default=["planted", "ways", "controls"])
    parser.add_argument("--controls", type=int, default=CONTROLS)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    ones: dict[By, list[One]] = {by: [] for by in get_args(By) if "ways" in options.tables or by == "tests"}
    if {"planted", "ways"} & {*options.tables}:
        for by in ones:
            for program, seed in product(options.only, seeds):
                ones[by].append(made := searched(program, seed, by))
                sys.stderr.write(f"{made.made.name} by {by}: {made.seconds:.1f} s, {made.beside}\n{made.found}\n")
    tables: dict[str, str] = {}
    if "planted" in options.tables:
        seconds = [one.seconds for one in ones["tests"]]
        exact = [kind == "exact" for one in ones["tests"] for kind, n in one.beside.features.items() for _ in range(n)]
        told = f"Features are named exactly in {share(exact)} of claims. {len(seconds)} searches, "
        told += f"{sum(seconds) / len(seconds):.1f} s each, at most {max(seconds):.1f} s, verdict included."
        tables["planted"] = f"{table(ones['tests'])}\n\n{told}"
    if "ways" in options.tables:
        tables["ways"] = ways(ones)
    if "controls" in options.tables:
        tables["controls"] = where_nothing_is(seeds, options.controls)
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.write is not None:
        write_between(options.write, tables)


if __name__ == "__main__":
    main()
