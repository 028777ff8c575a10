"""A tokenizer whose tokens are whole words and punctuation, for small models of templated prompts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import islice

from scrubbing.errors import BadData, UsageError, counted, fail

PATTERN = r"\w+|[^\w\s]"
"""A word, or a punctuation mark."""
_MOST = 10
"""Words named in an error."""


class Words:
    """Words and punctuation marks as tokens, numbered in the order given. Spaces are not part of any token.

    Args:
        vocabulary: every token, such as `("<begin>", "When", "Mary", ",")`; what is no word or mark, such as
            `<begin>`, stands for itself and is found in no text.
        pattern: regular expression of a token in a text; a word or a mark by default.

    Raises:
        UsageError: SCR-TEMPLATE, a token is given twice, or there is none.
    """

    def __init__(self, vocabulary: Sequence[str], pattern: str = PATTERN) -> None:
        self.vocabulary, self.pattern = tuple(vocabulary), pattern
        if len(self._number) < len(self.vocabulary) or not self.vocabulary:
            twice = [word for word in self._number if self.vocabulary.count(word) > 1]
            problem = f"of its tokens, {twice[0]!r} is given twice." if twice else "it has no token."
            fail(UsageError, "SCR-TEMPLATE", problem, "Give each token once.", "Words")

    @classmethod
    def of(cls, texts: Iterable[str], *further: str, pattern: str = PATTERN) -> Words:
        """The tokens of some texts in alphabetical order, after further ones such as `<begin>`."""
        found = {word for text in texts for word in re.findall(pattern, text)}
        return cls((*further, *sorted(found - set(further))), pattern)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __call__(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The tokens of a text and where each stands, as a range of characters.

        Raises:
            BadData: SCR-TOKENS, it has words that are not in the vocabulary.
        """
        found = [(one[0], one.span()) for one in self._compiled.finditer(text)]
        number = self._number
        if unknown := [word for word, _ in found if word not in number]:
            told = ", ".join(map(repr, islice(dict.fromkeys(unknown), _MOST)))
            problem = f"{told} is none of {counted(len(self), 'token')}."
            fail(BadData, "SCR-TOKENS", problem, "Make the vocabulary with Words.of(texts).", repr(text[:60]))
        return [number[word] for word, _ in found], [span for _, span in found]

    def number(self, word: str) -> int:
        """The number of a token.

        Raises:
            BadData: SCR-TOKENS, there is none.
        """
        if word not in self._number:
            problem = f"{word!r} is none of {counted(len(self), 'token')}."
            fail(BadData, "SCR-TOKENS", problem, "Make the vocabulary with Words.of(texts).", "Words")
        return self._number[word]

    @cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(self.pattern)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary)}
