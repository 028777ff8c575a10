"""The command that searches for a hypothesis: search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast

import typer

from scrubbing.cli.asked import changed_settings
from scrubbing.cli.common import (
    AsJson,
    Device,
    Dtype,
    Out,
    Seed,
    Threads,
    app,
    console,
    print_json,
    prints_our_errors,
    say,
)
from scrubbing.errors import UsageError, fail

if TYPE_CHECKING:
    from scrubbing.data.features import Feature
    from scrubbing.search.choices import By
    from scrubbing.search.found import Found


Named = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Features to name: FILE.py::name, module:name, or all of a FILE.py or module; may be repeated."),
]
Generated = Annotated[
    bool, typer.Option("--generated/--no-generated", help="Also name features of the tokens, and the label.")
]
Scope = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help="Address of a boolean feature: only inputs on which it is true are claimed about."),
]
Through = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Kind of node to look through, such as mlp: nothing is claimed about it; may be repeated."),
]
Depth = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Claims on the longest path from the output down; the default is as far as it goes."),
]
How = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--by", help="What proposes what to leave out: tests (the default), attribution, or gradient."),
]
Adversarial = Annotated[
    bool,
    typer.Option("--adversarial", help="With --by gradient: fit against the worst of what may still come through."),
]
Budget = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(min=1, help="Scrubbed examples, about as many forward passes; the default is what it takes."),
]
Random = Annotated[int, typer.Option(min=0, help="Other hypotheses of the same size to compare with.")]
Ladder = Annotated[bool, typer.Option("--ladder/--no-ladder", help="Run the task's own hypotheses beside.")]
Nowhere = Annotated[bool, typer.Option("--controls/--no-controls", help="Also search where there is nothing to find.")]
Name = Annotated[Optional[str], typer.Option(help="Of the hypothesis; the default is TASK/found.")]  # noqa: UP045


@app.command()
@prints_our_errors
def search(
    task: Annotated[str, typer.Argument(help="A task: its name, such as parens, or FILE.py::name.")],
    features: Named = None,
    by: How = None,
    adversarial: Adversarial = False,
    generated: Generated = True,
    scope: Scope = None,
    through: Through = None,
    depth: Depth = None,
    budget: Budget = None,
    margin: Annotated[float, typer.Option(help="Share of the gap that may be lost in all.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="Chance that something needed is given up.")] = 0.05,
    random: Random = 200,
    ladder: Ladder = True,
    controls: Nowhere = True,
    name: Name = None,
    seed: Seed = None,
    json_: AsJson = False,
    out: Out = None,
    threads: Threads = None,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Search for a hypothesis: what matters, and the coarsest features that it may be said to carry, by tests."""
    from scrubbing.experiment.address import task_at
    from scrubbing.report.terminal import section_view
    from scrubbing.report.view.search import search as section_of
    from scrubbing.search.found import search as searched

    if threads is not None:
        from scrubbing.models.threads import use_threads

        use_threads(threads)
    of = task_at(task, task)
    found = searched(
        of.experiment(**changed_settings(None, None, device=device, dtype=dtype)),
        [one for address in features or () for one in _features(address)],
        beside=list(of.ladder()) if ladder else [],
        out=out,
        by=cast("By", by or "tests"),
        adversarial=adversarial,
        generated=generated,
        scope=None if scope is None else next(_features(scope)),
        through=tuple(through or ()),
        depth=depth,
        budget=budget,
        margin=margin,
        alpha=alpha,
        random=random,
        controls=None if controls else (),
        name=name or f"{of.name}/found",
        seed=of.settings.seed if seed is None else seed,
    )
    if out is not None:
        _write(found, out)
    if json_:
        print_json(found.record)
        return
    say(f"{found.hypothesis}\n")
    console().print(section_view(section_of(found.record)))


def _features(address: str) -> Iterator[Feature]:
    """The feature at an address, or every one that a file or module defines.

    Raises:
        UsageError: SCR-ADDRESS, there is none.
    """
    from scrubbing.data.features import Feature
    from scrubbing.hypothesis.addresses import module_at, resolve

    named = ":" in address.replace("::", ":")
    found: Any = [resolve(address)] if named else list(vars(module_at(address)).values())
    if named and isinstance(found[0], (list, tuple)):
        found = found[0]
    wanted = [one for one in found if isinstance(one, Feature)]
    if not wanted:
        problem = f"{address} is, or has, no feature."
        fail(UsageError, "SCR-ADDRESS", problem, "Name a Feature, a list of them, or a file that defines some.")
    yield from dict.fromkeys(wanted)


def _write(found: Found, out: Path) -> None:
    """Records, hypotheses as source, the figure and the page."""
    from scrubbing.records.files import write
    from scrubbing.records.names import place
    from scrubbing.records.store import save
    from scrubbing.report.page import page
    from scrubbing.report.plot import plot
    from scrubbing.report.view.search import search as section_of

    records = [*found.record.found, *found.record.beside]
    for record in records:
        save(record, place(out, record.hypothesis))
    for one in found.hypotheses:
        path = place(out, one.name).with_suffix(".py")
        write(path, one.to_source().encode(), "the hypothesis")
        say(f"wrote {path}", stderr=True)
    first = place(out, found.hypothesis.name, "search")
    written = {
        first: found.record.model_dump_json(indent=1) + "\n",
        out / "search.html": page(records, lead=[section_of(found.record)]),
    }
    for path, text in written.items():
        write(path, text.encode(), "the search")
        say(f"wrote {path}", stderr=True)
    say(f"wrote {plot(records, out / 'search.svg', kind='size')}", stderr=True)
