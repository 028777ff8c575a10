"""The gallery of every hypothesis that ships, with its claims drawn on the model, written into `docs/gallery.md`.

    python -m benchmarks.gallery                    # the ladders on models that ship
    python -m benchmarks.gallery --original DIR     # and the original study's

Verdicts and scores are those of `docs/reference/verdicts-of-what-we-ship.md`; nothing is run. Suites that are not drawn
keep what the page has.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from benchmarks.verdicts.words import SUITES
from scrubbing import Hypothesis, Task
from scrubbing.experiment import find_task

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PICTURES = DOCS / "gallery.md", DOCS / "gallery"
VERDICTS = DOCS / "reference" / "verdicts-of-what-we-ship.md"
_ROW = re.compile(r"^\| \[(?P<rung>[^]]+)\]\(#(?P<anchor>[^)]+)\) \| (?P<word>[^|]+) \| (?P<recovered>[^|]+) \|", re.M)


def verdicts(task: str) -> dict[str, tuple[str, str, str]]:
    """Of every rung of a suite that has a verdict: its anchor on that page, the word, and what is recovered."""
    part = re.search(
        rf"^<!-- {re.escape(task)} -->$(.*?)^<!-- end of", VERDICTS.read_text(encoding="utf-8"), re.M | re.S
    )
    found = _ROW.finditer(part[1]) if part else ()
    return {one["rung"]: (one["anchor"], one["word"].strip(), one["recovered"].strip()) for one in found}


def picture(task: str, rung: str) -> str:
    """The name of the file with a rung's drawing."""
    return f"{task}-{rung}".replace("+", "-and-") + ".svg"


def suite(task: Task) -> str:
    """The part of the page about one suite; its drawings are written."""
    title, about = SUITES[task.name]
    experiment = task.experiment()
    known = verdicts(task.name)
    blocks = [f"## {title}", about.replace("](../", "](")]
    for one in task.ladder():
        rung = one.name.rpartition("/")[2]
        (PICTURES / picture(task.name, rung)).write_text(experiment.drawing(one), encoding="utf-8")
        blocks += _rung(task.name, rung, one, known.get(rung))
    return "\n\n".join(blocks)


def _rung(task: str, rung: str, one: Hypothesis, verdict: tuple[str, str, str] | None) -> Iterator[str]:
    yield f"### {task}: {rung}"
    yield f"*{one.sentence}*"
    if verdict is None:
        yield "No verdict yet."
    else:
        anchor, word, recovered = verdict
        yield f"**{word}**, {recovered} of the null recovered ([why](reference/verdicts-of-what-we-ship.md#{anchor}))."
    alt = f"The claims of {one.name} on the model's graph".replace("]", "")
    yield f"![{alt}](gallery/{picture(task, rung)})"


def main() -> None:
    """Draw every suite, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suites", nargs="*", default=[name for name in SUITES if name != "parens-original"])
    parser.add_argument("--original", type=Path, help="folder with the original study's files")
    options = parser.parse_args()
    tasks = [find_task(name) for name in options.suites]
    if options.original is not None:
        tasks.append(find_task("parens").variant("redwood", options.original))
    PICTURES.mkdir(exist_ok=True)
    for task in tasks:
        page = PAGE.read_text(encoding="utf-8")
        mark = f"(<!-- {task.name} -->\n).*?(<!-- end of {task.name} -->)"
        made = suite(task)
        page, times = re.subn(mark, lambda found, made=made: f"{found[1]}{made}\n\n{found[2]}", page, flags=re.DOTALL)
        assert times == 1, f"docs/gallery.md has no place for {task.name}: add its two marks"
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
