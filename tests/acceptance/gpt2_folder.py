"""A random GPT-2 in a folder, with a tokenizer whose tokens are the words of the prompts, each with its space."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.greater_than import prompts as years
from benchmarks.ioi import prompts as names

PATTERN = r" ?\d\d|\d\d| ?[^\W\d]+|[^\w\s]"
END = "<|endoftext|>"


def write(folder: Path, vocabulary: int = 0, scrambled: bool = False, **sizes: int) -> None:
    """Weights as they are drawn, or further from zero, config and tokenizer.json; sizes are those of `GPT2Config`."""
    from scrubbing.models.transformer_lens.native import seeded
    from scrubbing.models.transformer_lens.tiny import scramble

    lists = (*names.NAMES, *names.PLACES, *names.OBJECTS, *years.EVENTS, *map(str, years.CENTURIES), *years.NUMBERS)
    texts = [f" {one}" for one in lists] + [*years.NUMBERS, *map(str, years.CENTURIES)]
    texts += [re.sub("{.*?}", "", text) for text in (*names.TEMPLATES, *years.TEMPLATES)]
    words = dict.fromkeys(word for text in texts for word in re.findall(PATTERN, text))
    tokenizer = Tokenizer(models.WordLevel({END: 0, **{word: i + 1 for i, word in enumerate(words)}}, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    tokenizer.add_special_tokens([END])
    with seeded(0):
        size = max(vocabulary, tokenizer.get_vocab_size())
        model = GPT2LMHeadModel(GPT2Config(vocab_size=size, bos_token_id=0, eos_token_id=0, **sizes))
    if scrambled:  # as drawn, all but the embeddings are so small that no hypothesis differs from another
        scramble(model, 1)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": END}))
