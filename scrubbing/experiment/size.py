"""How much of model and input a hypothesis keeps, and how much it claims."""

from __future__ import annotations

import numpy as np

from scrubbing.data.agreement import groups
from scrubbing.data.features import Feature
from scrubbing.experiment.jobs import Job
from scrubbing.experiment.verdict.claims import units
from scrubbing.records.schema import ModelNode, Size
from scrubbing.sampling.contexts import REFERENCE


def size(job: Job, of_nodes: list[ModelNode]) -> Size:
    """How much of model and input is kept."""
    of_bits = float(np.log2(len(job.data)))
    features: dict[Feature, None] = {}
    for region in job.tree.regions[1:]:
        context = job.contexts.of(region.index)
        if not region.children and context is REFERENCE:
            return _sized(job, of_nodes, of_bits, of_bits)  # it keeps its input whole
        if context.feature is not None:
            features[context.feature] = None
    positions = job.tree.graph.positions
    bits = sum(groups(f, job.data).entropy * (positions if f.per == "position" else 1) for f in features)
    if len(job.tree.regions) == 1:
        bits = of_bits
    return _sized(job, of_nodes, min(bits, of_bits), of_bits)


def _sized(job: Job, of_nodes: list[ModelNode], bits: float, of_bits: float) -> Size:
    nodes = sum(node.state == "claimed" for node in of_nodes)
    claims, claimed = len(job.tree.regions) - 1, sum(one.bits for one in units(job))
    return Size(claims=claims, nodes=nodes, of_nodes=len(of_nodes), bits=bits, of_bits=of_bits, claimed=claimed)
