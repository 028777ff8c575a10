"""Rules that name baselines there are none of."""

from __future__ import annotations

from pathlib import Path

import pytest

from scrubbing import UsageError
from scrubbing.gate.policy import policy_of
from scrubbing.gate.run import Runner


@pytest.mark.parametrize(
    "setting", [{"beats": ["bigram"]}, {"floor": 0.9, "baseline": "nul"}], ids=["beats", "baseline"]
)
def test_baselines_of_rules(setting, refused):
    policy = policy_of({"rules": [{"hypothesis": "parens/signs", **setting}]}, Path("gate.toml"))
    refused(UsageError, "SCR-BASELINE", lambda: Runner.of(policy, list(policy.rules)).gate(policy.rules[0]))
