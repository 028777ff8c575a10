"""What the verdicts on the hypotheses that we ship mean, in words without numbers: numbers come from the runs."""

from __future__ import annotations

from scrubbing.records.tested import Word

SUITES = {
    "parens": (
        "The paren balancer",
        "The model that ships with the package, on 100,000 generated strings ([the model](../explanation/our-paren-model.md)).",
    ),
    "parens-original": (
        "The original study's ladder",
        "The original study's model and strings, which do not ship ([how to run it](cli.md#scrub-bench)).",
    ),
    "induction": (
        "Induction, generated text",
        "The language model that ships with the package ([both models](../explanation/induction-models.md)).",
    ),
    "induction-python": ("Induction, Python sources", "The other one, on this project's own sources."),
}
"""By name of the task: heading, and what is run on what."""

ABOUT: dict[str, tuple[Word, str]] = {
    "parens/original-roles": (
        "insufficient",
        "Wrong, and meant to be: the roles of the original model, claimed of another one. It does worse than a constant guess.",
    ),
    "parens/two-tests": (
        "insufficient",
        "Both claims are needed and neither is enough: layer 2 is said to carry nothing, and does. It is here as the step from "
        "which *four-heads* starts.",
    ),
    "parens/four-heads": (
        "insufficient",
        "The count is claimed as right or wrong, and the model needs its sign: what is lost is strings put together from one "
        "that opens too many and one that closes too many.",
    ),
    "parens/signs": (
        "wider or finer than needed",
        "Enough, and more than enough. The same sign is claimed three times, and no reader needs all of it each time. "
        "*tight-signs* is what the tests leave.",
    ),
    "parens/detectors": (
        "undecided",
        "It loses just about as much as a sufficient hypothesis may, so that this many references do not say on which side of "
        "the limit it is. Twelve of the neurons do nearly everything; the others add a little, and that is what is lost. The heads of layer 2 "
        "are claimed finer than what they bring directly to the output; as long as it is open whether the whole is enough, "
        "the coarser claims did not become a rung.",
    ),
    "parens/one-number": (
        "wider or finer than needed",
        "As *signs*, and for the same reason. *tight-one-number* is what the tests leave.",
    ),
    "parens/suffixes": (
        "insufficient",
        "A position does not know whether the violation starts one further to the left. The next rung repairs that. That keys "
        "and queries of head 1.1 may be given up here does not hold there: once the loss is repaired, keys are needed.",
    ),
    "parens/neighbours": (
        "wider or finer than needed",
        "As *signs* above layer 0, and head 1.1's query need not even know the length. *tight-neighbours* is what the tests "
        "leave.",
    ),
}
"""By rung: the word that is told about, and what to make of it. What is tight needs no telling."""
