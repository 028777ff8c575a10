"""Nothing in a record, name or message is a command to a terminal or to GitHub's runner."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
from typer.testing import CliRunner

from scrubbing import OUTPUT, Hypothesis, SquaredError, Variable, feature, node, scrub
from scrubbing.cli import app
from scrubbing.cli.common import complain, print_json, say, stream
from scrubbing.errors import Fault, UsageError
from scrubbing.printable import unheard, visible
from scrubbing.records.store import save

NASTY = [
    "[/INST]",
    "[bold red]x[/]",
    ":smile:",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\u202eabc",
    "\r::error::x",
    "::stop-commands::token",
    "a\n::error file=a,line=1::x",
    "a\n \t::add-mask::x",
    "##[add-mask]x",
    "a ##[error]x",
    "a" * 75 + " ::error::wrapped",
    "\ud800",
]


def commands(text):
    """What GitHub's runner would obey, line by line, and what a terminal would."""
    lines = re.split(r"\r\n|\r|\n", text)
    return [line for line in lines if line.lstrip().startswith("::") or "##[" in line] + re.findall(
        "[\x1b\x07\x9b\u202e]", text
    )


@pytest.fixture
def on_github(monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


@pytest.fixture(scope="module")
def nasty(toy):
    """A result that has such text wherever text can be."""
    text = " ".join(one for one in NASTY if one != "\ud800")  # which no file can hold
    found = feature(name=text)(lambda data: data["x"] == 1)
    tree = OUTPUT.carries(toy.out, node("x").direct().carries(Variable(text, found)))
    return scrub(Hypothesis(text, text, tree), toy.model, toy.data, SquaredError(), strata={text: found})


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("stderr", [False, True])
def test_what_is_said(text, stderr, on_github, capsys):
    say(text, stderr)
    complain(UsageError(Fault("SCR-X", text, text, text)))
    printed = "".join(capsys.readouterr())
    assert not commands(printed)
    if "\n" not in text and text.isascii() and text.isprintable():
        assert text.replace("##[", "#\u200b#[").replace("::", "\u200b::", text.startswith("::")) in printed


def test_elsewhere_text_stays_as_it_is(monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    for text in ("::error::x", "##[error]", "[/INST] [bold]", ":smile:", "tab\tand é ☃"):
        say(text)
        assert capsys.readouterr().out == text + "\n"
        assert unheard(visible(text)) == text


def test_every_command_that_shows_a_record(nasty, tmp_path, on_github):
    paths = [save(nasty.record(), tmp_path / name, nasty.inputs()) for name in ("a.json", "::b.json")]
    run = CliRunner().invoke
    for arguments in (["show", str(paths[0])], ["ls"], ["compare", *map(str, paths)], ["power", str(paths[1])]):
        with pytest.MonkeyPatch.context() as here:
            here.chdir(tmp_path)
            found = run(app, arguments, env={"COLUMNS": "60"}, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        assert not commands(found.output)
        assert "[/INST]" in re.sub(r"\s", "", found.output) or arguments[0] in ("ls", "power", "compare")


def test_json_says_the_same_and_commands_nothing(nasty, on_github, capsys):
    record = nasty.record()
    print_json(record)
    printed = capsys.readouterr().out
    assert not commands(printed)
    assert json.loads(printed)["claim"] == record.claim


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_terminals_that_know_few_characters(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    say("é ☃ ✅")
    stream().flush()
    assert "✅" in written.getvalue().decode(encoding) or "\\u2705" in written.getvalue().decode(encoding)
