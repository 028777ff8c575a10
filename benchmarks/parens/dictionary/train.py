"""Train a dictionary of what one head of the shipped paren balancer writes, and store it as it began, as a control.

    python -m benchmarks.parens.dictionary.train    # under a minute on one core

Top-k sparse autoencoders (Gao et al. 2024, "Scaling and evaluating sparse autoencoders") without auxiliary losses,
stored as SAELens stores them. The recipe was fixed before any hypothesis about the features was run.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.parens.task import our_data, our_model
from scrubbing import Model

HERE = Path(__file__).parent
LAYER, HEAD = 1, 0
FEATURES, ACTIVE = 64, 4
STEPS, BATCH, RATE, SEED = 3_000, 1_024, 3e-3, 0
STRINGS = 3_000


def outputs(model: Model) -> Tensor:
    """What the head writes at every real position of some strings, `[tokens, d]`."""
    data = our_data(STRINGS, seed=99)
    written = model.read(f"a{LAYER}.h{HEAD}", data)
    return written[torch.as_tensor(data["mask"].copy()).bool()]


def trained(values: Tensor, steps: int) -> dict[str, Tensor]:
    """The tensors of a dictionary of these values; after no steps, its features are random directions."""
    generator = torch.Generator().manual_seed(SEED)
    centre = values.mean(0)
    scale = (values - centre).norm(dim=1).mean()
    directions = torch.randn(FEATURES, values.shape[1], generator=generator)
    W_dec = directions / directions.norm(dim=1, keepdim=True)
    tensors = {"W_enc": W_dec.T.clone(), "b_enc": torch.zeros(FEATURES), "W_dec": W_dec, "b_dec": centre / scale}
    for one in tensors.values():
        one.requires_grad_()
    optimizer = torch.optim.Adam(tensors.values(), lr=RATE)
    for _ in range(steps):
        x = values[torch.randint(len(values), (BATCH,), generator=generator)] / scale
        pre = (x - tensors["b_dec"]) @ tensors["W_enc"] + tensors["b_enc"]
        strongest, where = pre.topk(ACTIVE, dim=1)
        active = torch.zeros_like(pre).scatter(1, where, strongest.relu())
        loss = (active @ tensors["W_dec"] + tensors["b_dec"] - x).pow(2).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            tensors["W_dec"] /= tensors["W_dec"].norm(dim=1, keepdim=True)
    # Trained on values of length one; stored for values as they are.
    made = {name: one.detach() for name, one in tensors.items()}
    return {**made, "b_enc": made["b_enc"] * scale, "b_dec": made["b_dec"] * scale}


def store(tensors: dict[str, Tensor], folder: Path) -> None:
    """Write a folder as SAELens does."""
    folder.mkdir(exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, str(folder / "sae_weights.safetensors"))
    cfg = {
        "architecture": "topk",
        "k": ACTIVE,
        "d_in": len(tensors["b_dec"]),
        "d_sae": FEATURES,
        "dtype": "float32",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "metadata": {"hook_name": f"blocks.{LAYER}.attn.hook_result", "hook_head_index": HEAD},
    }
    (folder / "cfg.json").write_text(json.dumps(cfg, indent=1) + "\n")


def main() -> None:
    """The dictionary, and one of random weights."""
    values = outputs(our_model())
    store(trained(values, STEPS), HERE / "trained")
    store(trained(values, 0), HERE / "random")


if __name__ == "__main__":
    main()
