"""How long the paren ladder takes, against the original tool and against plain forward passes.

    OMP_NUM_THREADS=1 python -m benchmarks.speed                                   # our model, ours alone
    OMP_NUM_THREADS=1 python -m benchmarks.speed --data DIR --peer PYTHON          # the original model, side by side

    OMP_NUM_THREADS=1 python -m benchmarks.speed induction                         # see benchmarks/speed/induction.py
    OMP_NUM_THREADS=1 python -m benchmarks.speed record                            # see benchmarks/speed/record.py
    OMP_NUM_THREADS=1 python -m benchmarks.speed verdict                           # see benchmarks/speed/verdict.py
    OMP_NUM_THREADS=1 python -m benchmarks.speed draws                             # see benchmarks/speed/draws.py
    OMP_NUM_THREADS=1 python -m benchmarks.speed waits                             # see benchmarks/speed/waits.py
    python -m benchmarks.speed gpu                                                 # see benchmarks/speed/gpu.py

`--peer` is an interpreter of an environment with the `peers` group. Both sides use one thread, the same hypotheses and
the same number of references, one draw each; they take turns, rung by rung, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from scrubbing import Dataset, Experiment, InProcess, Job, Model, Settings, Task
from scrubbing.experiment import find_task

HERE = Path(__file__).parent
PEER_RUNGS = ("0a", "0b", "1a", "1b", "1b+00", "2-part-1", "2a", "2-part-3", "2b", "3a", "3b", "4")
"""Of the original ladder, what the peer's public code expresses and finishes in reasonable time."""
_REPEATS = 3


def measure(task: Task, rung: str, references: int) -> dict[str, float]:
    """Seconds of the first run of a hypothesis, clean activations included, and of a further one, without baselines.

    Returns:
        Seconds `first`, `further` (the fastest of three) and `plain` (the model's own forward pass on as many inputs);
        `operations`, the planner's count for one scrubbed example, in plain forward passes; peak memory in MB.
    """
    model, data, hypothesis, loss = task.model(), task.data(), task.rung(rung), task.loss()

    def job() -> Job:
        return replace(experiment.jobs(hypothesis)[0], with_model=False, measures=(), logits=False)

    def scrub_once() -> float:
        started = time.process_time()
        for _ in executor.measure([job()]):
            pass
        return time.process_time() - started

    started = time.process_time()
    settings = Settings(references=references, draws=1, baselines=False, memory=task.settings.memory)
    executor = InProcess(store=settings.store, memory=settings.memory, spill=settings.spill)
    experiment = Experiment(model, data, loss, settings, executor=executor)
    scrub_once()
    first = time.process_time() - started
    further = [scrub_once() for _ in range(_REPEATS)]
    return {
        "first": first,
        "further": min(further),
        "plain": plain_forward(model, data, references),
        "operations": executor.compile(job()).cost.ratio,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def plain_forward(model: Model, data: Dataset, references: int) -> float:
    """Seconds of the model's own forward pass on that many inputs, in batches of 1,000."""
    inputs = model.inputs(data)
    rows = torch.arange(references)
    seconds: list[float] = []
    for _ in range(_REPEATS):
        started = time.process_time()
        for batch in rows.split(1000):
            model.own_output(inputs, batch)
        seconds.append(time.process_time() - started)
    return min(seconds)


def apart(*command: str) -> str:
    """What a command prints, run in a process of its own."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def peer(python: str, data: Path, rung: str, references: int) -> dict[str, Any]:
    """The peer's own measurement of the same rung."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        options = ["--data", str(data), "--rungs", rung, "--references", str(references), "--out", out.name]
        apart(python, str(HERE / "peer_rust_circuit.py"), *options)
        return json.loads(Path(out.name).read_text(encoding="utf-8"))["results"][0]


def main() -> None:
    """Measure every rung and print a table; with --one, measure one rung and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the original study's files")
    parser.add_argument("--peer", help="python of an environment with rust_circuit")
    parser.add_argument("--references", type=int, default=10_000)
    parser.add_argument("--rungs", nargs="+")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = find_task("parens") if options.data is None else find_task("parens").variant("redwood", options.data)
    if options.one:
        print(json.dumps(measure(task, options.rungs[0], options.references)))
        return
    names = [hypothesis.name.rpartition("/")[2] for hypothesis in task.ladder()]
    rungs: list[str] = options.rungs or (list(PEER_RUNGS) if options.peer else names)
    table = Table(
        title=f"{task.name}, {options.references:,} references, one draw, one thread, torch {torch.__version__}"
    )
    for column in ("rung", "first s", "further s", "÷ plain", "operations ÷ plain", "peak MB"):
        table.add_column(column, justify="left" if column == "rung" else "right")
    for column in ("peer s", "peer ÷ first", "peer ÷ further", "peer peak MB") if options.peer else ():
        table.add_column(column, justify="right")
    shared = [] if options.data is None else ["--data", str(options.data)]
    count = ["--references", str(options.references)]
    for rung in rungs:
        ours = json.loads(apart(sys.executable, "-m", "benchmarks.speed", "--one", "--rungs", rung, *shared, *count))
        cells = [rung, f"{ours['first']:.2f}", f"{ours['further']:.4f}", f"{ours['further'] / ours['plain']:.2f}"]
        cells += [f"{ours['operations']:.3f}", f"{ours['memory']:.0f}"]
        if options.peer:
            theirs = peer(options.peer, options.data or Path(), rung, options.references)
            seconds = theirs["seconds_total"]
            cells += [f"{seconds:.2f}", f"{seconds / ours['first']:.1f}", f"{seconds / ours['further']:.0f}"]
            cells += [f"{theirs['peak_rss_mb']:.0f}"]
        table.add_row(*cells)
        print(rung, "done", file=sys.stderr, flush=True)
    Console(width=140).print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["induction"]:
        from benchmarks.speed import induction

        induction.main(sys.argv[2:])
    elif sys.argv[1:2] == ["draws"]:
        from benchmarks.speed import draws

        draws.main()
    elif sys.argv[1:2] == ["verdict"]:
        from benchmarks.speed import verdict

        verdict.main(sys.argv[2:])
    elif sys.argv[1:2] == ["gpu"]:
        from benchmarks.speed import gpu

        gpu.main(sys.argv[2:])
    elif sys.argv[1:2] == ["large"]:
        from benchmarks.speed import large

        large.main(sys.argv[2:])
    elif sys.argv[1:2] == ["plan"]:
        from benchmarks.speed import plan

        plan.main(sys.argv[2:])
    elif sys.argv[1:2] == ["waits"]:
        from benchmarks.speed import waits

        waits.main(sys.argv[2:])
    elif sys.argv[1:2] == ["record"]:
        from benchmarks.speed import record

        record.main(sys.argv[2:])
    else:
        main()
