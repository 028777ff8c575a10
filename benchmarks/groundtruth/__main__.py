"""`make calibrate`: how often the verdict is right on models in which everything is known, as a table.

python -m benchmarks.groundtruth [--seeds N] [--out docs/reference/calibration.json]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from benchmarks.groundtruth import anomalies, values
from benchmarks.groundtruth.catalogue import BY_TORCHWRIGHT, PROGRAMS, TRAINED, truth
from benchmarks.groundtruth.truth import Truth
from benchmarks.groundtruth.variations import Case, cases
from scrubbing import Experiment

FIRST_SEED = 300
"""Seeds below were looked at while the tests were written, or gave an earlier table; those from here on were not."""
SUPPORTED = ("tight", "wider or finer than needed")
WANTED = {
    "tight": ("tight",),
    "equivalent": ("tight",),
    "redundant": ("redundant",),
    "sufficient": ("tight", "wider or finer than needed", "redundant", "undecided"),
}
"""Words that are right for a truth. An overclaim may be called anything but tight, and what is false nothing that is
supported."""


def every(seeds: Sequence[int]) -> Iterator[tuple[Truth, Case]]:
    """All hypotheses of all programs, from these seeds."""
    for seed in seeds:
        yield from values.cases(seed)
        yield from of(PROGRAMS, seed)


def of(programs: Collection[str], seed: int) -> Iterator[tuple[Truth, Case]]:
    """All hypotheses of some programs, or trained models."""
    for program in programs:
        made = truth(program, seed)
        yield from ((made, case) for case in cases(made, np.random.default_rng([seed, 99])))


def judged(made: Truth, case: Case) -> dict[str, Any]:
    """What plain score and verdict say of one hypothesis."""
    started = time.perf_counter()
    result = Experiment(made.model, made.data, made.loss, baselines=False).verdict(case.hypothesis)
    tested = result.record().tested
    assert tested is not None
    return {
        "program": case.program,
        "seed": case.seed,
        "change": case.change,
        "truth": case.truth,
        "word": tested.word,
        "reasons": tested.reasons,
        "claims": [
            {
                "idle": claim.crossed.outcome == "idle",
                "coarser": claim.coarser is not None,
                "tested": not claim.not_tested,
            }
            for claim in tested.claims
        ],
        "recovered": None if tested.together is None else tested.together.value,
        "seconds": time.perf_counter() - started,
    }


def is_right(one: dict[str, Any]) -> bool:
    """Whether the verdict's word is right."""
    if one["truth"] == "overclaim":
        return one["word"] != "tight"
    if one["truth"] == "false":
        return one["word"] not in SUPPORTED
    return one["word"] in WANTED[one["truth"]]


def accepted(one: dict[str, Any]) -> bool:
    """Whether the plain score accepts it: 99 % recovered."""
    return one["recovered"] is not None and one["recovered"] >= 0.99


def share(found: Sequence[bool]) -> str:
    """A share with its interval, of Clopper and Pearson."""
    n, k = len(found), sum(found)
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, 0.025))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 0.975))
    return f"{100 * k / n:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def table(found: Sequence[dict[str, Any]]) -> str:
    """A row per change, and one for all of a truth."""
    rows = [
        "| truth | change | hypotheses | 99 % recovered | verdict right | words |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(one["truth"] for one in found):
        of_kind = [one for one in found if one["truth"] == kind]
        groups = {change: [one for one in of_kind if one["change"] == change]
                  for change in sorted({one["change"] for one in of_kind})}  # fmt: skip
        for change, these in ({**groups, "**all**": of_kind} if len(groups) > 1 else groups).items():
            words = sorted({one["word"] for one in these})
            told = ", ".join(f"{word} {sum(one['word'] == word for one in these)}" for word in words)
            plain, right = share([*map(accepted, these)]), share([*map(is_right, these)])
            rows.append(f"| {kind} | {change} | {len(these)} | {plain} | {right} | {told} |")
    return "\n".join(rows)


def mistakes(found: Sequence[dict[str, Any]]) -> str:
    """How often single claims of tight hypotheses were called idle, or finer than needed: errors of the first kind."""
    claims = [claim for one in found if one["truth"] == "tight" for claim in one["claims"]]
    fine = [claim["coarser"] for claim in claims if claim["tested"]]
    rows = ["| of claims that are needed and as coarse as can be | claims | called so |", "|---|---|---|"]
    rows.append(f"| idle | {len(claims)} | {share([claim['idle'] for claim in claims])} |")
    rows.append(f"| finer than needed | {len(fine)} | {share(fine)} |")
    return "\n".join(rows)


def main() -> None:
    """Run, print, and keep."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    found = [judged(*one) for one in every(seeds)]
    sys.stdout.write(table(found) + "\n\n" + mistakes(found) + "\n")
    others = {"Trained models, in which a circuit was planted": TRAINED}
    if find_spec("torchwright") is not None:
        others["Compiled by torchwright"] = BY_TORCHWRIGHT
    for title, programs in others.items():
        these = [judged(*one) for seed in seeds for one in of(programs, seed)]
        sys.stdout.write(f"\n{title}:\n\n{table(these)}\n")
        found += these
    seconds = [one["seconds"] for one in found]
    told = f"{len(found)} hypotheses, {np.mean(seconds):.2f} s each, at most {max(seconds):.1f} s"
    sys.stdout.write(f"\n{told}\n")
    sys.stdout.write("\n" + anomalies.table(seeds) + "\n")
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
