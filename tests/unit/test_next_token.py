"""Next-token losses, slices and n-gram predictions against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scrubbing import Dataset, NextToken, feature
from scrubbing.metrics.next_token import Bigram
from scrubbing.metrics.slices import MAIN, Slices

DATA = Dataset({"tokens": [[0, 1, 1, 2], [0, 2, 1, 1]]})
PADDED = DATA.with_columns(mask=[[True] * 4, [True, True, True, False]])


@feature(per="position")
def ones(data):
    return data["tokens"] == 1


def test_every_position_with_a_next_token_counts():
    assert NextToken().counted(DATA, 4).tolist() == [[True, True, True, False]] * 2
    assert NextToken().counted(PADDED, 4).tolist() == [[True, True, True, False], [True, True, False, False]]


def test_a_slice_counts_the_positions_it_names():
    counted = NextToken(ones).counted(DATA, 4)
    assert counted.tolist() == [[False, True, True, False], [False, False, True, False]]
    assert NextToken(ones).weights(counted, DATA).tolist() == [2.0, 1.0]
    assert NextToken(ones, over_all_positions=True).weights(counted, DATA).tolist() == [3.0, 3.0]


def test_loss_is_of_the_token_after():
    """Uniform logits over three tokens cost log 3; logits (0, 0, log 2) give token 2 a chance of 1/2."""
    output = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, np.log(2.0)]])
    rows, positions = np.array([0, 0]), np.array([0, 2])
    assert NextToken().per_token(output, DATA, rows, positions).tolist() == pytest.approx([np.log(3), np.log(2)])
    assert NextToken().correct(output, DATA, rows, positions).tolist() == [False, True]


def test_the_constant_is_the_unigram_of_the_counted_tokens():
    """After ones come 1, 2 and 1: token 1 has two thirds."""
    loss = NextToken(ones)
    found = loss.constant(DATA, loss.counted(DATA, 4))
    assert found[0].tolist() == pytest.approx([0, -np.log(2 / 3), -np.log(1 / 3), 0])
    assert found[1].tolist() == pytest.approx([0, 0, -np.log(2 / 3), 0])


def test_bigram_by_hand():
    """Pairs 01, 11, 12, 02, 21, 11; seconds 1, 1, 2, 2, 1, 1; smoothing strength fixed to 2."""
    tokens = DATA["tokens"].astype(np.int64)
    fitted = Bigram.fit(tokens, tokens, 3)
    by_hand = Bigram(3, fitted.pairs, fitted.counts, fitted.firsts, fitted.unigram, 2.0)
    unigram = np.array([0.5, 4.5, 2.5]) / 7.5
    assert by_hand.unigram == pytest.approx(unigram)
    wanted = [(1 + 2 * unigram[1]) / 4, (2 + 2 * unigram[1]) / 5, (1 + 2 * unigram[2]) / 5]
    assert by_hand.losses(tokens)[0].tolist() == pytest.approx([*-np.log(wanted), 0.0])


def test_smoothing_is_fitted_on_other_text():
    """Where the next token is independent of the current one, the best smoothing is strong and gives the unigram."""
    rng = np.random.default_rng(0)
    free = rng.choice(5, size=(200, 20), p=[0.4, 0.3, 0.15, 0.1, 0.05])
    made = Bigram.fit(free[:100], free[100:], 5)
    entropy = -np.sum(made.unigram * np.log(made.unigram))
    assert made.losses(free[100:])[:, :-1].mean() == pytest.approx(entropy, abs=0.02)
    chain = np.cumsum(rng.integers(0, 2, size=(200, 20)), axis=1) % 5
    assert Bigram.fit(chain[:100], chain[100:], 5).strength < 10 < made.strength


def test_every_chance_distribution_adds_up():
    tokens = DATA["tokens"].astype(np.int64)
    made = Bigram.fit(tokens, tokens, 3)
    for first in range(3):
        total = sum(np.exp(-made.losses(np.array([[first, second]]))[0, 0]) for second in range(3))
        assert total == pytest.approx(1.0)


def test_slices_are_asked_for_once_and_averaged_per_position():
    slices = Slices(NextToken(), 4, {"after ones": ones})
    found = slices.of(DATA)
    assert found[MAIN].sum() == 6
    assert slices.weights(DATA)["after ones"].tolist() == [2.0, 1.0]
    assert slices.where(DATA).conditions == () and slices.where(DATA).fixed == (0, 1, 2)
    only = Slices(NextToken(ones), 4, {})
    assert only.where(DATA).conditions and only.where(DATA).fixed == (1, 2)


def test_a_bigram_of_a_dataset_leaves_padding_out():
    """As if the padded pair, 1 after 1 in the second sequence, were not there."""
    tokens = DATA["tokens"].astype(np.int64)
    whole, padded = Bigram.fit(tokens, tokens, 3), Bigram.fit(PADDED, PADDED, 3)
    assert dict(zip(whole.pairs, whole.counts, strict=True)) == {1: 1, 2: 1, 4: 2, 5: 1, 7: 1}
    assert dict(zip(padded.pairs, padded.counts, strict=True)) == {1: 1, 2: 1, 4: 1, 5: 1, 7: 1}
    assert padded.firsts.tolist() == [2, 2, 1]
    assert padded.losses(PADDED)[1, 2:].tolist() == [0.0, 0.0]
    same = padded.losses(tokens)
    assert (padded.losses(PADDED) == np.where(PADDED["mask"], same, 0.0))[:, :2].all()
