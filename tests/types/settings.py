"""What a type checker says of settings as keywords: names and types are seen. Checked by `make check`, never run.

An error that is expected here and does not come is an error itself.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from scrubbing import Dataset, Experiment, Hypothesis, Loss, Model, Result, Task, scrub


def settings_are_seen(h: Hypothesis, model: Model, data: Dataset, loss: Loss, task: Task) -> Result:
    """Right and wrong, each way in which settings are given."""
    scrub(h, model, data, loss, drwas=3)  # pyright: ignore[reportCallIssue]
    scrub(h, model, data, loss, draws="3")  # pyright: ignore[reportArgumentType]
    Experiment(model, data, loss, ablation="median")  # pyright: ignore[reportArgumentType]
    Experiment(model, data, loss).but(memroy=3)  # pyright: ignore[reportCallIssue]
    task.experiment(controls=[3])  # pyright: ignore[reportArgumentType]
    task.experiment(measures=["accuracy"], seed=1).but(strata=task.settings.strata).run(h)
    return scrub(h, model, data, loss, draws=3, ablation="mean", baselines=["null", "constant"])
