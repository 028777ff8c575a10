"""Text as sequences: one first token, none cut, none padded, whatever the tokenizer's file says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from scrubbing.data.text import load_tokenizer, stretches

WORDS = {"<s>": 0, "a": 1, "b": 2, "c": 3, "?": 4}


def tokenizer():
    made = Tokenizer(models.WordLevel(WORDS, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["<s>"])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return made


def test_sequences_by_hand():
    """Two documents, `a b c a` and `b c`: the second begins inside the second sequence."""
    assert stretches(["a b c a", "b c"], tokenizer(), 0, 4, 1).tolist() == [[0, 1, 2, 3], [0, 1, 0, 2]]
    assert stretches(["a b c a", "b c"], tokenizer(), None, 3, 1).tolist() == [[1, 2, 3], [1, 2, 3]]


def test_a_text_may_spell_out_its_first_token():
    plain = stretches(["a b c a b", "b c a"], tokenizer(), 0, 4, 1)
    for documents in (["<s> a b c a b", "<s> b c a"], ["<s> <s> a b c a b <s>", "<s>", "b c a"]):
        assert stretches(documents, tokenizer(), 0, 4, 1).tolist() == plain.tolist()


@given(st.lists(st.lists(st.sampled_from(sorted(WORDS)), max_size=9).map(" ".join), max_size=9), st.integers(2, 6))
def test_the_first_token_is_there_once(documents, length):
    found = stretches(documents, tokenizer(), 0, length, 0)
    assert found.shape[1] == length and (found[:, 0] == 0).all()
    assert not ((found[:, 1:] == 0) & (found[:, :-1] == 0)).any()


@pytest.mark.parametrize("what", ["truncation", "padding"])
def test_what_a_tokenizer_file_stores_is_switched_off(what, tmp_path):
    made = tokenizer()
    if what == "truncation":
        made.enable_truncation(3)
    else:
        made.enable_padding(length=20, pad_id=3, pad_token="c")
    made.save(str(tmp_path / "tokenizer.json"))
    assert f'"{what}": null' not in (tmp_path / "tokenizer.json").read_text()
    loaded = load_tokenizer(tmp_path / "tokenizer.json")
    assert stretches(["a b c a b", "b"], loaded, None, 6, 1).tolist() == [[1, 2, 3, 1, 2, 2]]
    assert len(loaded.encode("a b c a b", add_special_tokens=False).ids) == 5
    assert np.array_equal(stretches(["a b c a b"], loaded, 0, 3, 1), [[0, 1, 2], [0, 3, 1]])
