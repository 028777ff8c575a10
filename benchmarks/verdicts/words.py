"""What the verdicts on the hypotheses that we ship mean, in words without numbers: numbers come from the runs."""

from __future__ import annotations

from scrubbing.records import Word

SUITES = {
    "parens": (
        "The paren balancer",
        "The model that ships with the package, on generated strings ([the model](../explanation/our-paren-model.md)).",
    ),
    "parens-original": (
        "The original study's ladder",
        "The original study's model and strings, which do not ship: `scrub bench parens --model redwood --data DIR`.",
    ),
    "induction": (
        "Induction, generated text",
        "The language model that ships with the package ([both models](../explanation/induction-models.md)).",
    ),
    "induction-python": ("Induction, Python sources", "The other one, on this project's own sources."),
    "ioi": (
        "Indirect object identification",
        "The small model of prompts that ships with the package ([the model](../explanation/ioi-model.md)).",
    ),
    "greater-than": (
        "Greater-than",
        "The small model of years that ships with the package ([the model](../explanation/greater-than-model.md)).",
    ),
}
"""By name of the task: heading, and what is run on what."""

ABOUT: dict[str, tuple[Word, str]] = {
    "parens/original-roles": (
        "insufficient",
        "Wrong, and meant to be: the roles of the original model, claimed of another one. It does worse than a "
        "constant guess.",
    ),
    "parens/two-tests": (
        "insufficient",
        "Both claims are needed and neither is enough: layer 2 is said to carry nothing, and does. It is here as "
        "the step from which *four-heads* starts.",
    ),
    "parens/four-heads": (
        "insufficient",
        "The count is claimed as right or wrong, and the model needs its sign: what is lost is strings put "
        "together from one that opens too many and one that closes too many.",
    ),
    "parens/signs": (
        "wider or finer than needed",
        "Enough, and more than enough. The same sign is claimed three times, and no reader needs all of it each "
        "time. *tight-signs* is what the tests leave.",
    ),
    "parens/detectors": (
        "undecided",
        "It loses just about as much as a sufficient hypothesis may, so that this many references do not say on "
        "which side of the limit it is. Twelve neurons do nearly everything; the others add a little, and that is "
        "what is lost. The heads of layer 2 are claimed finer than what they bring directly to the output; as "
        "long as it is open whether the whole is enough, the coarser claims are no rung.",
    ),
    "parens/one-number": (
        "wider or finer than needed",
        "As *signs*, and for the same reason. *tight-one-number* is what the tests leave.",
    ),
    "parens/suffixes": (
        "insufficient",
        "A position does not know whether the violation starts one further to the left, and the next rung repairs "
        "that. That the keys of head 1.1 may be given up here is a consequence of the loss: where it is repaired, "
        "they are needed.",
    ),
    "parens/neighbours": (
        "not specific",
        "As *signs* in what heads report, and head 1.1's query need not even know the length. *tight-neighbours* "
        "is what the tests leave. Of random hypotheses of its size more do as well than may "
        "([controls](controls-of-what-we-ship.md)); of *tight-neighbours* none does.",
    ),
    "parens/tight-neighbours": (
        "wider or finer than needed",
        "What is left is in the length. Many lengths may stand in for each other, but the tests find no merging "
        "of lengths that is free in both claims at once, so they print no hypothesis that is tighter. A "
        "position's own feature has too many values for a search among pairs, and no coarser feature that is "
        "known does as well.",
    ),
    "parens/sources": (
        "redundant",
        "In what heads 1.0 and 1.1 report it is *neighbours*. Below, most sources of a position's report can be "
        "given up alone, since the others bring the same, and not all of them can. So the claim about where a "
        "report comes from says no more than that it comes from these sources together; a claim on all of them as "
        "a bundle would say just that.",
    ),
    "parens/best": (
        "insufficient",
        "The most detailed account, and the one that costs most of those that are meant. Exchanging the reports "
        "of hundreds of strings independently loses balanced strings; whether that is noise the model never meets "
        "or a position that carries more than is claimed, the tests do not say.",
    ),
    "parens/left-to-right": (
        "insufficient",
        "Wrong on purpose: a reader who starts on the left.",
    ),
    "induction/heads-only": (
        "insufficient",
        "The zero point of this ladder, not a hypothesis: with all that the induction heads read resampled, "
        "naming them is idle. The words recovered here are of the null, which resamples the whole output; what "
        "the other parts of the model do counts as recovered. Against that the other rungs are small steps near "
        "the top.",
    ),
    "induction/value": (
        "not specific",
        "Enough is recovered, and as much with the same claims about other heads, few of which the predictions rest "
        "on. Claims that keep the whole input, as all of these do, are not searched for anything coarser, so none of "
        "this ladder can be called tight.",
    ),
    "induction/query": (
        "insufficient",
        "What the query takes from elsewhere than the current token matters. Which of the induction heads does "
        "without it is not one answer: two can be left out alone, and together they cost.",
    ),
    "induction/key": (
        "insufficient",
        "The one previous-token head of this model does not carry all that the key needs. One of the induction "
        "heads could be left out.",
    ),
    "induction/key-previous": (
        "insufficient",
        "With a key that knows the previous token alone, each induction head can be left out, if only one is. All "
        "claims below them are needed.",
    ),
    "induction/naive": (
        "insufficient",
        "What most people would say of induction. It takes so much from these heads that each of them can be left "
        "out alone, and so can the claim on what the previous-token head reads.",
    ),
    "induction/three-tokens": (
        "insufficient",
        "Comparing three tokens instead of one helps. Most of the claims on single heads of layer 0 are idle, and a "
        "handful is needed.",
    ),
    "induction/current-position": (
        "insufficient",
        "More about the value, and most of what is added is idle: the same handful of claims is needed.",
    ),
    "induction/copies": (
        "insufficient",
        "As *current-position*, in another form that these references do not tell from it.",
    ),
    "induction/refined": (
        "redundant",
        "About as much is lost as may be, and far more is claimed than needed: most claims on single heads of layer 0 "
        "can be given up alone, but not all of them at once.",
    ),
    "induction/free-pattern": (
        "insufficient",
        "With the patterns of layer 0 from another sequence more is lost, and most of the many claims are idle.",
    ),
    "induction/two-back": (
        "insufficient",
        "Wrong on purpose: the token before the previous one. No induction head is needed any more, and hardly "
        "any claim.",
    ),
    "induction/strict": (
        "insufficient",
        "Each head's program alone can be given up, all of them together cannot: strict induction is worth something, "
        "and far from all that the heads do.",
    ),
    "induction-python/heads-only": (
        "insufficient",
        "The zero point, as above: naming the heads is idle once all that they read is resampled.",
    ),
    "induction-python/value": (
        "undecided",
        "Nearly everything is recovered, and claims that keep the whole input are not "
        "searched for anything coarser. Every member of every claim is needed.",
    ),
    "induction-python/query": (
        "insufficient",
        "Less is lost than in the generated language, and still more than may be. All that is claimed is needed.",
    ),
    "induction-python/key": (
        "insufficient",
        "Of the four previous-token heads one is needed; the others can be left out alone.",
    ),
    "induction-python/key-previous": (
        "insufficient",
        "That the key knows the previous token alone costs little more than *key*. Of four previous-token heads one "
        "is needed, with the token that it moves; the other three can be left out, all of them at once.",
    ),
    "induction-python/naive": (
        "insufficient",
        "What most people would say of induction, and on these sources nearly enough. Of what layer 1 reads, only the "
        "token of the value is needed by itself; previous-token heads and query can each be left out alone, and not "
        "all together.",
    ),
    "induction-python/three-tokens": (
        "redundant",
        "Enough, and more than needed: of the claims on single heads of layer 0 the "
        "one on head 0.3's three tokens is needed; each of the others can be given up alone, and not all of them "
        "together.",
    ),
    "induction-python/current-position": (
        "redundant",
        "As *three-tokens*, and all that is added about the value can be given up.",
    ),
    "induction-python/copies": (
        "redundant",
        "As *current-position*, in another form that these references do not tell from it.",
    ),
    "induction-python/refined": (
        "redundant",
        "Enough. Most claims on single heads of layer 0 can be given up alone, but not all of them at once.",
    ),
    "induction-python/free-pattern": (
        "insufficient",
        "With the patterns of layer 0 from another sequence a little more is lost than may be, and most of the many "
        "claims are idle.",
    ),
    "induction-python/strict": (
        "insufficient",
        "As on the generated language: each head's program alone can be given up, both together cannot, and much of "
        "what the heads do is no strict induction.",
    ),
    "induction-python/two-back": (
        "insufficient",
        "Wrong on purpose: the token before the previous one. No claim is needed any more, that on the induction heads "
        "included.",
    ),
    "parens-original/0a": (
        "vacuous",
        "The end of the scale at which everything is kept.",
    ),
    "parens-original/0b": (
        "vacuous",
        "The end of the scale at which nothing is kept: with nothing claimed there is no claim to test.",
    ),
    "parens-original/1a": (
        "insufficient",
        "The published roles. The claims are needed, and by the rule of this page not enough.",
    ),
    "parens-original/1b": (
        "insufficient",
        "The published roles, with the first parenthesis where the count is read. Better, and still not enough: "
        "strings that are balanced lose most.",
    ),
    "parens-original/1b+00": (
        "insufficient",
        "A third head for the count repairs part of what *1b* loses. Whether it is needed at all these references "
        "do not say.",
    ),
    "parens-original/2-part-1": (
        "insufficient",
        "That the count heads read one position costs more than it explains. What they attend with may partly be "
        "given up: they attend there whatever the string.",
    ),
    "parens-original/2a": (
        "insufficient",
        "The share of opening parentheses, claimed of head 0.0, can be given up at no cost in either place, but "
        "not in both: at position 1 the two heads read the same thing.",
    ),
    "parens-original/2-part-3": (
        "insufficient",
        "As *2a*, and no worse: what head 0.0 writes besides that direction does not matter to these heads.",
    ),
    "parens-original/2b": (
        "insufficient",
        "As *2-part-3*, with the number written down: the function is right where the direction is, and what *2a* "
        "loses stays lost.",
    ),
    "parens-original/3a": (
        "insufficient",
        "Worse than a constant guess: the padding mask of head 2.1 comes from another string, of another length.",
    ),
    "parens-original/3a-repaired": (
        "insufficient",
        "With the length kept the padding fits. It is still worse than a constant guess: the true share is not "
        "what head 0.0 sees.",
    ),
    "parens-original/3b": (
        "insufficient",
        "The share that head 0.0 sees, as the public code compares it with one half: a share that is one half in "
        "mathematics falls on either side.",
    ),
    "parens-original/3b-repaired": (
        "insufficient",
        "With tie and length put right less of it is lost than of *3b*, and still far more than may be.",
    ),
    "parens-original/3c": (
        "insufficient",
        "Below *3b*, each position from three sources, each on its own: it inherits the loss of *3b*.",
    ),
    "parens-original/3d": (
        "insufficient",
        "As *3c*, the three from one input: it inherits the same loss.",
    ),
    "parens-original/4": (
        "insufficient",
        "The whole study as coded, with the faults of both halves.",
    ),
    "parens-original/4-repaired": (
        "insufficient",
        "With both faults repaired it loses less, and more than either half alone.",
    ),
    "ioi/movers": (
        "insufficient",
        "The published name movers with nothing that steers them: they are said to carry one name, and carry both.",
    ),
    "ioi/steered-by-position": (
        "insufficient",
        "The published position signal. Nothing asks for it in this model: that claim is idle.",
    ),
    "ioi/steered-by-name": (
        "insufficient",
        "The other published signal comes closer, and is not how this model does it.",
    ),
    "ioi/collected": (
        "insufficient",
        "Both names, and nothing that tells them apart.",
    ),
    "ioi/subtracted": (
        "wider or finer than needed",
        "Enough. Heads 2.0 and 2.3 can each be given up, and both together cost about as much as the rule allows: by "
        "*five-collectors*, from which they are left out, more than it allows is lost. Names have too many values for "
        "a search among pairs.",
    ),
    "ioi/each-head": (
        "wider or finer than needed",
        "As *subtracted*, with an input for each head.",
    ),
    "ioi/five-collectors": (
        "insufficient",
        "By little: what two heads that are idle alone bring together.",
    ),
    "ioi/from-names": (
        "redundant",
        "Collectors stand in for each other. A claim on them as a bundle, as in *subtracted*, says so.",
    ),
    "ioi/any-query": (
        "redundant",
        "As *from-names*; that queries may come from any prompt costs nothing.",
    ),
    "ioi/from-embeddings": (
        "redundant",
        "The fullest account, redundant as those before it are.",
    ),
    "ioi/object-subtracted": (
        "insufficient",
        "Wrong on purpose: the subtractor carries the other name.",
    ),
    "ioi/position-of-subject": (
        "insufficient",
        "Wrong on purpose: the subtractor carries a place and no name.",
    ),
    "greater-than/heads-alone": (
        "insufficient",
        "Heads and no MLP: most of what is known of the year at the output is lost.",
    ),
    "greater-than/decade": (
        "insufficient",
        "The year is needed more finely than by its decade, most of all late in the century.",
    ),
    "greater-than/year": (
        "redundant",
        "Two of the four heads can each be given up and not both, by little. Years have too many values for a search "
        "among pairs.",
    ),
    "greater-than/from-year": (
        "wider or finer than needed",
        "As *year*, read where it stands; here it stays open whether both heads can go.",
    ),
    "greater-than/any-pattern": (
        "insufficient",
        "Patterns know the year: heads look elsewhere for others.",
    ),
    "greater-than/through-mlps": (
        "insufficient",
        "By little: what heads write past these MLPs is small, and more than the rule allows.",
    ),
    "greater-than/mlps": (
        "insufficient",
        "What MLPs write is most of it, and heads write some of it themselves.",
    ),
    "greater-than/full": (
        "insufficient",
        "The published shape of the story, told from what heads read; it lacks what *mlps* lacks.",
    ),
    "greater-than/last-digit": (
        "insufficient",
        "Wrong on purpose: the digit that says least.",
    ),
}
"""By rung: the word that is told about, and what to make of it. What is tight needs no telling."""
