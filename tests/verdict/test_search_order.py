"""What a search tries first, and what it does not try: slots by what is lost without them, cuts of a whole graph, and
tests that are not likely to pass.
"""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.groundtruth.catalogue import truth
from benchmarks.search.own import own_edges
from scrubbing import Classification, Dataset, Experiment, SquaredError, ToyModel
from scrubbing.experiment.verdict.runs import Rise
from scrubbing.search import elimination, path, propose
from scrubbing.search.choices import Choices
from scrubbing.search.elimination import reordered
from scrubbing.search.gated import Gated
from scrubbing.search.greedy import Greedy
from scrubbing.search.path import Path
from scrubbing.search.steps import Look, Lost, Steps
from scrubbing.search.where import needed

WEIGHTS = {"a": 0.2, "b": 1.0, "c": 0.001, "d": 0.1, "e": 0.3}


def summed():
    """A sum of five inputs, each of a weight of its own."""
    names = tuple(WEIGHTS)
    out = (lambda **read: sum(WEIGHTS[name] * x for name, x in read.items()), {name: [f"x{name}"] for name in names})
    model = ToyModel({f"x{name}": f"x{name}" for name in names}, {"logits": out})
    x = {f"x{name}": np.random.default_rng(i).normal(size=600) for i, name in enumerate(names)}
    label = sum(WEIGHTS[name] * x[f"x{name}"] for name in names)
    return Experiment(model, Dataset({**x, "label": label}), SquaredError("label"), baselines=False)


def gated(experiment):
    greedy = Greedy(experiment.subject, experiment.executor, (), Choices())
    greedy.steps.prepare(greedy.hypothesis())
    return Gated(experiment.subject, (), None, 0, greedy.steps.gap, greedy.steps.spread)


@pytest.mark.parametrize("passes", [0, 10**6])
def test_slots_go_in_the_order_of_what_is_lost_without_them(passes):
    of = gated(summed())
    slots = [gate.what for gate in of.gates.gates]
    wrong = {"c": 0.1, "b": 0.2, "e": 0.3, "d": 0.4, "a": 0.5}
    price = np.array([wrong[one] for one in slots])
    made = reordered(of, price, passes)
    assert sorted(made) == sorted(price)
    order = [slots[i] for i in np.argsort(made)]
    assert order == (sorted(slots, key=WEIGHTS.get) if passes else list(wrong))


@pytest.mark.parametrize("passes", range(0, 20_000, 700))
def test_no_more_passes_are_made_than_may_be_and_prices_are_only_exchanged(passes):
    of = gated(summed())
    before, price = of.examples, np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    assert sorted(reordered(of, price, passes)) == sorted(price)
    assert of.examples - before <= passes


def test_what_only_shifts_outputs_that_are_sure_goes_after_what_does_nothing():
    """An answer that is 80 to 1 in logits does not hang on eight of them, on any of these inputs."""
    x = {name: np.random.default_rng(i).choice([-1.0, 1.0], 600) for i, name in enumerate(("xa", "xb", "xc"))}

    def out(a, b, c):
        sure = 40 * a + 4 * b + 0 * c
        return torch.stack([-sure, sure], -1).reshape(len(sure), 2)

    model = ToyModel({name: name for name in x}, {"logits": (out, {"a": ["xa"], "b": ["xb"], "c": ["xc"]})})
    data = Dataset({**x, "label": (x["xa"] > 0).astype(np.int64)})
    of = gated(Experiment(model, data, Classification("label"), baselines=False))
    assert [gate.what for gate in of.gates.gates] == ["a", "b", "c"]
    assert np.argsort(reordered(of, np.array([0.5, 0.1, 0.2]), 10**6)).tolist() == [2, 1, 0]


def test_how_far_outputs_shift_is_seen_in_between_where_readers_are_saturated():
    """A sign has no slope at any input, and one that is steep in between; of a sum the slope is the same everywhere."""
    rng = np.random.default_rng(0)
    x = {"xs": rng.choice([-1.0, 1.0], 600), "xt": rng.normal(size=600)}
    model = ToyModel(
        {name: name for name in x}, {"logits": (lambda s, t: torch.tanh(20 * s) + 0.1 * t, {"s": ["xs"], "t": ["xt"]})}
    )
    of = gated(
        Experiment(model, Dataset({**x, "label": x["xs"] + 0.1 * x["xt"]}), SquaredError("label"), baselines=False)
    )
    assert [gate.what for gate in of.gates.gates] == ["s", "t"]
    every = np.array(
        [np.mean([of.shifts(of.batch(i), level) for i in range(10)], axis=0) for level in np.linspace(0, 1, 11)]
    )
    assert every[-1, 0] < 1e-6 * every[-1, 1] and every[0, 0] < 1e-6 * every[0, 1]
    assert every[:, 0].mean() > 10 * every[:, 1].mean()
    assert every[:, 1].min() > every[:, 1].max() / 3


@pytest.mark.parametrize("steep", [4, 8, 16])
def test_slots_of_which_gradients_say_too_much_go_first(steep):
    """Between two inputs a step is steep somewhere, so gradients take it for more than a slope that moves more."""
    rng = np.random.default_rng(0)
    weights = {f"s{i:02d}": 0.05 * 1.05**i for i in range(steep)} | {f"t{i}": 0.15 * 1.2**i for i in range(4)}
    x = {name: rng.normal(size=600) for name in weights}

    def out(**read):
        return sum(weights[name] * (torch.tanh(200 * x) if name[0] == "s" else x) for name, x in read.items())

    model = ToyModel({name: name for name in x}, {"logits": (out, {name: [name] for name in x})})
    label = sum(w * (np.tanh(200 * x[name]) if name[0] == "s" else x[name]) for name, w in weights.items())
    of = gated(Experiment(model, Dataset({**x, "label": label}), SquaredError("label"), baselines=False))
    slots = [gate.what for gate in of.gates.gates]
    shift = np.mean([of.shifts(of.batch(i), level) for i, level in enumerate((0.2, 0.5, 0.8))], axis=0)
    steps = np.array([one[0] == "s" for one in slots])
    assert shift[steps].max() > shift[~steps].min()
    order = np.argsort(reordered(of, 1 - np.arange(len(slots)) / 100, 10**6))
    assert steps[order].tolist() == [True] * steep + [False] * 4


@given(st.data(), st.integers(2, 40))
def test_gates_go_as_if_all_were_looked_at_each_time_if_none_gets_cheaper(data, n):
    """Costs alone, and more for each group that is gone: exhaustive elimination decides who is right. With some gates
    many others become dear at once, those that were cheap before.
    """
    alone = data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n))
    groups = data.draw(
        st.lists(st.tuples(st.sets(st.integers(0, n - 1), min_size=2), st.integers(1, 10**6)), max_size=6)
    )
    for hub in data.draw(st.sets(st.integers(0, n - 1), max_size=2)):
        alone[hub] = 0
        groups += [({hub, i}, 10**4) for i in range(n) if i != hub and alone[i] < data.draw(st.integers(0, 50))]

    def lost(gone):
        return 1e-8 * (sum(alone[i] for i in gone) + sum(more for some, more in groups if some <= set(gone)))

    left, gone, cost = [*range(n)], list[int](), {i: lost([i]) for i in range(n)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elimination, "_without", lambda gated, closed, number: np.array([lost(one) for one in closed]))
        patch.setattr(elimination, "_inputs", lambda gated: 0)
        elimination._one_by_one(SimpleNamespace(examples=0), left, gone, cost, 0)
    assert sorted([*gone, *left]) == [*range(n)] and len(left) == 1
    for i, one in enumerate(gone):
        costs = [lost([*gone[:i], other]) for other in range(n) if other not in gone[:i]]
        assert lost([*gone[:i], one]) == min(costs)


def test_cuts_of_a_whole_graph_are_nested_and_not_too_large(monkeypatch):
    one = truth("planted-pairs", 7)
    experiment = Experiment(one.model, one.data, one.loss, baselines=False)
    greedy = Greedy(experiment.subject, experiment.executor, (), Choices())
    worth = propose(experiment, "attribution").worth
    made = Path(experiment.subject.graph, (), 3, worth)
    drafts = [made.cut(greedy.draft, level) for level in (-1.0, *made.levels)]
    edges = [own_edges(greedy.hypothesis(draft), experiment.subject.graph) for draft in drafts if draft is not None]
    assert len(edges) > 5
    assert all(after <= before for before, after in pairwise(edges))
    assert edges[0] > edges[-1]
    assert drafts[-1] is None
    monkeypatch.setattr(path, "MOST_CLAIMS", 10)
    assert made.cut(greedy.draft, -1.0) is None


@pytest.mark.parametrize("patience", [None, 3, 1])
def test_things_are_removed_until_the_cheapest_was_refused_so_many_times(patience):
    """The cheapest to look at is needed; then come three that are not, and then others that are."""
    items, tried = [9, 0, 1, 2, 3, 4, 5, 6, 7, 8], []

    def gone(some):
        return {*items} - {*some}

    def accepted(some):
        tried.append(some)
        return gone(some) <= {0, 1, 2}

    def look(some):
        return lost(sum(0.0001 * (1 + items.index(one)) for one in gone(some)), 64, 0.001)

    left = needed(items, look, accepted, patience)
    assert gone(left) == (set() if patience == 1 else {0, 1, 2})
    assert len(tried) <= {None: 40, 3: 20, 1: 4}[patience]


def lost(mean, n, se):
    rise = Rise(mean, se, n, 1.0)
    return Look((Lost(rise, Rise(0.0, 0.0, n, 1.0)),), 0.01)


@pytest.mark.parametrize(("now", "may"), [(0.0087, True), (0.0080, True), (0.0095, False), (0.0200, False)])
def test_a_test_that_is_likely_to_fail_is_not_made(now, may):
    """The last one showed a loss of 0.85 %, of which its look had shown 0.87 %; no more than 1 % may be lost."""
    steps = Steps(*[None] * 2, sparing=True)
    assert steps._may_pass(lost(0.009, 64, 0.001))
    steps._tested = lost(0.0087, 64, 0.001), lost(0.0085, 1600, 0.0003)
    assert steps._may_pass(lost(now, 64, 0.001)) == may


def test_a_search_has_room_until_what_it_keeps_would_not_pass_once_more():
    steps = Steps(*[None] * 2, sparing=True)
    assert steps.room
    steps._passed = lost(0.0087, 64, 0.001)
    for known, room in ((0.0085, True), (0.0097, False)):
        steps._tested = steps._passed, lost(known, 1600, 0.0003)
        assert steps.room == room


def test_a_look_that_did_not_see_what_is_lost_says_nothing_of_other_tests():
    assert lost(0.009, 64, 0.001).foresaw(lost(0.0101, 1600, 0.0003))
    assert not lost(0.0, 64, 0.0).foresaw(lost(0.02, 1600, 0.003))
