"""The induction ladder by the real command on models and text that do not come with the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*options: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = shutil.which("scrub", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert command is not None, "the package is not installed: no scrub command"
    return subprocess.run(
        [command, "bench", "induction", *map(str, options)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables},
        check=False,
    )
