"""What a record says of a hypothesis: states of the model's nodes, size, claims with samples, where it is defined."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from scrubbing import (
    EMBED,
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    Variable,
    anything,
    everything,
    feature,
    head,
    mlp,
    reads,
)
from scrubbing.hypothesis.addresses import defined


@feature
def parity(data):
    return data["tokens"].sum(axis=1) % 2


@feature
def first(data):
    return data["tokens"][:, 1]


@feature(per="position")
def token(data):
    return data["tokens"]


@feature(per="position")
def is_odd(data):
    return data["tokens"] % 2


OUT = Variable("out", parity)


@pytest.fixture(scope="module")
def experiment(tiny_model):
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 8, size=(64, 6))
    data = Dataset({"tokens": tokens, "label": tokens.sum(1) % 2}, name="tokens")
    return Experiment(tiny_model("native LN"), data, Classification("label"), references=20, draws=2, baselines=False)


def record(experiment, *claims, name="h"):
    return experiment.run(Hypothesis(name, "A claim.", OUTPUT.carries(OUT, *claims))).record()


def states(found):
    return {node.name: node.state for node in found.nodes}


def test_states_of_nodes(experiment):
    """Layer 1's head is claimed, what it reads is behind it; the MLP after it carries it on; the rest is unclaimed."""
    found = states(record(experiment, head(1, 0).any_path(avoid=mlp(0)).carries(Variable("p", parity))))
    assert found["logits"] == found["a1.h0"] == "claimed"
    assert found["m1"] == "mixed"
    assert found["embed"] == found["a0.h0"] == "behind"
    assert found["a1.h1"] == "unclaimed"


def test_a_claim_with_claims_of_its_own_has_nothing_behind_it(experiment):
    inner = head(1, 0).direct().carries(Variable("p", parity), EMBED.direct().carries(Variable("f", first)))
    found = states(record(experiment, inner))
    assert found["embed"] == "claimed"
    assert found["a0.h0"] == "unclaimed"


def test_the_null_claims_nothing_but_the_output(experiment):
    found = record(experiment, reads().carries(Variable("nothing", anything)))
    assert {name for name, state in states(found).items() if state != "unclaimed"} == {"logits"}
    assert (found.size.nodes, found.size.bits) == (1, 0.0)


def test_everything_matters_is_of_maximal_size(experiment):
    for claims in ((), (head(1, 0).direct().carries(Variable("all", everything)),)):
        size = record(experiment, *claims).size
        assert size.bits == size.of_bits == 6.0


def test_bits_are_those_of_distinct_features(experiment):
    p, again = Variable("p", parity), Variable("q", parity)
    one = record(experiment, head(1, 0).direct().carries(p)).size
    two = record(experiment, head(1, 0).direct().carries(p), head(1, 1).direct().carries(again)).size
    assert 0.9 < one.bits == two.bits <= 1.0
    assert (one.claims, two.claims, two.nodes) == (1, 2, 3)
    assert one.claimed == pytest.approx(one.bits)  # what is claimed of two nodes is claimed twice
    assert two.claimed == pytest.approx(2 * one.bits)


def entropy(*columns):
    share = np.array(list(Counter(zip(*(np.asarray(one).tolist() for one in columns), strict=True)).values()))
    share = share / share.sum()
    return -(share * np.log2(share)).sum()


def test_bits_beyond_the_claim_above(experiment):
    """By counting: of a claim directly below the output all, of one below another what is left given that one."""
    data = experiment.data
    p, f = parity(data), first(data)
    same, inner = (
        record(experiment, head(1, 0).direct().carries(Variable("p", parity), EMBED.direct().carries(below))).size
        for below in (Variable("q", parity), Variable("f", first))
    )
    assert same.conditional == pytest.approx(entropy(p))
    assert inner.conditional == pytest.approx(entropy(p) + entropy(p, f) - entropy(p))
    flat = record(experiment, head(1, 0).direct().carries(Variable("p", parity))).size
    assert flat.conditional == flat.claimed


def test_bits_beyond_the_claim_above_position_by_position(experiment):
    """Tokens at each position, below a claim about the input, and below one about each position."""
    data = experiment.data
    last = Experiment(  # the model is causal: only from the last position all are read
        experiment.model, data, Classification("label", position=-1), references=20, draws=2, baselines=False
    )
    tokens, odd, p = data["tokens"], data["tokens"] % 2, parity(data)
    each = Variable("token", token)
    length = tokens.shape[1]

    def beyond(*claims):
        return record(last, head(1, 0).direct().carries(Variable("p", parity), *claims)).size.conditional

    below_input = beyond(reads("v", each=True).carries(each))
    assert below_input - entropy(p) == pytest.approx(sum(entropy(p, tokens[:, i]) - entropy(p) for i in range(length)))
    nested = reads("v", each=True).carries(Variable("odd", is_odd), EMBED.direct().carries(each))
    assert beyond(nested) - entropy(p) == pytest.approx(
        sum(
            entropy(p, odd[:, i]) - entropy(p) + entropy(odd[:, i], tokens[:, i]) - entropy(odd[:, i])
            for i in range(length)
        )
    )
    whole = reads("v", each=True).carries(Variable("odd", is_odd), EMBED.direct().carries(Variable("f", first)))
    assert beyond(whole) - entropy(p) == pytest.approx(
        sum(entropy(p, odd[:, i]) - entropy(p) for i in range(length))
        + np.mean([entropy(odd[:, i], first(data)) - entropy(odd[:, i]) for i in range(length)])
    )


def test_branches_in_the_order_of_a_walk(experiment):
    inner = head(1, 0).direct().carries(Variable("p", parity), EMBED.direct().carries(Variable("f", first)))
    found = record(experiment, inner, head(1, 1).direct().carries(Variable("q", parity)))
    assert [(branch.depth, branch.variable) for branch in found.branches] == [(0, "out"), (1, "p"), (2, "f"), (1, "q")]
    assert found.branches[1].value == found.branches[0].value  # both agree on the parity
    assert found.branches[1].unclaimed is not None and found.branches[2].unclaimed is None


def test_variables_and_the_digest_of_their_features(experiment):
    found = record(experiment, head(1, 0).direct().carries(Variable("f", first)))
    out, other = found.variables
    assert (out.name, out.parents, other.name, other.parents) == ("out", ["f"], "f", [])
    again = record(experiment, head(1, 1).direct().carries(Variable("renamed", first)))
    assert again.variables[1].digest == other.digest != out.digest


def test_what_each_exchange_costs(experiment):
    claims = (head(1, 0).direct().carries(Variable("p", parity)), mlp(1).direct().carries(Variable("a", everything)))
    result = experiment.run(Hypothesis("h", "A claim.", OUTPUT.carries(OUT, *claims)))
    unclaimed, exchanged, kept = experiment.claim_costs(result)
    assert unclaimed.path == "" and unclaimed.cost.value != 0
    paths = [branch.path for branch in result.record().branches]
    assert exchanged.path == paths[1] and exchanged.cost.value != 0
    assert kept.path == paths[2] and kept.cost.value == pytest.approx(0, abs=1e-6)  # it keeps its whole input


def test_a_result_in_a_notebook(experiment):
    result = experiment.run(Hypothesis("h", "A <claim>.", OUTPUT.carries(OUT)))
    assert "A &lt;claim&gt;." in result._repr_html_()
    assert list(result.to_frame().index) == result.ids.tolist()


FILE = '''
"""Claims."""

first = 1


def second():
    return 2


third: int = 3
'''


@pytest.mark.parametrize(("name", "line"), [("first", 4), ("second", 7), ("third", 11), ("fourth", None)])
def test_where_a_name_is_bound(name, line, tmp_path, monkeypatch):
    from scrubbing.hypothesis.addresses import load_file

    monkeypatch.chdir(tmp_path)
    file = f"claims_{name}.py"  # a file is loaded once under its name
    (tmp_path / file).write_text(FILE)
    load_file(file)
    assert defined(f"{file}::{name}", "any") == ((file, line) if line else (None, None))


def test_where_a_rung_is_written():
    from benchmarks.parens.task import task

    rung = "-".join(("two", "tests"))  # a call with the name as it is would be found here
    file, line = defined(f"parens/{rung}", task.rung(rung).name)
    assert file is not None and file.endswith("hypotheses/parens/shipped.py")
    assert line is not None
