"""Links between pages lead somewhere; `make docs` checks those of the site, but not those of pages outside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "tests").glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
    assert missing == []


def test_every_page_is_in_the_contents() -> None:
    docs = ROOT / "docs"
    listed: set[str] = set()
    for contents in (docs / "index.md", docs / "errors" / "index.md"):
        for block in re.findall(r"```\{toctree\}\n(.*?)```", contents.read_text(), re.S):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {str((contents.parent / f"{name}.md").relative_to(docs)) for name in names}
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md") if "_build" not in page.parts}
    assert pages - {"index.md"} == listed
