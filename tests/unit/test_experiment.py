"""Experiments on a sum of two bits, where every number is known; and that results are paired."""

from __future__ import annotations

import numpy as np
import pytest

from scrubbing import (
    OUTPUT,
    Classification,
    Dataset,
    Experiment,
    Hypothesis,
    NoFraction,
    SquaredError,
    UsageError,
    feature,
    node,
    scrub,
)

ALL = {"model", "scrubbed", "null", "constant", "mean rest", "mean claimed"}


def test_losses_of_half_a_sum(toy):
    """y resampled costs (y - y')^2 = 1/2; at its mean 1/4; x at its mean 1/4; both resampled 1."""
    result = toy.run("x", references=None, draws=16)
    assert set(result.losses) == ALL
    for name, wanted in (("model", 0), ("constant", 0.5), ("mean rest", 0.25), ("mean claimed", 0.25)):
        assert result.loss(name).value == pytest.approx(wanted)
    assert result.loss("scrubbed").value == pytest.approx(0.5, abs=0.05)
    assert result.loss("null").value == pytest.approx(1.0, abs=0.1)
    assert result.losses["scrubbed"].shape == (200, 16)
    assert result.losses["mean rest"].shape == (200, 1)
    recovered = result.loss_recovered("mean claimed")
    assert recovered.value == pytest.approx(1 - result.loss().value / 0.25)


@pytest.mark.parametrize(("ablation", "wanted"), [("mean", 0.25), ("zero", 0.5), ("noise", 0.5)])
def test_ablations(toy, ablation, wanted):
    """y replaced by 1/2, by 0, by 1/2 plus noise of variance 1/4."""
    result = toy.run("x", ablation=ablation, references=None, draws=16)
    assert result.loss().value == pytest.approx(wanted, abs=0.05)
    assert result.record().choices.ablation == ablation


def test_everything_claimed_is_the_model(toy):
    result = toy.run("x", "y")
    assert (result.loss().value, result.loss("mean rest").value) == (0.0, 0.0)
    assert result.loss("mean claimed").value == pytest.approx(0.5)
    assert result.loss_recovered("null").value == 1.0


def test_results_of_one_experiment_are_paired(toy):
    """The same references in the same order, the same model, null and constant losses: so differences are."""
    experiment = Experiment(toy.model, toy.data, SquaredError(), references=50)
    alone = experiment.run(toy.hypothesis("y"))
    first, second = experiment.run_all([toy.hypothesis("x"), toy.hypothesis("y")])
    for other in (second, alone):
        assert (first.ids == other.ids).all()
        for name in ("model", "null", "constant"):
            assert (first.losses[name] == other.losses[name]).all()
    assert (second.losses["scrubbed"] == alone.losses["scrubbed"]).all()
    assert (first.losses["scrubbed"] != second.losses["scrubbed"]).any()


def test_the_same_seed_is_the_same_result(toy):
    one, same, other = (toy.run("x", references=30, seed=seed) for seed in (3, 3, 4))
    assert (one.ids == same.ids).all()
    assert (one.losses["scrubbed"] == same.losses["scrubbed"]).all()
    assert set(one.ids) != set(other.ids)


def test_more_draws_begin_with_the_fewer(toy):
    few, many = (toy.run("x", references=30, draws=draws) for draws in (2, 5))
    assert (many.losses["scrubbed"][:, :2] == few.losses["scrubbed"]).all()


def test_more_references_contain_the_fewer(toy):
    few, many = (toy.run("x", references=references) for references in (20, 60))
    shared = np.isin(many.ids, few.ids)
    assert shared.sum() == 20
    assert (many.losses["scrubbed"][shared] == few.losses["scrubbed"]).all()


def test_without_baselines(toy):
    result = toy.run("x", baselines=False)
    assert set(result.losses) == {"model", "scrubbed", "null", "constant"}
    with pytest.raises(UsageError, match="baselines=True"):
        result.loss_recovered("mean rest")


def test_a_claim_of_the_output_alone_has_no_mean_baselines(toy):
    result = toy.run()
    assert set(result.losses) == {"model", "scrubbed", "null", "constant"}
    assert not result.exchanged
    assert "nothing-exchanged" in {note.code for note in result.record().notes}


def test_worse_than_the_constant_model_is_in_the_record(toy):
    """Claiming y where x is: the error is that of two unrelated sums, 1, twice the constant model's."""
    claims = (node(a).direct().carries(b) for a, b in (("x", toy.y), ("y", toy.x)))
    swapped = Hypothesis("toy/swapped", "Swapped.", OUTPUT.carries(toy.out, *claims))
    record = scrub(swapped, toy.model, toy.data, SquaredError()).record()
    assert record.notes[0].code == "worse-than-constant" and record.notes[0].values["sure"]
    half = toy.run("x", "y").record()
    assert not {note.code for note in half.notes} & {"worse-than-constant", "like-constant"}


def test_scope(toy):
    """References and draws stay inside: with y = 0 throughout, resampling it costs nothing."""
    flat = Hypothesis("toy/scope", "Where y is 0.", toy.hypothesis("x").correspondence, scope=~toy.y.feature)
    result = Experiment(toy.model, toy.data, SquaredError()).run(flat)
    assert len(result.ids) == 100
    assert result.loss().value == 0.0
    assert result.loss("constant").value == pytest.approx(0.25)
    record = result.record()
    assert (record.scope, record.provenance.inputs_in_scope) == ("~y_bit", 100)


def test_strata(toy):
    @feature
    def total(data: Dataset):
        return (data["x"] + data["y"]).astype(int)

    result = toy.run("x", strata={"x": toy.x.feature, "sum": total}, references=None)
    strata = {(one.feature, one.value): one for one in result.record().strata}
    assert [(*key, one.n) for key, one in strata.items()] == [
        ("x", True, 100),
        ("x", False, 100),
        ("sum", 2, 50),
        ("sum", 1, 100),
        ("sum", 0, 50),
    ]
    here = toy.x.feature(toy.data)
    assert strata["x", True].scrubbed.value == pytest.approx(result.losses["scrubbed"][here].mean())
    assert strata["x", True].rest_scrubbed.value == pytest.approx(strata["x", False].scrubbed.value)
    few = toy.run("x", strata={"x": toy.x.feature}, references=20)
    wanted = int((toy.data["x"][few.ids] == 1).sum())
    assert next(one.n for one in few.record().strata) == wanted
    assert (few.strata["x"] == toy.x.feature(toy.data)[few.ids]).all()
    assert strata["x", False].accuracy is None  # of numbers


def test_counts_of_draws(toy):
    (x,) = toy.run("x", draws=3).record().claims
    assert (x.what, x.variable, x.feature) == ("x directly", "x", "x_bit")
    assert (x.draws, x.agreed_min, x.agreed_median, x.bits) == (600, 100, 100.0, 1.0)
    assert x.self_share == pytest.approx(0.01, abs=0.02)


def test_beyond_the_mean():
    """Two classes, the model sure of the right one: resampled, half of the predictions change and are wrong."""
    import torch

    from scrubbing import ToyModel, Variable, anything, everything, reads

    x = np.tile([0.0, 1.0], 100)
    data = Dataset({"x": x, "label": x.astype(int)})
    model = ToyModel({"x": "x"}, {"logits": (lambda a: torch.cat([1 - a, a], 1) * np.log(9), {"a": ["x"]})})
    nothing = OUTPUT.carries(Variable("out", everything), reads().carries(Variable("any", anything)))
    result = scrub(Hypothesis("n", "Nothing.", nothing), model, data, Classification(), draws=50)
    assert result.loss("model").value == pytest.approx(-np.log(0.9))
    assert result.correct.mean() == pytest.approx(0.5, abs=0.02)
    changed = result.changed == 1
    assert (changed == (result.correct == 0)).all()
    # Where the prediction changed, KL is 0.9 log 9 + 0.1 log(1/9) = 0.8 log 9; else none.
    assert result.kl[changed] == pytest.approx(0.8 * np.log(9))
    assert np.abs(result.kl[~changed]).max() < 1e-9


def test_no_fraction_in_a_record_is_none(toy):
    """Where every input has the same label, model and constant model are both perfect."""
    data = toy.data.take(toy.data["x"] + toy.data["y"] == 1)
    result = scrub(toy.hypothesis("x"), toy.model, data, SquaredError())
    with pytest.raises(NoFraction):
        result.loss_recovered("constant")
    fractions = {one.baseline: one.fraction for one in result.record().recovered}
    assert fractions["constant"] is None
    assert next(one for one in result.record().recovered if one.baseline == "constant").lost.value > 0
    assert "one-class" in {note.code for note in result.record().notes}


def test_the_record_says_what_was_run(toy):
    record = toy.run("x", references=10, draws=2, seed=7).record()
    assert (record.choices.references, record.choices.draws, record.choices.seed) == (10, 2, 7)
    assert (record.choices.loss, record.choices.dtype, record.choices.device) == ("squared error", "float64", "cpu")
    assert record.provenance.data_fingerprint == toy.data.fingerprint
    assert record.provenance.model_fingerprint == toy.model.fingerprint
    assert record.branches[0].line.startswith("logits carries output")


def test_which_losses_there_are(toy):
    result = toy.run("x", references=10)
    assert repr(result).startswith("<Result toy/some: scrubbed 0.")
    with pytest.raises(UsageError, match="There are: model, scrubbed"):
        result.loss("unigram")


def test_a_loss_that_is_not_finite_is_no_result(toy):
    """Swapped values may overflow where the model's own do not."""
    import torch

    from scrubbing import ModelMismatch, ToyModel, Variable, anything, everything, node

    data = Dataset({"x": [0.0, 1.0], "y": [1.0, 0.0], "label": [1.0, 1.0]})
    logits = lambda a: torch.where(a > 1.5, torch.inf, a)  # noqa: E731
    model = ToyModel({"x": "x", "y": "y"}, {"logits": (logits, {"a": ["x", "y"]})})
    claim = (
        node("x")
        .direct()
        .carries(
            Variable(
                "any",
                anything,
            )
        )
    )
    hypothesis = Hypothesis("h", "c", OUTPUT.carries(Variable("out", everything), claim))
    with pytest.raises(ModelMismatch, match="SCR-NAN"):
        scrub(hypothesis, model, data, SquaredError(), draws=20, baselines=False)


@feature(name="family of ten")
def family(data):
    return data.ids // 10


@feature(name="each its own")
def own(data):
    return data.ids


def test_references_in_families_are_resampled_by_family(toy):
    """Each on its own it is the interval without families; ten alike are worth less than ten that differ."""
    plain = toy.run("x", references=None, draws=2)
    single = toy.run("x", references=None, draws=2, clusters=own)
    families = toy.run("x", references=None, draws=2, clusters=family)
    assert [one.loss().value for one in (single, families)] == pytest.approx([plain.loss().value] * 2)
    assert single.loss().se == pytest.approx(plain.loss().se, rel=0.02)
    assert families.loss().n == 20
    assert families.record().choices.clusters == "family of ten"
    assert families.inputs()["cluster"].tolist() == (families.ids // 10).tolist()
    assert "cluster" not in plain.inputs()


def test_families_are_of_inputs(toy):
    with pytest.raises(UsageError, match="SCR-FEATURE"):
        toy.run("x", clusters=feature(name="by place", per="position")(lambda data: data["x"][:, None]))
