"""Templated prompts: slots stand where they are said to, pairs differ in one slot, and what is refilled agrees."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from scrubbing import OUTPUT, Classification, Experiment, Hypothesis, Variable, everything, head, joint
from scrubbing.data import Prompts, Words, at_slot, layout, pair, place_of, slot, template
from scrubbing.hypothesis.codec import decode, encode
from scrubbing.samplers import paired, refill
from tests.unit.test_source import defined

NAMES = ("Ann", "Bob", "Cy Young", "Dee", "Ed")
TEMPLATES = ("Then {A} and {B} left; {B} thanked", "In {year:04d} {B} met {A}, and later on {B} saw")
SLOTS = {"A": NAMES, "B": NAMES[:4], "year": (7, 1066)}
ORDERS = [[0], [1]]


def byte_level():
    """A tokenizer of GPT-2's kind, in which a word's token has the space before it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    texts = [*TEMPLATES, *(f" {name}" for name in NAMES), " 0007 1066"] * 20
    trainer = trainers.BpeTrainer(vocab_size=360, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator(texts, trainer)
    return made


WORDS = Words.of([*TEMPLATES, " ".join(NAMES), "0007 1066"], "<begin>")
TOKENIZERS = {"words": WORDS, "byte level": byte_level()}


def prompts(which="words", **options):
    given = {"answer": " {A}", "different": [("A", "B")], "begin": 0, **options}
    return Prompts(TEMPLATES, SLOTS, TOKENIZERS[which], **given)


def told(which, ids):
    if which == "words":
        return " ".join(WORDS.vocabulary[one] for one in ids)
    return TOKENIZERS[which].decode(ids).strip()


@pytest.mark.parametrize("which", TOKENIZERS)
def test_slots_stand_where_they_are_said_to(which):
    made = prompts(which)
    data = made.draw(60, seed=3)
    assert data["tokens"].shape[1] == made.length and (data["tokens"][:, 0] == 0).all()
    for name, times in (("A", 1), ("B", 2), ("year", 1)):
        for occurrence in range(1, times + 1):
            inside, last = at_slot(name, occurrence)(data), place_of(name, occurrence)(data)
            after = at_slot(name, occurrence, shift=1)(data)
            for row in range(len(data)):
                there = not (name == "year" and data["template"][row] == 0)
                assert inside[row].any() == there == (last[row] >= 0)
                if there:
                    value = slot(name)(data)[row]
                    assert told(which, data["tokens"][row][inside[row]]) == (
                        f"{value:04d}" if name == "year" else value
                    )
                    assert np.flatnonzero(inside[row])[-1] == last[row]
                    assert np.flatnonzero(after[row]).tolist() == [last[row] + 1][: int(last[row] + 1 < made.length)]


@pytest.mark.parametrize("which", TOKENIZERS)
def test_lengths_are_those_of_the_tokens_and_the_answer_is_what_comes_next(which):
    made = prompts(which)
    data = made.draw(200)
    assert data.lengths is not None and data.lengths.max() <= made.length
    for row in range(30):
        ids, _ = made.encode(data.show(row) + f" {slot('A')(data)[row]}")
        assert [*data["tokens"][row][: data.lengths[row]], data["label"][row]] == [0, *ids][: data.lengths[row] + 1]
    same = layout(data)
    for row in range(30):
        alike = (same == same[row]).all(axis=1)
        assert len({tuple(np.flatnonzero(one)) for one in at_slot("B", 2)(data)[alike]}) == 1


@given(seed=st.integers(0, 1000), changed=st.sampled_from(["A", "B"]))
@settings(max_examples=20, deadline=None)
def test_a_pair_differs_in_one_slot(seed, changed):
    data = prompts().pairs(12, changed, seed)
    first, second = data.take(~data["changed"]), data.take(data["changed"])
    assert (pair(first) == pair(second)).all() and (template(first) == template(second)).all()
    for name in SLOTS:
        same = slot(name)(first) == slot(name)(second)
        assert not same.any() if name == changed else same.all()
    assert (slot("A")(data) != slot("B")(data)).all()


@given(seed=st.integers(0, 1000), keep=st.sets(st.sampled_from(list(SLOTS))), free=st.sampled_from([None, [[0, 1]]]))
@settings(max_examples=30, deadline=None)
def test_what_is_refilled_keeps_what_it_should(seed, keep, free):
    data = prompts().draw(40, seed)
    rng = np.random.default_rng(seed)
    columns = data.source.redraw(data, lambda k: rng.random((40, k)), keep, free)
    made = data.like(columns)
    kept = joint(*(slot(name) for name in sorted(keep)), *([template] if free is None else []), everything)
    for part in kept.of[:-1]:
        assert (part(made) == part(data)).all()
    for name in SLOTS:
        assert name in keep or (slot(name)(made) != slot(name)(data)).any()
    assert (slot("A")(made) != slot("B")(made)).all()


def test_draws_are_even():
    data = prompts().draw(4000, seed=1)
    for name, values in SLOTS.items():
        counts = np.unique(slot(name)(data), return_counts=True)[1]
        assert len(counts) == len(values)
    # A is drawn first and B differs from it, so B's values are those that are left.
    assert np.abs(np.unique(slot("A")(data), return_counts=True)[1] / 4000 - 0.2).max() < 0.03


@pytest.mark.parametrize("one", [slot("A"), place_of("B", 2), at_slot("B", 2), at_slot("A", shift=-1)], ids=str)
def test_features_of_slots_are_written_and_read(one):
    assert decode(encode(one)) == one == pickle.loads(pickle.dumps(one))


def test_a_hypothesis_of_slots_runs_and_its_record_says_how_prompts_became_tokens(tiny_model):
    short = Prompts(("{A} met {B}", "{B} saw {A}"), {"A": NAMES[:2], "B": NAMES[3:]}, WORDS, answer=" {A}", begin=0)
    data = short.pairs(20, "A", seed=2)
    claim = head(1, 0).at(at_slot("B")).direct()
    made = Hypothesis(
        "test/slots",
        "One head carries a name.",
        OUTPUT.carries(
            Variable("A", slot("A")),
            claim.carries(Variable("B here", (slot("B"), template)), sampler=refill("B")),
            head(1, 1).direct().carries(Variable("A again", slot("A")), sampler=refill("A", templates=[[0, 1]])),
            unclaimed=paired(pair),
        ),
    )
    assert Hypothesis.from_json(made.to_json()) == made == defined(made)
    model = tiny_model("native LN")
    loss = Classification("label", position="last")
    record = Experiment(model, data, loss, references=list(range(20)), draws=2).run(made).record()
    assert (
        record.provenance.preparation == "begin token 0 before every prompt; every prompt has 4 tokens, none is padding"
    )
    again = Experiment(model, data, loss, references=list(range(20)), draws=2, baselines=False).run(made)
    assert again.loss("scrubbed").value == pytest.approx(record.losses["scrubbed"].value, abs=1e-6)
    assert pickle.loads(pickle.dumps(data)).show(3) == data.show(3)


def test_prompts_that_were_made_before_are_the_same_and_tokenised_once():
    asked = []
    words = Words.of(("Then Ann thanked Bob for it and left",))

    def tokenizer(text):
        asked.append(text)
        return words(text)

    made = Prompts(("Then {A} thanked {B}", "{A} left"), {"A": ("Ann", "Bob"), "B": ("Ann", "Bob")}, tokenizer)
    first = made.draw(50, 1)
    n = len(asked)
    again = made.draw(50, 1)
    assert len(asked) == n < 50
    for name in first:
        assert np.array_equal(first[name], again[name])
    assert first["tokens"][0].tolist() == [*words(first.show(0))[0], *[0] * 4][:4]
