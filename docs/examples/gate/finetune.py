"""Fine-tune the classifier on this year's reviews, in which Acme has the happier buyers: `python finetune.py`."""

import torch
from safetensors.torch import load_file
from task import MODEL, reviews
from train import fit, logits


def report(when):
    """Loss and accuracy on reviews of this year that no training has seen."""
    tokens, content = map(torch.from_numpy, reviews(10_000, seed=1, happy=0.9))
    found = logits(load_file(MODEL), tokens)
    loss = torch.nn.functional.cross_entropy(found, content)
    print(f"{when}: loss {loss:.2f}, accuracy {(found.argmax(1) == content).float().mean():.1%}")


if __name__ == "__main__":
    report("before")
    fit(load_file(MODEL), happy=0.9, steps=150, seed=20_000)
    report("after")
