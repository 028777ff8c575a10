"""The newcomer's path: a model of their own, from nothing to a score, in at most 15 lines each.

Each program is a file of its own that a fresh Python runs in an empty folder; what it prints is the score.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TRANSFORMER_LENS = """
import numpy as np
from scrubbing import OUTPUT, Dataset, Hypothesis, NextToken, Variable, everything, feature, head, scrub
from scrubbing.models.transformer_lens import boot, from_bridge

sizes = dict(n_layers=2, n_heads=2, d_model=16, d_head=8, d_mlp=32, n_ctx=8, d_vocab=20, act_fn="gelu")
model = from_bridge(boot({**sizes, "normalization_type": "LN"}))  # your TransformerBridge
data = Dataset({"tokens": np.random.default_rng(0).integers(0, 20, (200, 8))})
token = feature(per="position", name="token")(lambda data: data["tokens"])
claims = [head(1, i).any_path().each().carries(Variable(f"token{i}", token)) for i in range(2)]
mine = Hypothesis("mine", "Layer 1 reads its own token.", OUTPUT.carries(Variable("next", everything), *claims))
print(scrub(mine, model, data, NextToken(), references=50).loss("scrubbed"))
"""
TRANSFORMERS = """
import numpy as np
from scrubbing import OUTPUT, Dataset, Hypothesis, NextToken, Variable, everything, feature, head, load_model, scrub
from transformers import GPT2Config, GPT2LMHeadModel

GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=16, n_positions=8, vocab_size=20)).save_pretrained("mine")
model = load_model("mine")  # your folder
data = Dataset({"tokens": np.random.default_rng(0).integers(0, 20, (200, 8))})
token = feature(per="position", name="token")(lambda data: data["tokens"])
claims = [head(1, i).any_path().each().carries(Variable(f"token{i}", token)) for i in range(2)]
mine = Hypothesis("mine", "Layer 1 reads its own token.", OUTPUT.carries(Variable("next", everything), *claims))
print(scrub(mine, model, data, NextToken(), references=50).loss("scrubbed"))
"""
MODULE = """
import numpy as np
from scrubbing import OUTPUT, Classification, Dataset, Hypothesis, Variable, feature, from_module, node, scrub
from torch import nn

net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2)).eval()  # yours
x = np.random.default_rng(0).normal(size=(500, 4))
data = Dataset({"input": x, "label": x[:, 0] > 0})
model = from_module(net, data, nodes=["0", "2"])
sign = Variable("sign", feature(name="sign")(lambda data: data["input"][:, 0] > 0))
mine = Hypothesis("mine", "Layer 2 reports the sign.", OUTPUT.carries(sign, node("layer2").direct().carries(sign)))
print(scrub(mine, model, data, Classification(), references=50).loss("scrubbed"))
"""
PROGRAMS = {"TransformerLens": TRANSFORMER_LENS, "transformers": TRANSFORMERS, "a plain module": MODULE}


@pytest.mark.parametrize("name", PROGRAMS)
def test_from_nothing_to_a_score(name: str, tmp_path: Path) -> None:
    program = PROGRAMS[name].strip()
    assert len([line for line in program.splitlines() if line]) <= 15
    assert max(map(len, program.splitlines())) <= 120, "no line is two"
    (tmp_path / "mine.py").write_text(program)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "mine.py"], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    taken = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"-?\d+\.\d+ \[-?\d+\.\d+, -?\d+\.\d+\]", done.stdout.strip()), done.stdout
    assert taken < 60
