"""The revision of the repository that a run is made in, asked without running anything that the repository names."""

from __future__ import annotations

import os
import subprocess

_COMMANDS = r"^filter\..*\.(clean|smudge|process)$"
"""Settings of a repository that `git status` runs, to compare files that an attribute selects."""


def revision() -> str | None:
    """Git revision of the current folder, with `+` where tracked files have changed; None without git or a repository.

    A folder from somebody else may come with settings of its own, and asking git for the state of its files runs what
    they name: a file system monitor, a hook, a filter, the other end of a partial clone. All of these are switched off.
    """
    try:
        filters = _git({}, "config", "--null", "--name-only", "--get-regexp", _COMMANDS, missing=1).split("\0")
        off = {"core.fsmonitor": "false", "core.hooksPath": os.devnull} | dict.fromkeys(filter(None, filters), "")
        how = ("--porcelain=v2", "--branch", "--no-ahead-behind", "--untracked-files=no", "--ignore-submodules=dirty")
        told = _git(off, "status", *how).splitlines()
        commit = next(line for line in told if line.startswith("# branch.oid ")).split()[-1]
        changed = any(not line.startswith("#") for line in told)
        return None if commit == "(initial)" else commit[:12] + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None


def _git(settings: dict[str, str], *arguments: str, missing: int = 0) -> str:
    """What git says, with these settings above all others; a status of `missing` means that there is nothing."""
    before = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(before) if before.isdecimal() else 0
    changed = {"GIT_CONFIG_COUNT": str(first + len(settings)), "GIT_OPTIONAL_LOCKS": "0"}
    changed |= {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
    for number, (name, value) in enumerate(settings.items(), first):
        changed |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    command = ["git", "--no-pager", *arguments]
    asked = subprocess.run(
        command, env=os.environ | changed, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5
    )
    if asked.returncode not in (0, missing):
        raise subprocess.CalledProcessError(asked.returncode, command)
    return asked.stdout.strip()
