"""The page as people see it: opened in headless Chromium, at two widths, in the dark, without scripts, and printed."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from scrubbing.report.page import page
from scrubbing.report.view import said

VIEWS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "wide": {"viewport": {"width": 1400, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 740}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "dark phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
    "without scripts": {"viewport": {"width": 1280, "height": 900}, "java_script_enabled": False},
}
PAGES = ("full", "ladder", "old")


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this file.

    Skipped where there is none: install Chromium or Chrome, and the tests run.
    """
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path: install one to run this")
    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=found[0], args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory, full, old, inputs, history, verdicts) -> dict[str, Path]:
    """A record with every field, several in one page, and an old record alone."""
    folder = tmp_path_factory.mktemp("pages")
    texts = {
        "full": page([full], [inputs], history, verdicts),
        "ladder": page([full, *old], [inputs, None, None], history, verdicts),
        "old": page([old[0]]),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture
def opened(browser, files):
    """Open a page in a view; what it says to the console or asks of anyone else fails the test."""
    contexts, told, asked = [], [], []

    def open_(name: str, view: str = "desktop") -> Any:
        context = browser.new_context(**VIEWS[view])
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: told.append(message.text))
        tab.on("pageerror", lambda error: told.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(files[name].as_uri())
        return tab

    yield open_
    for context in contexts:
        context.close()
    assert told == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in asked if url.startswith("file:")]) == len(contexts)


def unfold(tab: Any) -> None:
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")


@pytest.mark.parametrize("view", ["desktop", "phone"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_hangs_over_the_edge(opened, name, view):
    tab = opened(name, view)
    unfold(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= VIEWS[view]["viewport"]["width"]


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_cut_on_a_wide_page(opened, name):
    tab = opened(name, "wide")
    unfold(tab)
    cut = tab.evaluate("""() => [...document.querySelectorAll('.box')]
        .filter(box => box.scrollWidth > box.clientWidth + 1).map(box => box.getAttribute('aria-label'))""")
    assert cut == []


@pytest.mark.parametrize("name", PAGES)
def test_what_a_card_says_stands_in_one_cell_beside_its_label(opened, name):
    tab = opened(name, "phone")
    broken = tab.evaluate("""() => [...document.querySelectorAll('.cards td[data-label]')]
        .filter(cell => [...cell.childNodes].filter(one => one.textContent.trim()).length > 1)
        .map(cell => cell.textContent)""")
    assert broken == []


@pytest.mark.parametrize("view", [pytest.param("desktop", marks=pytest.mark.slow), "dark", "dark phone"])
@pytest.mark.parametrize("name", PAGES)
def test_nobody_is_shut_out(opened, name, view):
    tab = opened(name, view)
    unfold(tab)
    # The page's policy forbids scripts inside it; axe is put there by the tool, past the policy.
    found = Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_labels_of_charts_do_not_overlap(opened, name):
    tab = opened(name, "phone")
    unfold(tab)
    overlapping = tab.evaluate("""() => [...document.querySelectorAll('svg.rows')].flatMap(svg => {
        const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
        return texts.flatMap(([a, p], i) => texts.slice(i + 1)
            .filter(([b, q]) => p.left < q.right && q.left < p.right && p.top < q.bottom - 1 && q.top < p.bottom - 1)
            .map(([b]) => a + ' / ' + b));
    })""")
    assert overlapping == []


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_everything_can_be_read(opened, files, name, full, old):
    tab = opened(name, "without scripts")
    shown = tab.inner_text("main")
    for record in {"full": [full], "ladder": [full], "old": [old[0]]}[name]:
        assert record.claim in shown
        for line in said(record):
            assert line in shown
    lists = tab.locator("table.listing")
    if lists.count():
        assert tab.locator("table.listing tbody tr").count() == 120 and tab.locator("table.listing button").count() == 0


def test_a_list_of_inputs_is_sorted_and_filtered(opened, inputs):
    tab = opened("full")
    tab.locator("details.list", has=tab.locator("table.listing")).locator("summary").click()
    rows = "table.listing tbody tr"
    costs = "all => all.map(row => +row.cells[3].dataset.sort)"
    before = tab.eval_on_selector_all(rows, costs)
    assert before == sorted(before, reverse=True)
    tab.get_by_label("sort by cost").click()
    assert tab.eval_on_selector_all(rows, costs) == sorted(before)
    assert tab.locator("table.listing th[aria-sort=ascending]").inner_text().startswith("cost")
    wanted = tab.eval_on_selector(rows, "row => row.cells[0].textContent")
    tab.locator(".filter input").fill(wanted)
    shown = tab.eval_on_selector_all(f"{rows}:not([hidden])", "all => all.map(row => row.textContent)")
    assert shown and all(wanted in text for text in shown)
    assert tab.locator(".filter output").inner_text() == f"{len(shown)} of {len(before)}"


def test_every_number_is_explained(opened):
    """By words beside it, or by a link over it or before it that leads to an explanation on the page."""
    for name in PAGES:
        tab = opened(name)
        unexplained = tab.evaluate("""() => [...document.querySelectorAll('.number')].filter(number => {
            const cell = number.closest('td, dd'), row = cell.closest('tr');
            const over = row ? row.closest('table').tHead.rows[0].cells[cell.cellIndex] : cell.parentNode;
            const link = over.querySelector('a.term'), words = cell.parentNode.querySelector('.words');
            if (link) return !document.querySelector(link.getAttribute('href')).textContent.trim();
            return !(words && words.textContent.trim());
        }).map(number => number.dataset.name)""")
        assert unexplained == [], name


@pytest.mark.parametrize("view", ["desktop", "phone"])
def test_every_claim_is_on_the_drawing_and_every_variable_joined(opened, full, view):
    tab = opened("full", view)
    drawn = tab.locator("svg.correspondence:visible")
    assert drawn.count() == 1
    told = drawn.evaluate("one => [...one.querySelectorAll('[data-chip] title')].map(title => title.textContent)")
    for branch in full.branches:
        assert any(branch.line in text for text in told), branch.line
    joins = drawn.evaluate("one => [...one.querySelectorAll('.join')].map(j => [j.dataset.variable, j.dataset.node])")
    assert {tuple(one) for one in joins} == {
        ("balanced", "logits"), ("count", "a1.h0"), ("count", "a1.h1"), ("depth", "m0"), ("horizon", "a2.h0"),
    }  # fmt: skip
    outside = drawn.evaluate("""one => [...one.querySelectorAll('rect, text')].filter(part => {
        const box = part.getBoundingClientRect(), all = one.getBoundingClientRect();
        return box.right > all.right + 1 || box.left < all.left - 1 || box.bottom > all.bottom + 1;
    }).map(part => part.textContent)""")
    assert outside == []


def test_on_a_phone_no_cell_is_out_of_sight(opened):
    """What has many columns becomes cards, what has few is narrow; only text as it is may scroll, in its own box."""
    tab = opened("ladder", "phone")
    unfold(tab)
    cut = tab.evaluate("""() => [...document.querySelectorAll('table td, table th, .facts dd')]
        .filter(cell => cell.getBoundingClientRect().right > innerWidth + 1).map(cell => cell.textContent)""")
    assert cut == []


def test_what_is_worse_than_constant_is_unfolded(opened, old):
    tab = opened("ladder")
    assert tab.locator(f'article[data-hypothesis="{old[0].hypothesis}"] .claim').is_visible()


def numbers(tab: Any, hypothesis: str) -> dict[str, list[float]]:
    rows = tab.eval_on_selector_all(
        f'article[data-hypothesis="{hypothesis}"] .number',
        "all => all.map(one => [one.dataset.name, one.dataset.value, one.dataset.low, one.dataset.high])",
    )
    return {name: [float(value) for value in values if value is not None] for name, *values in rows}


@pytest.mark.parametrize("name", PAGES)
def test_the_numbers_are_the_records(opened, name, full, old):
    tab = opened(name)
    for record in {"full": [full], "ladder": [full, *old], "old": [old[0]]}[name]:
        read = numbers(tab, record.hypothesis)
        wanted = {f"loss.{name}": one for name, one in record.losses.items()}
        wanted |= {f"recovered.{one.baseline}": one.fraction for one in record.recovered if one.fraction}
        wanted |= {"lost": record.recovered[0].lost}
        wanted |= {f"stratum.{one.name}": one.scrubbed for one in record.strata}
        wanted |= {f"slice.{part.name}.loss.{key}": one for part in record.slices for key, one in part.losses.items()}
        wanted |= {one.name: one.value for one in record.measures}
        wanted |= {f"control.{one.name}.loss.scrubbed": one.losses["scrubbed"] for one in record.controls}
        if record.recalibrated and record.cancellation:
            wanted |= {"recalibrated": record.recalibrated.loss, "raised": record.cancellation.worse}
            wanted |= {"cancelled": record.cancellation.share, "worth": record.equivalent.amount}
            wanted |= {"cost.what is unclaimed": record.claim_costs[0].cost}
        assert {key: read[key] for key in wanted} == {
            key: [one.value, one.low, one.high] for key, one in wanted.items()
        }
        for one in record.recovered:
            assert (f"nines.{one.baseline}" in read) == (one.nines is not None)
            assert one.nines is None or read[f"nines.{one.baseline}"] == [one.nines]


def test_marks_stand_where_their_numbers_are(opened, full):
    """In pixels: every loss lies on the line through those of the lowest and the highest."""
    tab = opened("full")
    places = dict(
        tab.eval_on_selector_all(
            "svg.rows >> nth=0 >> .mark",
            "all => all.map(one => { const glyph = one.lastElementChild.getBoundingClientRect();"
            " return [one.dataset.name, glyph.left + glyph.width / 2] })",
        )
    )
    assert set(places) == set(full.losses)
    low, high = (full.losses[name].value for name in ("model", "null"))
    for name, loss in full.losses.items():
        share = (loss.value - low) / (high - low)
        assert places[name] == pytest.approx(places["model"] + share * (places["null"] - places["model"]), abs=1)


def test_nodes_tree_and_inputs(opened, full, inputs):
    tab = opened("full")
    nodes = dict(
        tab.eval_on_selector_all(".node[data-node]", "all => all.map(one => [one.dataset.node, one.dataset.state])")
    )
    assert nodes == {node.name: node.state for node in full.nodes}
    unfold(tab)
    letters = dict(
        tab.eval_on_selector_all(".node[data-node]", "all => all.map(one => [one.dataset.state, one.innerText[0]])")
    )
    assert letters == {"claimed": "C", "mixed": "M", "behind": "B", "unclaimed": "U"}
    tree = tab.inner_text(".tree")
    for branch in full.branches:
        assert branch.line in tree
        assert branch.sample is None or branch.sample.split()[0] in tree
    single = tab.inner_text("[data-section=inputs]")
    assert all(str(one.id) in single and one.text[:20] in single for one in full.worst)
    cells = tab.eval_on_selector_all(
        "[data-section=inputs] table >> nth=1 >> td", "all => all.map(one => one.innerText)"
    )
    assert sum(float(cell) for cell in cells if cell and "scrubbed" not in cell) == pytest.approx(len(inputs.counted()))


def test_a_row_of_the_overview_leads_to_its_hypothesis(opened, old):
    tab = opened("ladder")
    article = tab.locator(f'article[data-hypothesis="{old[1].hypothesis}"]')
    assert not article.is_visible()
    tab.keyboard.press("Tab")
    link = tab.locator("table a", has_text="signs")
    link.focus()
    tab.keyboard.press("Enter")
    article.wait_for(state="visible")


def test_print_opens_what_is_folded(opened, old):
    tab = opened("ladder")
    tab.emulate_media(media="print")
    assert tab.locator(f'article[data-hypothesis="{old[1].hypothesis}"] .claim').is_visible()
    tab.set_viewport_size({"width": 700, "height": 1000})  # A4 inside its margins
    assert tab.evaluate("document.documentElement.scrollWidth") <= 700


def test_headings_are_in_order(opened):
    for name in PAGES:
        tab = opened(name)
        levels = tab.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(one => +one.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
