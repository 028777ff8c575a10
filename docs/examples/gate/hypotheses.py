"""What we believe about the classifier of reviews."""

from task import balance, opinion, task

from scrubbing import EMBED, OUTPUT, Hypothesis, Variable, head

__all__ = ["opinions", "task"]

opinions = Hypothesis(
    "opinions",
    "Both heads report how many more good words than bad ones there are; no other word matters, nor does the brand.",
    OUTPUT.carries(
        Variable("verdict", balance),
        (head(0, 0).any_path() | head(0, 1).any_path()).carries(
            Variable("balance", balance),
            EMBED.each().any_path().carries(Variable("opinion", opinion)),
        ),
    ),
)
