"""Hypotheses as tests: the fixture `scrub` gates one, the marker `scrub` says that a test does.

Nothing of scrubbing is imported before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from scrubbing.gate.judge import Gate

_CHECKS = pytest.StashKey[int]()
_UNDECIDED = "scrub.undecided"
"""Property of tests with neither verdict."""
_OUTCOMES = ("fail", "xfail", "skip")
_CHECKS_OF_A_TEST = 4
"""Verdicts of a rule with a floor and a baseline to beat, on scrubbed model and model; alpha is divided before it is
known which rules have them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of `pytest`."""
    group = parser.getgroup("scrub", "causal scrubbing")
    group.addoption("--scrub-settle", action="store_true", help="draw references until verdicts are settled")
    group.addoption("--scrub-device", metavar="DEVICE", help="where models compute: auto, cpu, cuda, cuda:1 or mps")
    group.addoption("--scrub-workers", metavar="N", type=int, help="processes that each test measures with")
    group.addoption("--scrub-update", metavar="REASON", help="take snapshots instead of comparing with them, and why")
    parser.addini("scrub_alpha", "chance of any false alarm among all tests with scrub", default="0.05")
    parser.addini("scrub_inconclusive", "what an inconclusive verdict is: fail, xfail or skip", default="fail")
    parser.addini("scrub_snapshots", "folder of the snapshots; by default beside each hypothesis", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and refuse settings that mean nothing: a typing mistake in one must not pass a test.

    Raises:
        pytest.UsageError: `scrub_alpha` or `scrub_inconclusive` has no such value.
    """
    config.addinivalue_line("markers", "scrub: gates a hypothesis with the fixture `scrub`; select with -m scrub")
    outcome, alpha = config.getini("scrub_inconclusive"), config.getini("scrub_alpha")
    if outcome not in _OUTCOMES:
        raise pytest.UsageError(f"scrub_inconclusive is {outcome!r}, and it can be {', '.join(_OUTCOMES)}")
    try:
        good = 0 < float(alpha) < 0.5
    except ValueError:
        good = False
    if not good:
        raise pytest.UsageError(f"scrub_alpha is {alpha!r}, and it is a number above 0 and below 0.5")


@pytest.hookimpl(tryfirst=True)  # before -m deselects by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that use the fixture, and count them: they share one chance of a false alarm.

    Every worker of xdist collects all tests, so the count is the same everywhere.
    """
    using = [item for item in items if "scrub" in getattr(item, "fixturenames", ())]
    for item in using:
        item.add_marker("scrub")
    config.stash[_CHECKS] = _CHECKS_OF_A_TEST * max(1, len(using))


@pytest.fixture
def scrub(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> Callable[..., Gate]:
    """Gate a hypothesis: `scrub("FILE.py::name", floor=0.9, margin=0.05)`.

    The function takes an address and the settings of a rule; those of the policy in `pyproject.toml` are the default.
    `device` is where the model computes (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`), by default that of `--scrub-device`,
    and `workers` the number of processes that measure, by default that of `--scrub-workers`, or this one alone.
    It returns the verdict, and fails the test if that is a fail, or inconclusive unless the ini option
    `scrub_inconclusive` is `xfail` or `skip`. The numbers become properties of the test in JUnit files.
    """
    config = request.config

    def gate(hypothesis: str, *, device: str | None = None, workers: int | None = None, **settings: Any) -> Gate:
        from scrubbing.experiment.sharded.workers import Workers
        from scrubbing.gate.outlets import facts
        from scrubbing.gate.policy import policy_of, settings_of
        from scrubbing.gate.run import Runner
        from scrubbing.printable import unheard, visible

        file = config.rootpath / "pyproject.toml"
        table = {
            "rules": [{"hypothesis": hypothesis, **settings_of(file, hypothesis), **settings}],
            "alpha": float(config.getini("scrub_alpha")),
            "snapshots": config.getini("scrub_snapshots") or None,
        }
        policy = policy_of(table, file)
        number = config.getoption("scrub_workers") if workers is None else workers
        runner = Runner(
            policy,
            config.stash[_CHECKS],
            device or config.getoption("scrub_device"),
            executor=None if number is None else Workers(number),
        )
        rule = policy.rules[0]
        if (reason := config.getoption("scrub_update")) is not None:
            told = f"{hypothesis}: took the snapshot {runner.update(rule, reason, only_new=False)}"
            record_property(_UNDECIDED, told)
            pytest.skip(told)
        found = runner.gate(rule, bool(config.getoption("scrub_settle")))
        for name, value in facts(found).items():
            record_property(name, value)
        told = unheard(visible("\n".join([f"{found.name}: {found.verdict}", *found.details])))
        if found.verdict == "inconclusive":
            told += f"\nTo decide: {_decides(found)}"
            outcome = config.getini("scrub_inconclusive")
            if outcome != "fail":
                record_property(_UNDECIDED, told)
                (pytest.skip if outcome == "skip" else pytest.xfail)(told)
        if found.verdict != "pass":
            pytest.fail(told, pytrace=False)
        return found

    return gate


def _decides(gate: Gate) -> str:
    """What would make an inconclusive verdict another."""
    more = f"references={gate.needed}" if gate.needed is not None else "more references"
    draws = f"give it {more}, or let it draw as many as it needs with --scrub-settle."
    held = "accept what is held now with --scrub-update REASON, or take the change back"
    return draws if gate.is_held else f"{held}; then {draws}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tests that neither passed nor failed are told about without being asked, so that green does not hide them."""
    reports = [report for key in ("skipped", "xfailed") for report in terminalreporter.stats.get(key, ())]
    # A report of a whole file that skipped itself has no properties.
    properties: list[tuple[str, object]] = [one for each in reports for one in getattr(each, "user_properties", ())]
    if told := [value for name, value in properties if name == _UNDECIDED]:
        terminalreporter.section("explanations that were neither confirmed nor refuted")
        for one in told:
            terminalreporter.write_line(one)
