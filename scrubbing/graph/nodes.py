"""Names of model nodes: one value type, one parser, one printer (`a1.h0`, `m2`, `embed`, `logits`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from scrubbing.errors import IllegalHypothesis, fail
from scrubbing.storable import named

_TRANSFORMER_NAME = re.compile(r"(?:a(?P<attn>\d+)(?:\.h(?P<head>\d+))?|m(?P<mlp>\d+))(?P<norm>\.norm)?")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_NAMES = "Write a1.h0 for a head, m2 for an MLP, embed, pos, mask or logits."


@named("node")
@dataclass(frozen=True, order=True, slots=True)
class Node:
    """One node of a model graph.

    A head is `a{layer}.h{head}`, an MLP `m{layer}`, a whole attention layer behind a post-norm `a{layer}`; `embed`,
    `pos`, `mask` and `logits` are the remaining nodes of a transformer. Where norms act on the residual stream itself,
    as in BERT, `a{layer}.norm` and `m{layer}.norm` are those after attention and after the MLP of a layer. A toy graph
    names its nodes as it likes.
    """

    kind: str
    """`head`, `mlp`, `attn`, `attn.norm`, `mlp.norm`, or the name itself for every other node."""
    layer: int = -1
    head: int = -1

    @property
    def name(self) -> str:
        """The name that is written to and parsed from text such as JSON, for example `a1.h0`."""
        match self.kind:
            case "head":
                return f"a{self.layer}.h{self.head}"
            case "attn":
                return f"a{self.layer}"
            case "mlp":
                return f"m{self.layer}"
            case "attn.norm" | "mlp.norm":
                return f"{self.kind[0]}{self.layer}.norm"
            case name:
                return name

    def __str__(self) -> str:
        return self.name

    def stored(self) -> dict[str, Any]:
        """The node as JSON: its name."""
        return {"name": self.name}

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Node:
        """The node with these stored fields; the inverse of `stored`."""
        return cls.parse(fields["name"])

    def __repr__(self) -> str:
        return f"Node({self.name!r})"

    @classmethod
    def parse(cls, name: str) -> Node:
        """Parse the name of a node, such as `a1.h0`; the inverse of `node.name`.

        Raises:
            IllegalHypothesis: SCR-NAME, the text is not a node name.
        """
        if not isinstance(name, str):
            fail(IllegalHypothesis, "SCR-NAME", f"a node's name was expected, not {type(name).__name__}.", _NAMES)
        if (found := _TRANSFORMER_NAME.fullmatch(name)) and not (found["head"] and found["norm"]):
            norm = found["norm"] or ""
            if found["mlp"] is not None:
                return cls(f"mlp{norm}", int(found["mlp"]))
            if found["head"] is not None:
                return cls("head", int(found["attn"]), int(found["head"]))
            return cls(f"attn{norm}", int(found["attn"]))
        if _PLAIN_NAME.fullmatch(name) and name not in ("head", "mlp", "attn", "attn.norm", "mlp.norm"):
            return cls(name)
        fail(IllegalHypothesis, "SCR-NAME", f"{name!r} is not a node name.", _NAMES)


EMBED = Node("embed")
"""Token embeddings."""
POS = Node("pos")
"""The node of learned position embeddings, which are added to the residual stream."""
MASK = Node("mask")
"""The node of the padding mask: which positions of an input are real. Attention never looks at the others."""
TYPES = Node("types")
"""The node of embeddings of token types, such as which of two sentences a token is in (BERT)."""
EMBED_NORM = Node("embed.norm")
"""The norm of the sum of all embeddings, where there is one (BERT)."""
LOGITS = Node("logits")
"""Final norm and unembedding: the output of a transformer."""


def head_node(layer: int, head: int) -> Node:
    """Head `head` of attention layer `layer`."""
    return Node("head", _index(layer), _index(head))


def mlp_node(layer: int) -> Node:
    """The MLP of layer `layer`."""
    return Node("mlp", _index(layer))


def attn_node(layer: int) -> Node:
    """The post-norm of attention layer `layer`, in families that have one."""
    return Node("attn", layer)


def norm_node(after: str, layer: int) -> Node:
    """The norm of the residual stream after `attn` or `mlp` of layer `layer`, in families that have one (BERT)."""
    return Node(f"{after}.norm", layer)


def _index(written: int) -> int:
    if not isinstance(written, Integral):
        problem = f"layers and heads are counted by integers, and {written!r} is of type {type(written).__name__}."
        fail(IllegalHypothesis, "SCR-NAME", problem, "Write head(1, 0) or mlp(2), counted from 0.")
    return int(written)
