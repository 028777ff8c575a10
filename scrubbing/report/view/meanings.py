"""What the words over numbers mean: a page links every head and label that is here to its explanation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scrubbing.report.view.blocks import Fact, Facts, Section, Table

MEANINGS = {
    "loss": "Mean over the references, and over draws where activations are drawn; its unit stands beside it. The "
    "interval is of 95 %, and counts in one further input that nobody has seen.",
    "model": "Loss of the model as it is.",
    "scrubbed": "Loss where everything that the hypothesis calls exchangeable is exchanged.",
    "null": "Loss where the whole output is that of another input: labels as they are. What knows the distribution of "
    "outputs and nothing of the input has it.",
    "constant": "Loss of the best prediction that ignores the input. A hypothesis with a higher loss is no account of "
    "the model's performance.",
    "recovered": "1 - (scrubbed - model) / (baseline - model): 100 % is the model's own loss, 0 % the baseline's. It "
    "may be below 0 or above 100 %.",
    "lost": "Scrubbed loss minus that of the model, in the unit of the loss.",
    "nines": "-log10(1 - recovered): 1 is 90 %, 2 is 99 %.",
    "accuracy": "Share of references, and draws, whose most likely prediction is the label.",
    "changed": "Share of references, and draws, whose most likely prediction is not the model's. It can be high where "
    "little loss is lost, and the other way round.",
    "kl": "Divergence of the scrubbed model's predictions from the model's, the model's first.",
    "bits": "Entropy of the features claimed, at most that of the inputs. What keeps all bits claims nothing.",
    "bits claimed": "Entropy of the features claimed, over all positions, summed over claims: the size by which "
    "hypotheses are compared.",
    "nodes": "Nodes of the model that a claim names.",
    "claims": "Claims, the one about the output included.",
    "raised": "Mean of what scrubbing adds to the loss in a draw; where it takes away, 0 counts.",
    "lowered": "Mean of what scrubbing takes from the loss in a draw. Both together show a small difference that hides "
    "large ones of either sign.",
    "cancelled": "Lowered, as a share of the gap between model and null.",
    "correlation": "Of the losses of model and scrubbed model over inputs.",
    "carried by": "How many references would carry the rise of the loss if all carried the same, (sum |x|)² / sum x².",
    "raised much": "References on which scrubbing costs more than a tenth of the gap, and the bound on their share "
    "among all inputs.",
    "recalibrated": "Loss after the best temperature and base rates for the scrubbed model's logits: what is left is "
    "not due to its being too sure.",
    "worth": "Amount of training at which the model itself had the scrubbed model's loss.",
    "verdict": "What all tests of the hypothesis come to: whether what is claimed is enough, needed, and no finer than "
    "needed.",
    "together": "Loss recovered of the null where what is unclaimed shares one draw, with one-sided bounds.",
    "apart": "What is lost on top where each unclaimed node draws an input of its own.",
    "moved": "How far outputs are from the model's own, of how far they are in the null: what a loss need not show.",
    "not needed": "Bits of the claimed features that can be left out for less than the margin.",
    "cost": "Rise of the loss. In the table of a verdict: where other values stand in for the claimed one, as a share "
    "of the gap between model and null.",
    "outcome": "Needed: giving it up surely costs more than the margin. Idle: surely less. Undecided: neither is sure.",
    "itself": "Share of draws that returned the input held. Near 100 %, the claim is not tested.",
    "fewest": "Fewest inputs that agreed with a held one, itself included.",
    "median": "Median number of inputs that agreed with a held one.",
    "near ties": "Values that a rounding barely sent one way.",
    "draws": "How often an input was drawn for this claim.",
    "in scope": "Share of the dataset on which the hypothesis claims to hold.",
    "references": "Inputs that are explained.",
    "seed": "Of the choice of references and of all draws: the same seed, hypothesis, model and data give the same "
    "numbers.",
    "draws by numbering": "Version of draws and evaluation; another gives other draws for the same seed.",
    "reckoning with": "The largest loss seen in any draw of the null: what one more input may cost, in intervals.",
    "inputs in scope": "Inputs of the dataset on which the hypothesis claims to hold; draws come from these.",
    "counted": "Positions whose loss counts, summed over the references.",
    "seconds": "Wall clock of the run.",
    "record version": "Of the file's format; older ones are read.",
    "as the model": "Share of references on which the interpretation, when it is run, says what the model says.",
    "on the front": "No other hypothesis claims no more and recovers no less.",
    "tried": "Different hypotheses that were run in the search. The more there are, the better the best looks "
    "by chance.",
}  # fmt: skip
"""Explanations, by the words they explain."""
_ALIKE = {
    "loss of": "loss", "scrubbed loss": "scrubbed", "model right": "accuracy", "scrubbed right": "accuracy",
    "accuracy %": "accuracy", "changed %": "changed", "in scope %": "in scope", "model, median": "model",
    "scrubbed, median": "scrubbed", "inputs": "references", "where": "", "mean rest": "recovered",
}  # fmt: skip
_BEFORE = {"% of ": "recovered", "of ": "recovered"}
"""Beginnings of heads over fractions."""


def meaning(words: str) -> str:
    """The entry of `MEANINGS` that explains a head or label; empty where there is none."""
    words = words.removesuffix(" (0 %)")
    if words in MEANINGS:
        return words
    if words in _ALIKE:
        return _ALIKE[words]
    return next((of for start, of in _BEFORE.items() if words.startswith(start)), "")


def explained(sections: Sequence[Section]) -> dict[str, str]:
    """The explanations that these sections ask for, in the order of `MEANINGS`."""
    asked = {meaning(words) for section in sections for words in _words(section)}
    return {name: told for name, told in MEANINGS.items() if name in asked}


def _words(section: Section) -> Iterator[str]:
    for block in section.blocks:
        if isinstance(block, Facts):
            yield from (fact.label for fact in block.facts if fact.text)
        elif isinstance(block, Table):
            yield from block.heads
            for row in block.rows:
                first = row[0]
                yield first.text if isinstance(first, Fact) else first
