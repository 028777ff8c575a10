"""Puts the pages of errors into the package when it is built; everything else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithPages(build_py):
    """`scrub explain` reads the pages of the documentation, which are kept once."""

    def run(self) -> None:
        """Build, and copy the pages."""
        super().run()
        if not self.editable_mode:
            there = Path(self.build_lib) / "scrubbing" / "cli" / "errors"
            there.mkdir(parents=True, exist_ok=True)
            for page in Path(__file__).with_name("docs").glob("errors/SCR-*.md"):
                shutil.copy(page, there)


setup(cmdclass={"build_py": WithPages})
