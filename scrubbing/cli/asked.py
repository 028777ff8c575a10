"""What was asked for on the command line: which task, on what, and which part of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from scrubbing.errors import UsageError, fail

if TYPE_CHECKING:
    from scrubbing.experiment.executors import Executor
    from scrubbing.experiment.settings import Options, Settings
    from scrubbing.experiment.task import Task
    from scrubbing.hypothesis.hypothesis import Hypothesis


def task_of(address: str, task: str | None, model: str | None, data: Path | None, loss: str | None) -> Task:
    """The task that was asked for: by name, beside the hypothesis, or a model with a file of inputs."""
    if model is None and data is None and loss is None:
        from scrubbing.experiment.address import task_at

        return task_at(address, task)
    if task is not None or model is None or data is None:
        problem = "of --task, --model, --data and --loss, these do not go together."
        remedy = "Give --task NAME alone, or --model MODEL --data FILE, and --loss if it is not next-token."
        fail(UsageError, "SCR-TASK", problem, remedy)
    from scrubbing.experiment.from_files import task_from_files

    return task_from_files(model, data, loss or "next-token")


def task_on(task: Task, model: str, data: Path | None, text: Path | None, dataset: str | None) -> Task:
    """The task on the model and text that were asked for."""
    if text is None and dataset is None:
        return task.variant(model, data)
    if text is not None and dataset is not None:
        fail(UsageError, "SCR-TASK", "both --text and --dataset were given.", "Give one of them.")
    from scrubbing.data.text import read_dataset, read_text

    return task.on(model, lambda: read_text(text) if text is not None else read_dataset(dataset or ""))


def changed_settings(
    references: int | None,
    draws: int | None,
    seed: int | None = None,
    memory: int | None = None,
    executor: Callable[[Settings], Executor] | str | None = None,
    shard: str | None = None,
    control: list[str] | None = None,
    verdict: bool | Literal["word"] = False,
    device: str | None = None,
    tf32: bool | None = None,
    dtype: str | None = None,
    pool: int | None = None,
) -> Options:
    """The settings that were given; all others are the task's."""
    changed = {
        "references": references,
        "draws": draws,
        "seed": seed,
        "pool": pool,
        "memory": None if memory is None else memory * 2**20,
        "shard": None if shard is None else part_of(shard),
        "controls": control,
        "verdict": verdict or None,
        "device": device,
        "dtype": dtype,
        "tf32": tf32,
        "executor": executor,
    }
    return cast("Options", {name: value for name, value in changed.items() if value is not None})


def measure_share(task: Task, hypotheses: Sequence[Hypothesis], changed: Options, out: Path | None, share: str) -> None:
    """Measure a share of a run."""
    if out is None:
        remedy = "Name a folder with --out that all machines can read and write."
        fail(UsageError, "SCR-SETTING", "--share was given without --out.", remedy)
    task.experiment(**changed).measure_share(hypotheses, out, *part_of(share, "--share"))


def part_of(text: str, option: str = "--shard") -> tuple[int, int]:
    """Which part of how many, both from 1.

    Raises:
        UsageError: SCR-REFERENCES, it is not written like that.
    """
    part, _, of = text.partition("/")
    if not (_is_number(part) and _is_number(of) and 1 <= int(part) <= int(of)):
        fail(UsageError, "SCR-REFERENCES", f"{option} {text} was given.", "Write K/N with 1 <= K <= N, such as 2/4.")
    return int(part), int(of)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
