"""The command that reads circuits of other tools: import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Optional

import typer

from scrubbing.cli.common import DataFile, app, prints_our_errors, say
from scrubbing.errors import FileError, fail


@app.command(name="import")
@prints_our_errors
def import_(
    file: Annotated[Path, typer.Argument(help="What another tool wrote.")],
    model: Annotated[
        str, typer.Argument(help="The model it is about: folder, file or name on the hub; a task; or FILE.py::name.")
    ],
    kind: Annotated[
        str,
        typer.Option(
            "--from",
            help="edges, eap (also EAP-IG and MIB), acdc, auto-circuit, transformer-lens, pyvene, torchwright or "
            "circuit-tracer.",
        ),
    ],
    data: DataFile = None,
    top: Annotated[Optional[int], typer.Option(help="Keep so many, by absolute score.")] = None,  # noqa: UP045
    threshold: Annotated[float | None, typer.Option(help="Keep what scores at least this, in absolute value.")] = None,
    dictionary: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Folder of a transcoder that an attribution graph speaks of; may be repeated."),
    ] = None,
    out: Annotated[Optional[Path], typer.Option(help="Write the hypothesis to this file, as JSON.")] = None,  # noqa: UP045
) -> None:
    """Read a circuit that another tool found as a hypothesis, and say what the file could not."""
    from scrubbing.circuits import read_circuit
    from scrubbing.cli.listing import graph_named
    from scrubbing.parts import read_dictionary

    held = [read_dictionary(folder) for folder in dictionary or ()]
    found = read_circuit(file, kind, graph_named(model, data), top=top, threshold=threshold, dictionaries=held)
    say(str(found))
    if out is None:
        return
    try:
        out.write_text(json.dumps(found.hypothesis.to_json(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        fail(FileError, "SCR-FILE", f"it cannot be written ({error.strerror}).", "Name another file.", str(out))
    say(f"\nwrote {out}; now: scrub run {out} --task TASK, or --model MODEL --data FILE")
