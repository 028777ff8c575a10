"""One hypothesis in processes that differ in whatever a machine may differ in: every draw and number is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]

RUN = """
import hashlib, json, sys
from scrubbing.sampling.frames import Frame

drawn, draw = [], Frame._drawn
def seen(frame, context):
    rows = draw(frame, context)
    drawn.append(hashlib.sha256(f"{context!r}{rows.tolist()}".encode()).hexdigest())
    return rows
Frame._drawn = seen

from scrubbing.experiment.task import find_task
found = {}
for name, rung, references in (("parens", "signs", 40), ("induction-python", "refined", 8)):
    task = find_task(name)
    result = task.experiment(references=references, draws=2, baselines=name == "parens").run(task.rung(rung))
    record, table = json.loads(result.record().model_dump_json()), result.inputs().columns
    for one in ("seconds", "when", "git", "machine", "versions"):
        del record["provenance"][one]
    for variable in record["variables"]:
        del variable["code"]  # a hash of bytecode, which is compared between runs of one interpreter only
    found[name] = {"record": record, "table": {key: values.tolist() for key, values in table.items()}}
print(json.dumps({"draws": sorted(drawn), "found": found}))
"""

WITHOUT_OPTIONAL = """
import sys
sys.modules |= dict.fromkeys(["transformer_lens", "transformers", "pandas", "matplotlib"])
"""

BASE = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "OMP_NUM_THREADS": "1"}
ELSEWHERE = {
    "PYTHONHASHSEED": "4711",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "TZ": "Pacific/Kiritimati",
    "COLUMNS": "40",
}
OPTIMISED = {"PYTHONOPTIMIZE": "2", "HOME": "/nonexistent", "PYTHONHASHSEED": "1"}
EXACTLY = {
    "all of these at once": (OPTIMISED | ELSEWHERE, WITHOUT_OPTIONAL),
    "another hash seed, locale, time zone and terminal": (ELSEWHERE, ""),
    "optimised Python, another home": (OPTIMISED, ""),
    "without optional packages": ({}, WITHOUT_OPTIONAL),
}
TO_ROUNDING = {
    "two threads": {"OMP_NUM_THREADS": "2"},
    "a processor with fewer instructions": {"ATEN_CPU_CAPABILITY": "default"},
}


def run(folder, variables, before=""):
    done = subprocess.run(
        [sys.executable, "-c", before + RUN],
        env={**os.environ, **BASE, "PYTHONPATH": str(ROOT), **variables},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def base():
    found = run(ROOT, {})
    assert len(found["draws"]) > 10
    return found


SLOW = (*TO_ROUNDING, *list(EXACTLY)[1:])
"""Two threads wait for each other most of the time beside another test on a machine with two cores; of what may not
matter, each alone only says which one did.
"""


def cases(all_of_them):
    return [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in all_of_them]


@pytest.mark.parametrize("case", cases(EXACTLY))
def test_the_same_bits(case, base, tmp_path):
    assert run(tmp_path, *EXACTLY[case]) == base


@pytest.mark.parametrize("case", cases(TO_ROUNDING))
def test_the_same_draws_and_nearly_the_same_losses(case, base, tmp_path):
    found = run(tmp_path, TO_ROUNDING[case])
    assert found["draws"] == base["draws"]
    for name, one in found["found"].items():
        for column, values in one["table"].items():
            expected = base["found"][name]["table"][column]
            if isinstance(values[0], float):
                assert np.allclose(values, expected, atol=1e-5, rtol=1e-5, equal_nan=True), (name, column)
            else:
                assert values == expected, (name, column)
