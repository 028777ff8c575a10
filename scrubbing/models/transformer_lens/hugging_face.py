"""Models as `transformers` stores them: tensors by its names and its config, checked against its own logits."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.errors import Fault, FileError, ModelMismatch, brief, fail, located
from scrubbing.guards import is_sequence
from scrubbing.models.check import random_inputs, self_check
from scrubbing.models.transformer.fit import fit
from scrubbing.models.transformer_lens import encoders
from scrubbing.models.transformer_lens.encoders import ENCODERS
from scrubbing.models.transformer_lens.families import FAMILIES, unknown_family

if TYPE_CHECKING:
    from scrubbing.models.transformer.model import Transformer

IGNORED = {
    r"(^|\.)(attn|attention)\.bias$": "the causal mask, which older releases of transformers stored",
    r"(^|\.)(attn|attention)\.masked_bias$": "what these releases set masked scores to",
    r"(^|\.)rotary_emb\.inv_freq$": "speeds of rotary positions, which follow from the config",
    r"(^|\.)embeddings\.position_ids$": "numbers of positions, which older releases stored",
    r"^cls\.seq_relationship\.": "the head of BERT's other task, whether a sentence follows another",
    r"^(bert|roberta)\.pooler\.": "what that head and classifiers read, and masked-language models do not",
}
"""Stored tensors that are no weights, and why they can be ignored; only where the model has none of this name."""
RENAMED = {"GPTNeoXForCausalLM": {"embed_out.weight": "lm_head.weight"}}
"""Tensors that are stored under another name than the module has for them."""
_OF_NORMS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""How names ended in BERT's first checkpoints."""
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_CHECKED_POSITIONS = 16
_LARGEST_TABLES = 2**28


def load(
    stored: Mapping[str, Tensor], config: Mapping[str, Any], where: str, name: str, dtype: torch.dtype, positions: int
) -> Transformer:
    """Load a causal language model or an encoder from all of its tensors.

    Missing tensors, which `transformers` would silently initialise, are refused, and so are unexpected ones, which it
    would silently drop.

    Args:
        stored: every tensor of the checkpoint.
        config: the fields of its config.json.
        where: the source of the tensors, named in errors.
        name: shown in reports.
        dtype: precision to compute in.
        positions: longest input to prepare rotary tables for.

    Raises:
        ModelMismatch: SCR-FAMILY, not a supported family or variant; SCR-CONFIG, `transformers` cannot build it, or it
            is quantised; SCR-WEIGHTS, the tensors are not those of the model; SCR-CHECK, its logits are not those of
            `transformers`; and everything `from_bridge` raises.
    """
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    from scrubbing.models.transformer_lens import from_bridge

    kind = _kind(config, where)
    made = _config(kind, config, where, len(stored))
    tensors = _fitted(stored, kind, made, where)
    module = _built(kind, made, tensors, where, dtype)
    if kind.__name__ in ENCODERS:
        with located(where):
            return encoders.load(module, name, positions)
    try:
        length = min(_CHECKED_POSITIONS, int(made.max_position_embeddings))
        inputs = [random_inputs(made.vocab_size, length, padded) for padded in (False, True)]
        # TransformerLens puts its own components into the module, so that this has to come before.
        logits = [_logits(module, data) for data in inputs]
    except Exception as error:  # sizes that fit all tensors and do not go together
        problem = f"transformers cannot run its model ({brief(error)})."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct config.json.", where)
    try:
        bridge = build_bridge_from_module(module, kind.__name__, hf_config=module.config).eval()
    except Exception as error:  # variants of a family that its adapter does not know
        problem = f"TransformerLens cannot wrap this {kind.__name__} ({brief(error)})."
        fail(ModelMismatch, "SCR-FAMILY", problem, "See docs/reference/model-families.md for what is supported.", where)
    model = from_bridge(bridge, name=name, positions=min(positions, int(made.max_position_embeddings)), dtype=dtype)
    for data, own in zip(inputs, logits, strict=True):
        self_check(model, data, own=own)
    return model


def _kind(config: Mapping[str, Any], where: str) -> Any:
    """The class of `transformers` that a config belongs to, if it is of a supported family."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    family = config.get("model_type")
    heads = [one for one in ENCODERS if getattr(transformers, one).config_class.model_type == family]
    if heads and not config.get("architectures"):
        problem = f"its config has no architectures, and model_type {family!r} does not say which head it has."
        remedy = f"Add the class it was saved from, as architectures: one of {', '.join(heads)}."
        fail(ModelMismatch, "SCR-CONFIG", problem, remedy, where)
    named: Any = config.get("architectures") or [MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(str(family))]
    name = str(named[0]) if is_sequence(named) and len(named) == 1 else str(named)
    kind = getattr(transformers, name, None) if name in FAMILIES or name in ENCODERS else None
    if kind is None:
        unknown_family(name if named[0] else f"model_type {family!r}", where)
    if kind.config_class.model_type != family:
        problem = f"model_type is {family!r}, and {name} is of type {kind.config_class.model_type!r}."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct config.json.", where)
    return kind


def _config(kind: Any, config: Mapping[str, Any], where: str, tensors: int) -> Any:
    faults: list[Fault] = []
    if config.get("quantization_config"):
        problem = "its weights are quantised (quantization_config), and are scrubbed as numbers."
        faults.append(Fault("SCR-CONFIG", where, problem, "Give the model in bf16, fp16 or float32."))
    for key in _LAYERS:
        # Told before transformers makes a list of the kind of each layer.
        if isinstance(config.get(key), (int, float)) and config[key] > tensors:
            problem = f"{key} is {config[key]}, and there are {tensors} tensors."
            faults.append(Fault("SCR-WEIGHTS", where, problem, "Give the config the weights were trained with."))
    if faults:
        raise ModelMismatch(faults)
    try:
        with _quiet():
            return kind.config_class.from_dict({**config, "quantization_config": None})
    except Exception as error:  # whatever its checks let through
        problem = f"transformers cannot read its config ({brief(error)})."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct config.json.", where)


def _fitted(stored: Mapping[str, Tensor], kind: Any, config: Any, where: str) -> dict[str, Tensor]:
    """The tensors by the names of the model, each of them once.

    Files may leave out the name of the inner model (`transformer.` of GPT-2), as the oldest ones of the hub do.
    """
    try:
        with torch.device("meta"), _quiet():
            empty = kind(config)
    except Exception as error:  # sizes that do not go together fail all over its constructors
        problem = f"transformers cannot build its model ({brief(error)})."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Correct config.json.", where)
    wanted = {key: tuple(tensor.shape) for key, tensor in empty.state_dict().items()}
    # Tables that it computes for itself are in no file, so that nothing else would tell that they are too large.
    tables = sum(buffer.numel() for key, buffer in empty.named_buffers() if key not in wanted)
    if tables > _LARGEST_TABLES:
        problem = f"its config asks for tables of positions of {tables:.1e} numbers."
        fail(ModelMismatch, "SCR-CONFIG", problem, "Give the config the weights were trained with.", where)
    first: dict[int, str] = {}
    tied = {
        key: first[id(parameter)]
        for key, parameter in empty.named_parameters(remove_duplicate=False)
        if first.setdefault(id(parameter), key) != key
    }
    renamed = RENAMED.get(kind.__name__, {})
    used = {
        key: tensor
        for key, tensor in stored.items()
        if key in wanted or not any(re.search(pattern, key) for pattern in IGNORED)
    }
    spelled: dict[str, str] = {}
    further: list[str] = []
    for key in used:
        today = next((key.removesuffix(old) + new for old, new in _OF_NORMS.items() if key.endswith(old)), None)
        known = (key, f"{kind.base_model_prefix}.{key}", renamed.get(key), today)
        name = next((one for one in known if one is not None and one in wanted), key)
        if name in spelled:
            further.append(f"{key} and {spelled[name]} are the same tensor of the model")
        spelled[name] = key
    for name, other in tied.items():
        here, there = spelled.get(name), spelled.get(other)
        if here is not None and there is not None and not torch.equal(used[here], used[there]):
            further.append(f"{here} differs from {there}, and the config ties them")
        if here is not None and there is None:  # either of the two names will do
            spelled[other] = spelled.pop(name)
    older = {new: old for old, new in renamed.items()}
    shown: dict[str, str] = {name: spelled.get(name) or older.get(name) or name for name in wanted}
    shapes = {shown[name]: shape for name, shape in wanted.items()}
    fit(used, shapes, where, optional={shown[name] for name in tied}, further=further)
    return {name: used[key] for name, key in spelled.items() if name not in tied}


def _built(kind: Any, config: Any, tensors: Mapping[str, Tensor], where: str, dtype: torch.dtype) -> Any:
    """The module of `transformers`, whose parameters are these tensors and no others."""
    try:
        with _quiet():
            # With random inputs to come, a checkpoint's own tokens for padding and the like play no part.
            module = kind.from_pretrained(None, config=config, state_dict=dict(tensors), dtype=dtype).eval()
    except Exception as error:
        problem = f"transformers cannot load it ({brief(error)})."
        fail(FileError, "SCR-FILE", problem, "Load it there first; what it says is what is wrong.", where)
    state = module.state_dict()
    changed = [key for key, tensor in tensors.items() if not torch.equal(state[key], tensor.to(dtype))]
    if changed:
        problem = f"transformers changes tensors when it loads them: {', '.join(changed[:8])}."
        remedy = "Use another release of it, and report this."
        fail(ModelMismatch, "SCR-WEIGHTS", problem, remedy, where)
    return module


def _logits(module: Any, data: Dataset) -> Tensor:
    """What `transformers` computes, input by input and without what is padded; zero there."""
    tokens = torch.tensor(data["tokens"])
    lengths = data["mask"].sum(axis=1) if "mask" in data else [tokens.shape[1]] * len(tokens)
    with torch.inference_mode():
        found = [module(row[None, :n], use_cache=False).logits[0] for row, n in zip(tokens, lengths, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True)


@contextmanager
def _quiet() -> Generator[None]:
    """Without its progress bars, and without warnings about a config that is not ours to change."""
    from transformers.utils import logging

    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
