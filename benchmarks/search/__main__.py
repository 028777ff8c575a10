"""How well a search finds what was planted or what people wrote, and what it finds where nothing is, as tables.

python -m benchmarks.search [--tables planted ways controls trained] [--ways WAY ...] [--only NAME ...] [--seeds N]
    [--kept FOLDER] [--write docs/reference/search.md]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.groundtruth.catalogue import PROGRAMS, TRAINED
from benchmarks.search import nowhere, trained, truths
from benchmarks.search.rows import write_between
from benchmarks.search.truths import FIRST_SEED

CONTROLS = 20
"""Searches with controls."""


def main() -> None:
    """Run, print, and write into the reference."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*", default=["planted", "ways", "controls", "trained"])
    parser.add_argument("--ways", nargs="*", default=[*truths.WAYS], choices=[*truths.WAYS])
    parser.add_argument("--only", nargs="*", default=[*PROGRAMS, *TRAINED, *trained.MODELS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--controls", type=int, default=CONTROLS)
    parser.add_argument("--kept", type=Path, help="Folder of rows that were measured, for those that are left.")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds, folder = range(FIRST_SEED, FIRST_SEED + options.seeds), options.kept
    programs = [one for one in options.only if one in PROGRAMS | TRAINED]
    tables: dict[str, str] = {}
    if "planted" in options.tables:
        tables["planted"] = truths.table(truths.searches(programs, seeds, "tests", folder))
    if "ways" in options.tables:
        tables["ways"] = truths.ways({way: truths.searches(programs, seeds, way, folder) for way in options.ways})
    if "controls" in options.tables:
        tables["controls"] = nowhere.table(
            {way: nowhere.searches(options.controls, way, folder) for way in options.ways}
        )
    if "trained" in options.tables:
        tables["trained"] = trained.table([one for one in options.only if one in trained.MODELS], folder)
    sys.stdout.write("\n\n".join(tables.values()) + "\n")
    if options.write is not None:
        write_between(options.write, tables)


if __name__ == "__main__":
    main()
