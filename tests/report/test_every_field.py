"""Every outlet shows every record: each optional field absent and present, and whatever else the schema allows."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from scrubbing import UsageError
from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import RunRecord
from scrubbing.report.frames import to_frame
from scrubbing.report.markdown import markdown
from scrubbing.report.page import fragment, page
from scrubbing.report.plot import plot
from scrubbing.report.terminal import ladder_view, listing_view, record_view, section_view
from scrubbing.report.view import Entry
from scrubbing.report.view.changes import comparison, listing
from tests.thin import thinned

from .schema import example, numbers, optional, records, with_numbers, without


def inputs(n=12, **more):
    rng = np.random.default_rng(0)
    columns = {f"loss.{name}": rng.exponential(size=n) for name in ("model", "scrubbed", "null")}
    return InputTable({"id": np.arange(n), "text": np.array(["a b"] * n), "weight": np.ones(n), **columns, **more})


def terminal(*views, width=100):
    console = Console(file=io.StringIO(), width=width)
    for view in views:
        console.print(view)
    return console.file.getvalue()


def frame(record):
    table = to_frame([record, record])
    return "\n".join(
        str(value) for row in table.to_dict("records") for value in row.values() if value == value and value
    )


def figure(record, folder, kind):
    path = plot([record, record], folder / f"{kind}.svg", kind, inputs=[inputs(), inputs()])
    return "\n".join(re.findall(r"<text[^>]*>([^<]*)", path.read_text()))


OUTLETS = {
    "terminal": lambda record: terminal(record_view(record)),
    "narrow terminal": lambda record: terminal(record_view(record), width=60),
    "ladder": lambda record: terminal(ladder_view([record, record], "ladder")),
    "list": lambda record: listing_view(listing([("a.json", record)])),
    "comparison": lambda record: terminal(section_view(comparison((record, inputs()), (record, inputs()), 0.025))),
    "page": lambda record: page([Entry(record, inputs(), history=[record.model_copy(update={"claim": "other"})])]),
    "page of two": lambda record: page([record, record], [inputs(), None]),
    "fragment": fragment,
    "Markdown": lambda record: markdown([record, record]),
    "frame": frame,
}
WRONG = re.compile(r"\b(None|nan|NaN|inf)\b|(?<![\d.e])-0\.0+(?![\de])|\[([-+]?[\d.,]+), \2\]")
"""What a reader must never see: Python's nothing, no number, a minus zero, an interval without width."""


def check(outlet, text):
    found = WRONG.search(text)
    assert found is None, f"{outlet}: ...{text[max(0, found.start() - 80) : found.end() + 20]!r}"


UNSHOWN = {
    "references_digest": "says nothing to a reader; what differs is said beside another record",
    "strata.rest_model": "in the note that a stratum fails",
    "strata.rest_scrubbed": "in the note that a stratum fails",
    "variables.code": "a hash, which the gate compares",
    "claims_text": "only where there are no branches",
    "equivalent.beyond": "only where there is no amount",
    "equivalent.end": "only where there is no amount",
    "shared.value": "only of a stratum",
    "size.conditional": "only where it is less than what is claimed",
    "controls.outcome": "only where no other hypotheses are counted",
    "controls.several.wanted": "only where there are fewer of them",
    "tested.unspecific.recovered": "only of a control that counts no other hypotheses",
    "tested.unsettled.recovered": "only of a control that counts no other hypotheses",
    "tested.reasons": "codes of what the verdict's sentence says",
    "tested.interpretation.wrong": "in the sentence, where values are wrong",
    "tested.perturbed.interpretation.label": "of the references, as without the perturbation",
    "tested.perturbed.interpretation.wrong": "in the sentence, where values are wrong",
    "tested.tighter_stored": "the tree of the same hypothesis is shown",
}
"""Fields whose absence is not seen, and why."""
LEFT_OUT = {("stored", outlet) for outlet in ("terminal", "narrow terminal", "Markdown")}
LEFT_OUT |= {(f"tested.claims.{name}", "narrow terminal") for name in ("coarser", "coarser.classes", "free")}
"""JSON is on the page alone; programs have the record. The last column of a table that is too wide is left out, and the
table says so."""


@pytest.fixture(scope="module")
def everything_shown():
    """One of everything, in the outlets that show all there is to one record."""
    record = RunRecord.model_validate(example())
    return {
        outlet: OUTLETS[outlet](record) for outlet in ("terminal", "narrow terminal", "page", "Markdown", "fragment")
    }


@pytest.mark.parametrize("path", [*optional()])
def test_every_optional_field_absent_in_every_outlet(path, everything_shown):
    """And taking it away is seen, so that a field which is added to the schema must be said."""
    record = RunRecord.model_validate(without(example(), path))
    for outlet, show in OUTLETS.items():
        text = show(record)
        check(outlet, text)
        if path not in UNSHOWN and outlet in everything_shown and (path, outlet) not in LEFT_OUT:
            assert (text == everything_shown[outlet]) is False, f"{path} is not said in {outlet}"


@pytest.mark.parametrize("path", thinned([None, *(path for path in optional() if "." not in path)]))
def test_records_as_runs_make_them_without_each_field(path, full):
    """The first case takes nothing away."""
    record = RunRecord.model_validate(full.model_dump() if path is None else without(full.model_dump(), path))
    for outlet, show in OUTLETS.items():
        check(outlet, show(record))


@pytest.mark.parametrize("path", thinned([None, *(path for path in optional() if "." not in path)]))
def test_figures_without_each_field(path, full, tmp_path):
    record = RunRecord.model_validate(full.model_dump() if path is None else without(full.model_dump(), path))
    for kind in ("losses", "inputs", "recovered"):
        if (kind, path) == ("recovered", "recovered"):
            with pytest.raises(UsageError, match="no fractions recovered to draw"):
                figure(record, tmp_path, kind)
        else:
            check(kind, figure(record, tmp_path, kind))


@pytest.mark.parametrize(
    "ends",
    [
        {"low": None, "high": None, "se": None},
        {"value": 0.3, "low": 0.3, "high": 0.3},
        {"value": -1e-9, "low": -2e-9, "high": 1e-9},
        {"value": 1e-7, "low": 0.0, "high": 2e-7},
        {"value": -0.0, "low": -0.0, "high": 0.0},
        {"value": 1.0, "low": 1.0, "high": 1.0, "se": 0.0},
        {"value": 1.0, "low": 0.9999999, "high": 1.0},
        {"value": 2e8, "low": 199999999.0, "high": 200000001.0},
    ],
    ids=["no interval", "no width", "tiny", "tiny and positive", "minus zero", "perfect", "nearly perfect", "large"],
)
def test_estimates_of_every_size_in_every_outlet(ends, full, tmp_path):
    dumped = full.model_dump()
    for path in numbers():
        dumped = with_numbers(dumped, path, ends)
    record = RunRecord.model_validate(dumped)
    for outlet, show in OUTLETS.items():
        check(outlet, show(record))
    for kind in ("recovered", "losses"):
        check(kind, figure(record, tmp_path, kind))


PLAIN = ("terminal", "page", "Markdown", "fragment")


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("scope", "starts_open"),
        ("measures", "most likely prediction differs"),
        ("strata", "not horizon fails"),
        ("slices", "second of a repeated bigram"),
        ("controls", "weights drawn anew"),
        ("claims", "4,321"),
        ("notes", "nobody has worded it"),
        ("source", "beliefs.py::every_field"),
        ("variables", "count_ok &"),
        ("branches", "a1.h0 | a1.h1 carries count"),
        ("nodes", "a2.h1"),
        ("size", "2.5 of 16.6"),
        ("cancellation", "mean decrease, likewise"),
        ("carried", "6.5 of 300"),
        ("recalibrated", "temperature 2.500"),
        ("equivalent", "checkpoints of the same model"),
        ("worst", "1003"),
        ("shared", "worst inputs contain"),
        ("inputs", "every-field.parquet"),
        ("claim_costs", "what is unclaimed"),
        ("accepted", "because"),
    ],
)
def test_what_a_record_holds_is_in_every_outlet(field, shown, full):
    """And goes where the field does."""
    bare = RunRecord.model_validate(without(full.model_dump(), field))
    for outlet in PLAIN:
        with_it, without_it = (" ".join(_words(OUTLETS[outlet](one)).split()) for one in (full, bare))
        assert with_it.count(shown) > without_it.count(shown), outlet


def _words(text):
    import html

    return html.unescape(re.sub(r"[│╭╮╰╯─]", " ", text))


def test_a_frame_has_what_has_a_name(full):
    row = to_frame([full]).iloc[0]
    for name in (
        "kl",
        "changed",
        "raised",
        "lowered",
        "cancelled",
        "recalibrated",
        "worth",
        "bits",
        "scope",
        "accepted",
    ):
        assert row[name] == row[name] and row[name] is not None, name
    for name in ("stratum.balanced", "slice.all.loss.null", "control.weights drawn anew.recovered", "lost.high"):
        assert row[name] == row[name], name
    assert "nobody has worded it" in row["notes"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(record=records(), outlet=st.sampled_from(sorted(OUTLETS)))
def test_any_record_in_any_outlet(record, outlet):
    OUTLETS[outlet](record)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(record=records())
def test_any_record_survives_being_stored(record):
    assert RunRecord.model_validate_json(record.model_dump_json()) == record
