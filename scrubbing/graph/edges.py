"""Edges of a model graph: one slot of a node reads one writer, at all positions or at some."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scrubbing.errors import IllegalHypothesis, fail
from scrubbing.graph.nodes import Node
from scrubbing.storable import named

_FORM = re.compile(
    r"\s*(?P<writer>\S+?)\s*->\s*(?P<reader>[^\s<>@]+)\s*(?:<(?P<slot>\w+)>)?\s*(?:@\s*(?P<at>[\d,\s]+))?"
)
_ONLY_SLOT = "x"


@named("edge")
@dataclass(frozen=True, order=True, slots=True)
class Edge:
    """A slot of a node reads a writer: `a0.h1->m1`, `embed->a1.h0<q>`, `m0->logits@0,3`."""

    writer: Node
    reader: Node
    slot: str = _ONLY_SLOT
    """Of the reader: `q`, `k`, `v` or `mask` of a head, `x` of an MLP and of the output."""
    at: tuple[int, ...] = ()
    """The positions of the slot's input that are meant, ascending; empty for all of them."""

    @classmethod
    def parse(cls, text: str) -> Edge:
        """Parse an edge such as `a0.h1->a1.h0<q>@2,3`; the inverse of `str`.

        Raises:
            IllegalHypothesis: SCR-NAME, the text is no edge.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            problem = f"{text!r} is not an edge."
            fail(IllegalHypothesis, "SCR-NAME", problem, "Write a0.h1->m1, embed->a1.h0<q>, or m0->logits@0,3.")
        at = tuple(sorted({int(one) for one in (found["at"] or "").split(",") if one.strip()}))
        return cls(Node.parse(found["writer"]), Node.parse(found["reader"]), found["slot"] or _ONLY_SLOT, at)

    def __str__(self) -> str:
        slot = "" if self.slot == _ONLY_SLOT else f"<{self.slot}>"
        at = f"@{','.join(map(str, self.at))}" if self.at else ""
        return f"{self.writer}->{self.reader}{slot}{at}"
