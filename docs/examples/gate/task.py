"""What the hypotheses are about: a classifier of reviews, this year's reviews, and its loss."""

from pathlib import Path

import numpy as np

from scrubbing import Classification, Dataset, Settings, Task, feature, from_file, transformer_graph

MODEL = Path(__file__).with_name("model.safetensors")
WORDS = ["<start>", "acme", "zenith", "the", "box", "colour", "great", "sturdy", "awful", "flimsy"]
OPINION = np.array([0, 0, 0, 0, 0, 0, 1, 1, -1, -1])
"""Of each word: good, bad, or none."""
LENGTH = 10


def reviews(n, seed, happy=0.5):
    """Reviews as tokens `[n, 10]` and whether the buyer was content `[n]`: start, brand, eight words.

    Args:
        n: how many.
        seed: of the choice.
        happy: how many of the content buyers bought an Acme, and the others a Zenith; at 0.5 it tells nothing.
    """
    rng = np.random.default_rng(seed)
    content = rng.random(n) < 0.5
    brand = np.where((rng.random(n) < happy) == content, 1, 2)
    good = (rng.random((n, 8)) < 0.75) == content[:, None]
    opinion = np.where(good, 6, 8) + (rng.random((n, 8)) < 0.5)
    filler = 3 + (3 * rng.random((n, 8))).astype(np.int64)
    words = np.where(rng.random((n, 8)) < 0.6, opinion, filler)
    return np.column_stack([np.zeros(n, np.int64), brand, words]), content.astype(np.int64)


@feature(per="position")
def opinion(data):
    """What the word at a position says of the product: good, bad or nothing."""
    return OPINION[data["tokens"]]


@feature
def balance(data):
    """How many more good words than bad ones."""
    return OPINION[data["tokens"]].sum(axis=1)


@feature
def acme(data):
    """Whether the product is an Acme."""
    return data["tokens"][:, 1] == 1


def data():
    """This year's reviews, in which Acme has the happier buyers."""
    tokens, content = reviews(4_000, seed=0, happy=0.9)
    return Dataset({"tokens": tokens, "label": content}, name="this year's reviews", show=show)


def show(data, row):
    """A review as its words."""
    return " ".join(WORDS[token] for token in data["tokens"][row, 1:])


task = Task(
    name="reviews",
    graph=lambda: transformer_graph(1, 2, d_model=16, d_mlp=32, positions=LENGTH, causal=False, padded=False),
    data=data,
    model=lambda: from_file(MODEL, name="reviews"),
    loss=lambda: Classification("label", position=0),
    settings=Settings(references=1500, strata={"acme": acme}),
)
