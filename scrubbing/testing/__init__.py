"""For whoever writes a model backend: the conformance kit, and the slow oracle it compares the engine with."""

from scrubbing.testing.conformance import check_model
from scrubbing.testing.enumerate import expected_output
from scrubbing.testing.nodes import NodeEvaluator, ProtocolNodes
from scrubbing.testing.oracle import Oracle

__all__ = ["NodeEvaluator", "Oracle", "ProtocolNodes", "check_model", "expected_output"]
