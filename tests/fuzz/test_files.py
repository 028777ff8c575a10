"""Damaged and invented files: records and their tables, gate policies, weights, configs, tokenizers, text.

Bytes are cut off, turned over, repeated and put in; fields are missing, of another kind, or unknown. A file that is
read all the same must give what it says: the undamaged thing, or another fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scrubbing import Dataset, Experiment, SquaredError, load_model
from scrubbing.data.text import begin_token, load_tokenizer, read_text, stretches
from scrubbing.gate.policy import Policy, load_policy
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.records.inputs import InputTable, digest
from scrubbing.records.schema import PerInput, RunRecord
from scrubbing.records.store import load, load_inputs, save
from scrubbing.report.markdown import markdown
from scrubbing.report.page import page
from scrubbing.report.terminal import record_view
from scrubbing.report.view import entries

from .hostile import altered, damaged
from .test_api import BITS, TOKENS, adder, x_matters
from .test_command_line import called

Cases = Iterator[tuple[str, bytes]]


@pytest.fixture(scope="module")
def result() -> Any:
    """A result with everything in it."""
    return Experiment(adder(), Dataset(BITS, name="bits"), SquaredError(), draws=2).run(x_matters)


@pytest.fixture
def stored(result, tmp_path, monkeypatch) -> tuple[Path, Path]:
    """Its record, and the table beside it."""
    monkeypatch.chdir(tmp_path)
    path = save(result.record(), tmp_path / "r.json", result.inputs())
    kept = load(path).inputs
    assert kept is not None
    return path, tmp_path / kept.file


def read(path: Path, cases: Cases, call: Callable[[], Any]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The call, after each of these has been written."""

    def after(content: bytes) -> Any:
        path.write_bytes(content)
        return call()

    for told, content in cases:
        yield told, lambda content=content: after(content)


def as_json(value: Any, n: int, seed: int = 0) -> Cases:
    return ((told, json.dumps(made).encode("utf-8", "surrogatepass")) for told, made in altered(value, n, seed))


def shown(record: RunRecord) -> bool:
    """Whether a record can be shown everywhere; it says what its file says."""
    from rich.console import Console

    printed = StringIO()
    Console(width=120, file=printed, markup=False, emoji=False).print(record_view(record))
    one = entries([record], [None], [])
    return bool(page(one)) and bool(markdown(one)) and bool(printed.getvalue())


def test_records(held, stored):
    path, _ = stored
    content = path.read_bytes()
    cases = [*damaged(content, 90), *as_json(json.loads(content), 450)]
    held("files", read(path, iter(cases), lambda: load(path)), shown)


def test_commands_on_damaged_records(held, stored):
    path, _ = stored
    content = path.read_bytes()
    cases = [*damaged(content, 30, 1), *as_json(json.loads(content), 60, 1)]

    def commands() -> Any:
        for command in (["show", "r.json"], ["ls", "."], ["power", "r.json"], ["compare", "r.json", "r.json"]):
            called(command)
        return True

    held("files", read(path, iter(cases), commands), bool)


def test_tables(held, stored, result):
    path, table = stored
    plain = result.inputs()
    record = load(path)

    def same(found: Any) -> bool:
        return all(np.array_equal(found[name], plain[name]) for name in plain.columns)

    held("files", read(table, damaged(table.read_bytes(), 150), lambda: load_inputs(record, path)), same)


def test_tables_with_the_digest_of_what_is_there(held, stored):
    """Not what the record was written with, but it says so: such a file is invented, and must be a table at least."""
    path, table = stored
    record, content = load(path), table.read_bytes()

    def call() -> InputTable | None:
        made = table.read_bytes()
        kept = PerInput(file=table.name, digest=digest(made), rows=12)
        return load_inputs(record.model_copy(update={"inputs": kept}), path)

    def usable(found: Any) -> bool:
        return len(found) == 12 and found.losses() is not None

    held("files", read(table, damaged(content, 240, 2), call), usable)


POLICY = """alpha = 0.05
missing = "fail"
memory = 64
snapshots = "kept"

[[rules]]
hypothesis = "claims.py::half"
references = 100
budget = 400
draws = 2
seed = 3
margin = 0.05
floor = 0.9
baseline = "null"
beats = ["constant"]
"""
VALUES = [
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "true",
    '""',
    '"\\u202e"',
    "[]",
    "{}",
    "[[]]",
    "1979-05-27",
    "99999999999999999999",
]


def policies() -> Cases:
    lines = POLICY.splitlines()
    for at, line in enumerate(lines):
        name, equals, _ = line.partition(" = ")
        for value in VALUES if equals else ():
            yield f"{name} = {value}", "\n".join([*lines[:at], f"{name} = {value}", *lines[at + 1 :]]).encode()
    yield from damaged(POLICY.encode(), 100)


def test_policies(held, tmp_path):
    path = tmp_path / "gate.toml"

    def finite(found: Policy) -> bool:
        rule = found.rules[0]
        numbers = [found.alpha, rule.margin, *([] if rule.floor is None else [rule.floor])]
        return bool(np.isfinite(numbers).all()) and 0 < found.alpha < 0.5 and rule.margin >= 0

    held("files", read(path, policies(), lambda: load_policy(path)), finite)


@pytest.fixture
def weights(tiny_model, tmp_path) -> tuple[Path, Any]:
    """A model, and its file."""
    model = tiny_model("native LN")
    to_file(model, tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors", model


def test_weights(held, weights):
    path, _ = weights
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    plain = load_model(path)
    tokens = torch.from_numpy(TOKENS)

    def right(found: Any) -> bool:
        logits = found.forward(tokens, None)
        same = torch.equal(logits, plain.forward(tokens, None))
        return bool(torch.isfinite(logits).all()) and (same or found.fingerprint != plain.fingerprint)

    cases = [*damaged(content, 120)]
    cases += [(f"header: {told}", made + content[header:]) for told, made in damaged(content[:header], 150, 3)]
    held("files", read(path, iter(cases), lambda: load_model(path)), right)


def test_configs(held, weights, tmp_path):
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    path, _ = weights
    with safe_open(str(path), "pt") as file:
        config = json.loads(file.metadata()["config"])
    plain = tmp_path / "plain.safetensors"
    save_file(load_file(path), str(plain))
    place = tmp_path / "config.json"
    tokens = torch.from_numpy(TOKENS)

    def right(found: Any) -> bool:
        return bool(torch.isfinite(found.forward(tokens, None)).all())

    cases = [*damaged(json.dumps(config).encode(), 60), *as_json(config, 200)]
    held("files", read(place, iter(cases), lambda: load_model(plain, place)), right)


WORDS = ["a", "b", "c", "d", "e", "f", "g", "h"]


def tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    made = Tokenizer(WordLevel({"<s>": 0, "?": 1, **{word: 2 + i for i, word in enumerate(WORDS)}}, unk_token="?"))
    made.pre_tokenizer = Whitespace()
    return made


def test_tokenizers(held, tmp_path):
    pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    value = json.loads(tokenizer().to_str())

    def call() -> Any:
        return stretches([" ".join(WORDS * 20)], load_tokenizer(path), 0, 5, 4)

    def right(found: Any) -> bool:
        return found.shape[1] == 5 and bool((found[:, 0] == 0).all()) and bool((found >= 0).all())

    cases = [*damaged(json.dumps(value).encode(), 90), *as_json(value, 150)]
    held("files", read(path, iter(cases), call), right)


def test_what_a_text_begins_with(held, tmp_path):
    pytest.importorskip("tokenizers")
    path, made = tmp_path / "tokenizer_config.json", tokenizer()
    value = {"bos_token": {"content": "<s>"}, "bos_token_id": 0, "other": [1]}
    cases = [*damaged(json.dumps(value).encode(), 60), *as_json(value, 90), ("a list", b"[1]"), ("a number", b"5")]

    def right(found: Any) -> bool:
        return found is None or (type(found) is int and 0 <= found < made.get_vocab_size())

    held("files", read(path, iter(cases), lambda: begin_token(made, tmp_path)), right)


def test_text(held, tmp_path):
    path = tmp_path / "text.txt"
    content = "Once upon a time — in a land far away.\n".encode() * 20
    cases = [*damaged(content, 90), ("bom", b"\xef\xbb\xbf" + content), ("utf-16", content.decode().encode("utf-16"))]
    held("files", read(path, iter(cases), lambda: read_text(path)), lambda found: all(one.strip() for one in found))
