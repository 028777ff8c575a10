"""The revision of a repository is asked for without running what the repository names."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from scrubbing.experiment.revision import revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Run git in a new repository with one file, in which Python is too."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)

    def run(*arguments):
        named = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(["git", *named, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    run("init", "-q")
    (repository / "file.txt").write_text("one\n")
    run("add", ".")
    run("commit", "-qm", "first")
    return run


def test_the_commit_and_whether_anything_changed(git, tmp_path):
    commit = git("rev-parse", "--short=12", "HEAD")
    (tmp_path / "repository" / "untracked").write_text("")
    assert revision() == commit
    (tmp_path / "repository" / "file.txt").write_text("two\n")
    assert revision() == commit + "+"


def test_no_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision() is None


def script(folder, name):
    made = folder / name
    made.parent.mkdir(exist_ok=True)
    made.write_text(f"#!/bin/sh\ntouch {folder}/ran-{made.name}\ncat\n")
    made.chmod(0o755)
    return str(made)


def test_nothing_of_an_untrusted_repository_runs(git, tmp_path, monkeypatch):
    """A plain `git status` runs all of these, which shows that they are set up as an attacker would."""
    repository, commit = tmp_path / "repository", git("rev-parse", "--short=12", "HEAD")
    (repository / ".git" / "info" / "attributes").write_text("*.txt filter=a=b\n")
    git("config", "core.fsmonitor", script(tmp_path, "monitor"))
    git("config", "filter.a=b.clean", script(tmp_path, "filter"))
    script(repository / ".git" / "hooks", "post-index-change")
    (repository / ".git" / "hooks" / "post-index-change").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-hook\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.untrackedCache")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "false")
    (repository / "file.txt").touch()
    assert revision() in (commit, commit + "+")
    assert not list(tmp_path.glob("ran-*"))
    (repository / "file.txt").touch()
    git("status")
    assert {path.name for path in tmp_path.glob("ran-*")} == {"ran-monitor", "ran-filter", "ran-hook"}
