"""The sentence of every note: what a record, a comparison or a table says unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scrubbing.numbers import CHANGE, PLAIN, SHARE, SHORT, count, plainly
from scrubbing.records.measured import stratum
from scrubbing.records.schema import Note
from scrubbing.registry import Registry

Wording = Callable[[Mapping[str, Any]], str]
wordings: Registry[Wording] = Registry("wording of a note", "scrubbing.notes")
"""Registry of functions that turn the values of a note into its sentence, by the note's code."""


def sentence(note: Note) -> str:
    """A note as a sentence; one that nobody has worded, or without the values its sentence needs, as it is."""
    if note.code in wordings:
        try:
            return wordings[note.code](note.values)
        except (KeyError, TypeError, ValueError):
            pass
    values = ", ".join(f"{name} {plainly(value)}" for name, value in note.values.items() if value is not None)
    return f"{note.code}: {values}." if values else f"{note.code}."


@wordings("text")
def _text(of: Mapping[str, Any]) -> str:
    return str(of["text"])


@wordings("model-loses-to-constant")
def _model(of: Mapping[str, Any]) -> str:
    sure = "" if of["sure"] else " (not beyond sampling error)"
    return (
        f"The model itself is worse than the constant model{sure}: its loss is {PLAIN.one(of['model'])}, always "
        f"predicting the base rate costs {PLAIN.one(of['constant'])}. There is no performance here for a hypothesis to "
        "explain: check labels, loss and inputs first."
    )


@wordings("worse-than-constant")
def _worse(of: Mapping[str, Any]) -> str:
    sure = "" if of["sure"] else " (not beyond sampling error)"
    return (
        f"Worse than the constant model{sure}: the scrubbed loss is {PLAIN.one(of['scrubbed'])}, always predicting the "
        f"base rate costs {PLAIN.one(of['constant'])}. A high fraction recovered against the null does not make this "
        "an account of the model's performance."
    )


@wordings("like-constant")
def _like(of: Mapping[str, Any]) -> str:
    return (
        f"Not distinguishable from the constant model at this sample size: the scrubbed loss is "
        f"{PLAIN.one(of['scrubbed'])}, always predicting the base rate costs {PLAIN.one(of['constant'])}."
    )


@wordings("padding-read")
def _padding(of: Mapping[str, Any]) -> str:
    return (
        f"Padding is read: in {100 * of['draws']:.1f} % of draws an input is read where it is padding "
        f"({of['reads']:,} inputs in all), as part of a fixed-length input. What the model has there enters the "
        "score; if inputs are texts of different lengths, score them with padding_is_input=False."
    )


@wordings("out-of-memory")
def _memory(of: Mapping[str, Any]) -> str:
    return (
        f"The device ran out of memory, and went on with {of['rows']:,} inputs at a time. Sums of other batches differ "
        "in their last digits; memory= sets how much is used."
    )


@wordings("few-references")
def _few(of: Mapping[str, Any]) -> str:
    n = of["units"]
    if n < 2:
        return "One reference, or one cluster of them: there is no interval, and nothing follows for other inputs."
    return (
        f"Only {n} independent references: what fails on fewer than one input in {n // 3 or 1} can go unseen, "
        "and no interval makes up for that."
    )


@wordings("few-carry")
def _few_carry(of: Mapping[str, Any]) -> str:
    return (
        f"The loss lost rests on about {SHORT.one(of['effective'])} of {count(of['references'])} references: a few "
        "more like them, or a few less, would move the score as far as its interval says."
    )


@wordings("one-class")
def _one_class(of: Mapping[str, Any]) -> str:
    return (
        "All references have the same label: a constant prediction is never wrong here, so neither accuracy nor a "
        "fraction recovered says that classes are told apart."
    )


@wordings("nothing-exchanged")
def _trivial(of: Mapping[str, Any]) -> str:
    return (
        "No activation is ever exchanged: this hypothesis says that everything matters, and passes whatever the model "
        "does."
    )


@wordings("claim-exchanges-nothing")
def _exchanges_nothing(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {of['what']} carries {of['variable']} exchanges nothing: every draw returned the input itself. "
        "Use a coarser feature, more data, or a generated sampler."
    )


@wordings("claim-hardly-tested")
def _hardly(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {of['what']} carries {of['variable']} is hardly tested: {100 * of['self_share']:.0f} % of draws "
        "returned the input itself, because its feature has few inputs per value. Use a coarser feature, more data, "
        "or a generated sampler."
    )


@wordings("claim-draws-copies")
def _copies(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {claim(of['what'], of['variable'])} is hardly tested: {100 * of['share']:.0f} % of what it may "
        "draw is equal to the input held, for the dataset has copies. Leave them out."
    )


@wordings("claim-draws-only-copies")
def _only_copies(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {claim(of['what'], of['variable'])} exchanges nothing: whatever it may draw is equal to the input "
        "held, for the dataset has copies. Leave them out, or use a coarser feature."
    )


@wordings("claim-keeps-input")
def _keeps(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {claim(of['what'], of['variable'])} keeps the whole input of the claim above it: it says that the "
        "node matters, and nothing about what the node carries is tested."
    )


@wordings("claim-is-label")
def _is_label(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {claim(of['what'], of['variable'])} agrees on {of['feature']}, which is the label: whatever it "
        "draws has the right answer, so the score does not say how the answer is found."
    )


@wordings("claim-is-output")
def _is_output(of: Mapping[str, Any]) -> str:
    return (
        f"The claim {claim(of['what'], of['variable'])} agrees on {of['feature']}, which is the model's own prediction "
        "on every reference: whatever it draws has the model's answer."
    )


@wordings("feature-is-label")
def _label(of: Mapping[str, Any]) -> str:
    return (
        "All that the output reads is claimed to carry the label: every draw has the right answer, and the hypothesis "
        "passes whatever the model does inside."
    )


@wordings("output-by-own-value")
def _own_value(of: Mapping[str, Any]) -> str:
    return (
        "All that the output reads is claimed to carry the model's own prediction: every draw has the model's answer, "
        "and the hypothesis passes whatever the model does inside."
    )


@wordings("everything-claimed")
def _everything(of: Mapping[str, Any]) -> str:
    return (
        "No path is left unclaimed: nothing is said not to matter, and the score only tests what is said to be carried."
    )


@wordings("unclaimed-agree")
def _agree(of: Mapping[str, Any]) -> str:
    share = "" if of["share"] is None else f", {100 * of['share']:.1f} % of the gap to the null"
    return (
        f"Scrubbing costs {of['rise']:.3f} more{share}, where every unclaimed node has a draw of its own: some of them "
        "must agree with each other, which is not claimed."
    )


@wordings("near-ties")
def _ties(of: Mapping[str, Any]) -> str:
    n = of["near_ties"]
    return (
        f"Feature {of['feature']} has {count(n)} near tie{'' if n == 1 else 's'}: values that a rounding barely sent "
        "one way. Widen the tolerance or compute the feature exactly."
    )


@wordings("changed-despite-fraction")
def _changed(of: Mapping[str, Any]) -> str:
    return (
        f"{SHARE.one(of['changed'])} of the predictions are not the model's, although {SHARE.one(of['fraction'])} of "
        f"{of['baseline']} is recovered: the fraction hides changes that cost little loss."
    )


@wordings("cancelled")
def _cancelled(of: Mapping[str, Any]) -> str:
    return (
        f"Losses cancel: scrubbing raises them by {PLAIN.one(of['worse'])} in some draws and lowers them by "
        f"{PLAIN.one(of['better'])} in others, which hides {SHARE.one(of['share'])} of the gap to the null. Look at "
        "the losses per input."
    )


@wordings("places-not-features")
def _places(of: Mapping[str, Any]) -> str:
    return (
        f"Mean ablation recovers {SHARE.one(of['kept'])} of null, the scrub {SHARE.one(of['fraction'])}. It keeps what "
        "is claimed whole and puts the rest at its mean, so it says where the model computes, not what: the "
        "difference lies in the claimed features, or in what a mean hides of the unclaimed."
    )


@wordings("stratum-fails")
def _fails(of: Mapping[str, Any]) -> str:
    accuracy = "" if of.get("accuracy") is None else f" (accuracy {100 * of['accuracy']:.0f} %)"
    return (
        f"The failures sit where {stratum(of['feature'], of['value'])}: scrubbing costs {PLAIN.one(of['here'])} "
        f"there{accuracy}, {PLAIN.one(of['elsewhere'])} elsewhere."
    )


@wordings("shared")
def _shared(of: Mapping[str, Any]) -> str:
    """What the worst inputs have in common."""
    has = {
        "word": f"contain {of['name']!r}",
        "stratum": f"are in the stratum {stratum(of['name'], of['value'])!r}",
        "prediction": f"are predicted {of['name']} by the model",
        "long": "are among the longest quarter",
        "short": "are among the shortest quarter",
    }[of["kind"]]
    as_others = "do" if of["kind"] == "word" else "are"
    rest = f"as {as_others} {SHARE.one(of['share'])} of all references"
    return f"{of['worst']} of the {of['of_worst']} worst inputs {has}, {rest}."


@wordings("older-numerics")
def _older(of: Mapping[str, Any]) -> str:
    return (
        f"Its draws are of an older numbering ({of['numerics']}; this version draws by {of['now']}): the same seed "
        "gives other draws today, and it is not compared input by input with newer runs."
    )


@wordings("newer-numerics")
def _newer(of: Mapping[str, Any]) -> str:
    return f"Its draws are of a newer numbering ({of['numerics']}) than this version's ({of['now']})."


@wordings("moved-weights")
def _weights(of: Mapping[str, Any]) -> str:
    return f"The weights changed: {of['before']} -> {of['after']}."


@wordings("moved-definition")
def _definition(of: Mapping[str, Any]) -> str:
    return "The hypothesis is written differently than before."


@wordings("moved-variable-new")
def _new(of: Mapping[str, Any]) -> str:
    return f"Variable {of['variable']} is new."


@wordings("moved-variable-gone")
def _gone(of: Mapping[str, Any]) -> str:
    return f"Variable {of['variable']} is gone."


@wordings("moved-feature")
def _feature(of: Mapping[str, Any]) -> str:
    return f"Variable {of['variable']} agreed on {of['before']}, and now on {of['feature']}."


@wordings("moved-feature-values")
def _values(of: Mapping[str, Any]) -> str:
    return f"Feature {of['feature']} of variable {of['variable']} has other values on the dataset than before."


@wordings("moved-package")
def _package(of: Mapping[str, Any]) -> str:
    return f"{of['package']} was {of['before'] or 'not installed'}, is {of['after']}."


@wordings("moved-cost")
def _cost(of: Mapping[str, Any]) -> str:
    what = claim(of["what"], of["variable"])
    return f"Exchanging {what} alone cost {PLAIN.one(of['before'])} -> {PLAIN.one(of['after'])} {of['unit']}."


@wordings("moved-stratum")
def _stratum(of: Mapping[str, Any]) -> str:
    where = stratum(of["feature"], of["value"])
    return (
        f"Where {where}: {CHANGE.one(of['change'])} {of['unit']} on {count(of['inputs'])} references "
        f"({CHANGE.one(of['overall'])} overall)."
    )


@wordings("moved-input")
def _input(of: Mapping[str, Any]) -> str:
    text = of["text"] if len(of["text"]) <= 80 else of["text"][:79] + "…"
    return f"Input {of['id']} {text!r}: {CHANGE.one(of['change'])} {of['unit']}."


def claim(what: str, variable: str) -> str:
    """One claim in words; what no claim accounts for where there is none."""
    return f"{what} carries {variable}" if variable else what or "what is unclaimed"
