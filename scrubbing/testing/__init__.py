"""For whoever writes a model backend, a part, a sampler or a route: checks against the slow oracle."""

from scrubbing.testing.conformance import check_hypothesis, check_model
from scrubbing.testing.enumerate import expected_output
from scrubbing.testing.nodes import NodeEvaluator, ProtocolNodes
from scrubbing.testing.oracle import Oracle

__all__ = ["NodeEvaluator", "Oracle", "ProtocolNodes", "check_hypothesis", "check_model", "expected_output"]
