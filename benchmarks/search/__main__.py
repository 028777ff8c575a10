"""How well a search finds what was planted, and what it finds where nothing is, as tables for the reference.

python -m benchmarks.search [--seeds N] [--only PROGRAM ...] [--write docs/reference/search.md]
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.groundtruth.__main__ import share
from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED, truth
from benchmarks.groundtruth.columns import column
from benchmarks.groundtruth.truth import Truth
from benchmarks.search.planted import RELATIONS, Comparison, compared
from scrubbing import Experiment, Feature, Trial, controls
from scrubbing.search import Found, search

FIRST_SEED = 310
"""Seeds below were looked at while the search was written, or are those of the calibration."""
PLANTED = 2
"""Depth down to which circuits were planted by training; below, nothing is known."""
CONTROLS = 10
"""Runs of each of the two controls."""


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


def searched(program: str, seed: int) -> One:
    """A search on one model, judged on inputs that it was not searched on."""
    made, started = truth(program, seed), time.perf_counter()
    depth = PLANTED if program in TRAINED else None
    found = search(
        experiment(made), named(made), scope=made.tight[0].scope, depth=depth, random=0, controls=(), seed=seed
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
        cells = [title, str(len(some))]
        for kind in ("nodes", "edges", "positions"):
            both, there, found = (sum(getattr(getattr(one.beside, kind), what) for one in some)
                                  for what in ("both", "there", "found"))  # fmt: skip
            cells += [_of(both, found), _of(both, there)]
        counts = {name: sum(one.beside.features[name] for one in some) for name in RELATIONS}
        cells += [_of(counts["exact"], sum(counts.values())), *(str(counts[name]) for name in RELATIONS[1:])]
        words = [one.found.record.word for one in some]
        cells.append(", ".join(f"{word} {words.count(word)}" for word in sorted(set(words))))
        rows.append(cells)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def where_nothing_is(seeds: Sequence[int]) -> str:
    """The words of searches on re-initialised weights and shuffled labels, a row for each control."""
    rows = ["| control | searches | words |", "|---|---|---|"]
    words: dict[str, list[str]] = {"re-initialised weights": [], "shuffled labels": []}
    for number in range(CONTROLS):
        made = truth(list(PROGRAMS)[number % len(PROGRAMS)], seeds[number % len(seeds)])
        chosen = controls[f"fresh-weights-{1 + number % 5}"], controls["shuffled-labels"]
        for told, control in zip(words.values(), chosen, strict=True):
            trial = control.change(Trial(made.tight[0], made.model, made.data, made.loss))
            assert isinstance(trial, Trial)
            there = Experiment(trial.model, trial.data, trial.loss, baselines=False)
            told.append(search(there, named(made), random=0, controls=(), seed=number).record.word)
    for name, told in words.items():
        rows.append(f"| {name} | {len(told)} | {', '.join(f'{w} {told.count(w)}' for w in sorted(set(told)))} |")
    return "\n".join(rows)


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
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    ones: list[One] = []
    for program in options.only:
        for seed in seeds:
            ones.append(searched(program, seed))
            sys.stderr.write(f"{ones[-1].made.name}: {ones[-1].seconds:.1f} s, {ones[-1].beside}\n{ones[-1].found}\n")
    seconds = [one.seconds for one in ones]
    exact = [kind == "exact" for one in ones for kind, n in one.beside.features.items() for _ in range(n)]
    told = f"Features are named exactly in {share(exact)} of claims. {len(ones)} searches, "
    told += f"{sum(seconds) / len(ones):.1f} s each, at most {max(seconds):.1f} s, verdict included."
    tables = {"planted": f"{table(ones)}\n\n{told}", "controls": where_nothing_is(seeds)}
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.write is not None:
        write_between(options.write, tables)


if __name__ == "__main__":
    main()
