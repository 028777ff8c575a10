"""How far a hypothesis reaches: numbers worked out by hand inside and outside, and planted counterexamples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.groundtruth.catalogue import truth
from scrubbing import Experiment, Feature, Hypothesis, NoFraction, RunRecord, node
from scrubbing.experiment.measured import Reference
from scrubbing.experiment.verdict.runs import Runs, Sample
from scrubbing.experiment.verdict.scope import edge_of
from scrubbing.report import markdown
from scrubbing.report.page import page
from scrubbing.report.terminal import ladder_view, record_view, verdict_view
from tests.verdict.toys import OUT, claimed, copy, experiment, shown, variable, verdict_of, word

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 2, (2, 4000)).astype(np.float64)
EVERY = np.arange(4000)
IN_SCOPE = Feature("s", compute=lambda data: data["s"] > 0)
CARRIES_X = node("a").direct().carries(variable("x"))


def where(tenths: int) -> Any:
    """So many tenths of the inputs, bool."""
    return tenths > EVERY % 10


def limited(scope: Any, out: Callable[..., torch.Tensor], label: Any, **columns: Any) -> Experiment:
    """The output is a function of x, and of y where s is 0; the label is given."""
    nodes = {
        "a": copy("x"),
        "b": (lambda y, s: y * (1 - s), {"y": ["y"], "s": ["s"]}),
        "out": (out, {"a": ["a"], "b": ["b"]}),
    }
    return experiment(nodes, {"x": X, "y": Y, "s": scope * 1.0, **columns}, label, references=400)


def switched(tenths: int) -> Experiment:
    """x, outside of s also y; claimed is x where s. Outside the null loses 2 Var(x + y) = 1, the scrub half of it."""
    s = where(tenths)
    return limited(s, lambda a, b: a + b, X + Y * ~s)


def scoped() -> Hypothesis:
    return claimed(CARRIES_X, scope=IN_SCOPE)


@pytest.mark.parametrize(("tenths", "wanted"), [(2, "out of scope"), (4, "out of scope"), (6, "tight")])
def test_a_scope_that_leaves_out_most_inputs_on_which_it_fails(tenths: int, wanted: str) -> None:
    result = switched(tenths).verdict(scoped())
    found = verdict_of(result)
    assert found.scope is not None
    assert (found.scope.inside, found.scope.total) == (400 * tenths, 4000)
    outside = found.scope.outside
    assert outside is not None
    assert outside.se is not None
    assert abs(outside.value - 1 / 2) < 4 * outside.se
    assert word(result) == wanted
    assert ("scope" in found.reasons) == (wanted == "out of scope")


def test_a_narrow_scope_outside_of_which_it_holds_as_well() -> None:
    result = limited(where(1), lambda a, b: a, X).verdict(scoped())
    assert word(result) == "tight"
    scope = verdict_of(result).scope
    assert scope is not None
    assert scope.outside is not None
    assert (scope.outside.value, scope.outside_worst) == (1, [])


def test_what_is_insufficient_in_scope_is_so_first() -> None:
    other = claimed(node("a").direct().carries(variable("y")), scope=IN_SCOPE)
    assert word(switched(2).verdict(other)) == "insufficient"


def test_nothing_to_explain_outside() -> None:
    """Outside, the label is noise to the model."""
    s = where(2)
    result = limited(s, lambda a, b: a, np.where(s, X, RNG.integers(0, 2, 4000))).verdict(scoped())
    scope = verdict_of(result).scope
    assert scope is not None
    assert (scope.outside, word(result)) == (None, "tight")
    assert scope.why_not == "the model is no better than the null there"


def test_a_scope_of_all_inputs_has_no_outside() -> None:
    result = limited(where(10), lambda a, b: a, X).verdict(scoped())
    scope = verdict_of(result).scope
    assert scope is not None
    assert (scope.outside, scope.why_not) == (None, "no input is outside")


def test_claims_that_cannot_be_tested_outside() -> None:
    """There no input agrees with another on what is claimed, though there are values, and none may draw itself."""
    s = where(9)
    number = np.where(s, X, EVERY)
    made = limited(s, lambda a, b: a, X, number=number)
    claims = node("a").direct().carries(variable("number"), exclude_self=True)
    found = made.scope(made.run(claimed(claims, scope=IN_SCOPE)))
    assert found.outside is None
    assert found.why_not.startswith("no input other than itself has number")


def rare() -> Experiment:
    """y is added on a few inputs only, which are rare in scope."""
    where_added = np.isin(EVERY, np.arange(7, 4007, 40))
    return limited(~where_added, lambda a, b: a + 3 * b, X + 3 * Y * where_added)


def test_counterexamples_are_found_and_measured_again() -> None:
    """Of a hypothesis without a scope: x, where 100 of 4,000 inputs add 3 y. Those with y = 1 lose it nearly always."""
    made = rare()
    result = made.run(claimed(CARRIES_X))
    found = made.scope(result)
    added = np.arange(7, 4007, 40)
    assert (found.inside, found.total, found.outside) == (4000, 4000, None)
    assert len(found.inside_worst) == 5
    for one in found.inside_worst:
        assert one.id in added
        assert Y[one.id] == 1
        assert one.scrubbed - one.model > 8  # (3 y)^2, but for draws that add 3 as well
        assert one.moved > 1


def test_what_looked_worst_by_chance_is_no_counterexample() -> None:
    """Each input is moved far in one draw of 50, none more than another. Of 6,400 draws in the search some inputs are
    moved in two of four, and look as far as other inputs; in new draws they are as all others.
    """
    x, y = RNG.random((2, 4000))

    def hit(x: Any, y: Any) -> Any:
        return (9973 * x + 9901 * y) % 1 < 0.02

    while (own := hit(x, y)).any():
        y = np.where(own, RNG.random(4000), y)
    made = limited(where(0), lambda a, b: a + 0.5 * hit(a, b), x, x=x, y=y)
    result = made.run(claimed(node("a").direct().carries(OUT)))
    assert np.sort((result.losses["scrubbed"] > 0.2).mean(axis=1))[-1] >= 1 / 4
    assert made.scope(result).inside_worst == []


def test_a_model_that_is_no_better_than_the_null() -> None:
    made = limited(where(5), lambda a, b: a, RNG.integers(0, 2, 4000).astype(np.float64))
    with pytest.raises(NoFraction, match="SCR-FRACTION"):
        made.scope(made.run(scoped()))


def test_the_share_in_scope_is_in_every_table() -> None:
    made = switched(2)
    results = [made.verdict(scoped()), made.run(replace(claimed(CARRIES_X), name="all"))]
    records = [RunRecord.model_validate_json(one.record().model_dump_json()) for one in results]
    assert [(one.provenance.inputs_in_scope, one.provenance.inputs) for one in records] == [(800, 4000), (4000, 4000)]
    told = "800 of 4,000, 20.0 % of the dataset"
    for text in (shown(record_view(records[0])), markdown(records[:1]), page(records[:1])):
        assert told in text
    said = shown(verdict_view(records[0]))
    assert "In scope are 800 of 4,000 inputs, 20.0 %; on the 800 at its edge 100.0 %" in said
    assert "outside, the same claims recover" in said
    for text in (shown(ladder_view(records, "two")), markdown(records), page(records)):
        assert "in scope %" in text
        assert "100.0" in text
    assert "in scope %" not in shown(ladder_view(records[1:], "one"))


def test_the_word_says_where() -> None:
    said = shown(verdict_view(switched(2).verdict(scoped()).record()))
    assert "Out of scope: 100.0 %" in said
    assert "in scope, which is 20.0 % of the dataset, and only" in said


# --- the edge


def fading(**columns: Any) -> Experiment:
    """In scope is k > 0. The output is x, and on inputs with k = 1, which are one step from outside, x + y."""
    k = EVERY % 4 * 1.0
    nodes = {
        "a": copy("x"),
        "b": (lambda y, k: y * (k <= 1), {"y": ["y"], "k": ["k"]}),
        "out": (lambda a, b: a + b, {"a": ["a"], "b": ["b"]}),
    }
    return experiment(nodes, {"x": X, "y": Y, "k": k, **columns}, X + Y * (k <= 1), references=400)


K = Feature("k", compute=lambda data: data["k"] > 0)


def test_what_is_lost_at_the_edge_of_a_scope() -> None:
    """Nearest to an input outside are inputs that differ in k alone: all of them, where x and y are bits."""
    found = verdict_of(fading().verdict(claimed(CARRIES_X, scope=K))).scope
    assert found is not None and found.edge is not None
    assert (found.edge.distance, found.edge.inputs) == (1, 2000)
    assert found.edge.recovered is not None
    assert 0.5 < found.edge.recovered.value < 1


def test_the_edge_is_where_inputs_differ_least_from_those_outside() -> None:
    """Beside k, four more columns are those of inputs outside where k is 1, and of no input outside elsewhere.

    There the null loses 2 Var x + E (y - y')^2 and the scrub E (y - y')^2, y' being 0 unless its k is 1, which it is
    for one input of three: Var x = 1/4, and E (y - y')^2 = 1/2 - 2 / 12 + 1 / 6 = 1/2. Not lost is a half.
    """
    near = EVERY % 4 < 2
    columns = {f"far_{i}": np.where(near, 0.0, 1.0) for i in range(4)}
    made = fading(**columns)
    result = made.run(claimed(CARRIES_X, scope=K))
    edge = edge_of(result.job)
    assert edge.distance == 1
    assert (result.job.data["k"][edge.rows] == 1).all()
    found = made.scope(result).edge
    assert found is not None and found.recovered is not None and found.recovered.se is not None
    assert abs(found.recovered.value - 1 / 2) < 4 * found.recovered.se
    assert RunRecord.model_validate_json(made.verdict(claimed(CARRIES_X, scope=K)).record().model_dump_json())


def test_distances_against_pairs_one_by_one() -> None:
    """On tokens, compared with a loop over all pairs; a seed's program with a trigger differs from one outside."""
    of = truth("trigger", 3)
    made = Experiment(of.model, of.data, of.loss, baselines=False)
    job = made.run(of.tight[0]).job
    edge = edge_of(job)
    tokens, inside = of.data["tokens"], of.data["untriggered"]
    nearest = {
        int(i): min(int((tokens[i] != other).sum()) for other in tokens[~inside]) for i in np.flatnonzero(inside)
    }
    limit = sorted(nearest.values())[int(np.ceil(0.1 * len(nearest))) - 1]
    assert edge.distance == limit
    ids = job.data.ids[edge.rows].tolist()
    assert sorted(ids) == [i for i, distance in nearest.items() if distance <= limit]


def test_a_scope_of_all_inputs_has_no_edge() -> None:
    found = limited(where(10), lambda a, b: a, X).scope(limited(where(10), lambda a, b: a, X).run(scoped()))
    assert found.edge is None


def test_the_edge_is_shown() -> None:
    said = shown(verdict_view(fading().verdict(claimed(CARRIES_X, scope=K)).record()))
    assert "on the 2,000 at its edge" in said
    assert "2,000 inputs in scope that differ from one outside in at most 1 entry" in said


def test_what_was_measured_of_one_sample_is_not_taken_for_another() -> None:
    """A sample that is gone leaves its id to the next one; what was measured must not go with it."""
    made = limited(where(10), lambda a, b: a, X)
    runs = Runs.of(made.run(scoped()), made.executor)
    slices = runs.scrub.reference.slices
    for n in range(1, 30):
        sample = Sample(Reference(runs.data, np.arange(n), slices), 2, 0, whole=False)
        (losses,) = runs.losses_of([(sample, runs.scrub.mode)])
        assert losses.shape == (n, 2)
        del sample
