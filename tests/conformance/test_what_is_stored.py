"""What is loaded is what is stored: every tensor of a checkpoint, one at a time, is one the model cannot do without."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from scrubbing import Dataset, FileError, ModelMismatch, NextToken, ScrubbingError, from_state_dict, load_model
from scrubbing.models.check import compose, random_inputs
from scrubbing.models.transformer.checkpoint import to_file
from scrubbing.models.transformer.model import Transformer
from scrubbing.models.transformer_lens import from_bridge
from scrubbing.models.transformer_lens.tiny import (
    FURTHER,
    HUGGING_FACE,
    NATIVE,
    NATIVE_SIZES,
    POSITIONS,
    VOCABULARY,
    hugging_face,
)
from tests.thin import thinned

State = dict[str, Tensor]
TABLES = {"native rotary"}  # the legacy layout has no rotary positions


def _native_folder(name: str, bridge: Any, folder: Path) -> None:
    state = {key: value.contiguous() for key, value in bridge.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**NATIVE_SIZES, **NATIVE[name]}))


def _legacy_folder(name: str, bridge: Any, folder: Path) -> None:
    to_file(from_bridge(bridge), folder / "model.safetensors")
    # Without a header, as TransformerLens before 4 stored them, which had no list of biases.
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**NATIVE_SIZES, **NATIVE[name]}))


def _written_folder(name: str, bridge: Any, folder: Path) -> None:
    to_file(from_bridge(bridge), folder / "model.safetensors")
    with safe_open(str(folder / "model.safetensors"), "pt") as file:
        (folder / "config.json").write_text(file.metadata()["config"])


LAYOUTS: dict[str, Callable[[str, Any, Path], None]] = {
    "as TransformerLens 4 stores them": _native_folder,
    "as before TransformerLens 4": _legacy_folder,
    "as to_file writes them": _written_folder,
}
FOLDERS = [(kind, name) for kind in LAYOUTS for name in NATIVE if kind.endswith("4 stores them") or name not in TABLES]
FOLDERS += [("as transformers stores them", name) for name in HUGGING_FACE]
STORED: list[Any] = [pytest.param("as transformers stores them", name, marks=pytest.mark.slow) for name in FURTHER]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, tiny_bridge: Any) -> Callable[[str, str], Path]:
    """A folder with a tiny model, written once."""
    made: dict[tuple[str, str], Path] = {}

    def folder(kind: str, name: str) -> Path:
        if (kind, name) not in made:
            made[kind, name] = tmp_path_factory.mktemp("stored")
            if name in HUGGING_FACE | FURTHER:
                hugging_face(name).save_pretrained(made[kind, name])
            else:
                LAYOUTS[kind](name, tiny_bridge(name), made[kind, name])
        return made[kind, name]

    return folder


def _changes(state: State) -> Iterator[tuple[str, str, State]]:
    """Every way in which one tensor can be another than it should: what, its name, and the tensors then."""
    for key, tensor in state.items():
        others = {name: value for name, value in state.items() if name != key}
        yield "removed", key, others
        yield "renamed", key, {**others, f"{key}.other": tensor}
        yield "flat", key, {**others, key: tensor.reshape(1, -1)}
        yield "twice", f"{key}.copy", {**state, f"{key}.copy": tensor.clone()}
    yield "longer", key, {**others, key: torch.cat([tensor, tensor])}
    for dtype in (torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn):
        yield str(dtype), key, {**others, key: tensor.to(dtype)}


@pytest.mark.parametrize(("kind", "name"), thinned([*FOLDERS, *STORED]))
def test_each_tensor(kind: str, name: str, stored: Callable[[str, str], Path], tmp_path: Path) -> None:
    folder = stored(kind, name)
    load_model(folder, name=name)
    whole = load_file(folder / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    tried = 0
    for what, key, state in _changes(whole):
        save_file(state, tmp_path / "model.safetensors")
        with pytest.raises(ModelMismatch) as caught:
            load_model(tmp_path)
        assert caught.value.codes == ("SCR-WEIGHTS",), (what, key)
        assert key in str(caught.value), (what, key, str(caught.value))
        tried += 1
    assert tried == 4 * len(whole) + 5


def _tokens(length: int = POSITIONS) -> Tensor:
    return torch.tensor(random_inputs(VOCABULARY, length, padded=False, seed=1)["tokens"])


def _own(model: Transformer, tokens: Tensor) -> Tensor:
    """What its nodes add up to."""
    data = Dataset({"tokens": tokens.numpy()})
    with torch.inference_mode():
        return compose(model, model.graph(data), model.inputs(data), len(data))[0]


@pytest.mark.parametrize("name", [*HUGGING_FACE, *FURTHER])
def test_logits_are_those_of_transformers(name: str, stored: Callable[[str, str], Path]) -> None:
    folder = stored("as transformers stores them", name)
    with torch.inference_mode():
        wanted = type(hugging_face(name)).from_pretrained(folder).eval()(_tokens()).logits
    assert torch.allclose(_own(load_model(folder), _tokens()), wanted, atol=1e-5)
    in_memory = from_state_dict(hugging_face(name).state_dict(), hugging_face(name).config.to_dict())
    assert torch.allclose(_own(in_memory, _tokens()), wanted, atol=1e-5)


def test_a_real_folder_without_tokenizer_files(stories_folder: Path) -> None:
    from transformers import LlamaForCausalLM

    model = load_model(stories_folder)
    assert model.spec.family == "llama"
    tokens = torch.randint(0, 512, (4, 100), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = LlamaForCausalLM.from_pretrained(stories_folder).eval()(tokens).logits
    assert torch.allclose(_own(model, tokens), wanted, atol=1e-4 * float(wanted.abs().max()))
    sampled = Dataset({"tokens": np.load(stories_folder / "samples.npz")["tokens"].astype(np.int64)})
    rows = np.arange(100).repeat(63)
    logits = _own(model, torch.tensor(sampled["tokens"][:100]))[:, :-1].reshape(6300, -1)
    loss = NextToken().per_token(logits, sampled, rows, np.tile(np.arange(63), 100)).mean()
    assert 1.0 < float(loss) < 1.25  # nats per token, of text that it wrote itself


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_one_module_bridged_twice(name: str) -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    module = hugging_face(name)
    found = []
    for _ in range(3):
        bridge = build_bridge_from_module(module, type(module).__name__, hf_config=module.config).eval()
        found += [from_bridge(bridge).fingerprint, from_bridge(bridge).fingerprint]
    assert len(set(found)) == 1


@pytest.mark.parametrize("name", ["native LN", "native rotary", "GPT-2", "Gemma 2"])
def test_tensors_in_memory_are_copied(name: str, tiny_bridge: Any) -> None:
    if name in HUGGING_FACE:
        state, config = hugging_face(name).state_dict(), hugging_face(name).config.to_dict()
    else:
        state, config = tiny_bridge(name).state_dict(), tiny_bridge(name).cfg.to_dict()
    state = {key: tensor.clone() for key, tensor in state.items()}
    model = from_state_dict(state, config, name="mine")
    before, own = model.weights.fingerprint(model.spec), model.forward(_tokens(), None)
    for tensor in state.values():
        tensor.zero_()
    assert model.weights.fingerprint(model.spec) == before
    assert torch.equal(model.forward(_tokens(), None), own)


@pytest.fixture
def gpt2(stored: Callable[[str, str], Path], tmp_path: Path) -> tuple[Path, State]:
    """A folder with the config of a tiny GPT-2, without its tensors; and these."""
    folder = stored("as transformers stores them", "GPT-2")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    return tmp_path, load_file(folder / "model.safetensors")


def test_names_as_the_hub_has_them(gpt2: tuple[Path, State]) -> None:
    """GPT-2's own files leave out the name of the inner model, and hold masks."""
    folder, state = gpt2
    save_file(state, folder / "model.safetensors")
    wanted = load_model(folder)
    bare = {key.removeprefix("transformer."): tensor for key, tensor in state.items()}
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 6, 6).tril() for i in range(2)}
    save_file({**bare, **masks}, folder / "model.safetensors")
    assert load_model(folder).fingerprint == wanted.fingerprint
    save_file({**state, "wte.weight": state["transformer.wte.weight"].clone()}, folder / "model.safetensors")
    with pytest.raises(ModelMismatch, match=r"wte.weight and \S*wte.weight are the same tensor"):
        load_model(folder)


def test_a_tied_output_may_be_stored_too(gpt2: tuple[Path, State]) -> None:
    folder, state = gpt2
    head = state["transformer.wte.weight"].clone()
    save_file({**state, "lm_head.weight": head.clone()}, folder / "model.safetensors")
    whole = load_model(folder).fingerprint
    del state["transformer.wte.weight"]
    save_file({**state, "lm_head.weight": head}, folder / "model.safetensors")
    assert load_model(folder).fingerprint == whole
    state["transformer.wte.weight"] = head
    save_file({**state, "lm_head.weight": head + 1}, folder / "model.safetensors")
    with pytest.raises(ModelMismatch, match=r"lm_head\.weight differs from transformer\.wte\.weight"):
        load_model(folder)


def test_pickled_and_in_shards(gpt2: tuple[Path, State]) -> None:
    folder, state = gpt2
    torch.save(state, folder / "pytorch_model.bin")
    whole = load_model(folder).fingerprint
    (folder / "pytorch_model.bin").unlink()
    names = sorted(state)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / file)
    index = {key: file for file, keys in parts.items() for key in keys}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert load_model(folder).fingerprint == whole
    (folder / "b.safetensors").unlink()
    with pytest.raises(FileError, match=r"b\.safetensors: there is no such file"):
        load_model(folder)


@pytest.mark.parametrize("prefix", ["base_model.model.", "module.", "_orig_mod."])
@pytest.mark.parametrize(
    ("kind", "name"), [("as transformers stores them", "Llama"), (next(iter(LAYOUTS)), "native LN")]
)
def test_a_prefix_is_named(
    prefix: str, kind: str, name: str, stored: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = stored(kind, name)
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    state = {f"{prefix}{key}": tensor for key, tensor in load_file(folder / "model.safetensors").items()}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelMismatch, match=f"Every name begins with '{prefix}': strip that") as caught:
        load_model(tmp_path)
    assert caught.value.codes == ("SCR-WEIGHTS",)


def test_tensors_that_would_be_dropped_in_silence(stored: Callable[[str, str], Path], tmp_path: Path) -> None:
    """Qwen3 is Llama with norms of queries and keys, which transformers drops without a word for Llama."""
    folder = stored("as transformers stores them", "Llama")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    norms = {f"model.layers.{i}.self_attn.{x}_norm.weight": torch.ones(4) for i in range(2) for x in "qk"}
    save_file({**load_file(folder / "model.safetensors"), **norms}, tmp_path / "model.safetensors")
    with pytest.raises(ModelMismatch, match=r"unexpected: .*layers\.0\.self_attn\.q_norm"):
        load_model(tmp_path)


ABSURD = [10**9, 10**18, 10**400, -1, 0, 1e9, True, None, "2", [2]]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("as transformers stores them", name) for name in HUGGING_FACE]
    + [(kind, "native LN") for kind in LAYOUTS]
    + [(next(iter(LAYOUTS)), "native rotary")]
    + STORED,
)
def test_absurd_sizes_are_refused_at_once(
    kind: str, name: str, stored: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = stored(kind, name)
    state, config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
    sizes = [key for key, value in config.items() if type(value) is int and not key.endswith("token_id")]
    assert len(sizes) > 4
    refused = 0
    for key in sizes:
        for value in ABSURD:
            started = time.monotonic()
            try:
                from_state_dict(state, {**config, key: value})
            except ScrubbingError:
                refused += 1
            assert time.monotonic() - started < 5, (key, value)
    assert refused > len(ABSURD) * len(sizes) / 2
