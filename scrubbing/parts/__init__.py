"""Parts of a node's output, for `.part(...)`: the node is the part plus a remainder, whatever the part is.

`project`, `activation` and `function` are parts in the residual stream; `neurons`, `offsets`, `pairs` and
`attending_to` are parts that the model computes inside a node; `read_dictionary(folder).features(...)` are features of
a sparse autoencoder or transcoder. For a part of your own, subclass one of the abstract classes.
"""

from scrubbing.parts.base import AttentionPart, InnerPart, InputPart, NeuronPart, OutputPart, Part, ReadPart
from scrubbing.parts.dictionary import Dictionary, Features, ReadFeatures, read_dictionary
from scrubbing.parts.inside import (
    AttendingTo,
    Neurons,
    Offsets,
    Pairs,
    attending_to,
    neurons,
    offsets,
    pairs,
)
from scrubbing.parts.residual import Activation, Function, Project, activation, function, project
from scrubbing.parts.vectors import Direction, Vectors, direction

__all__ = [
    "Activation",
    "AttendingTo",
    "AttentionPart",
    "Dictionary",
    "Direction",
    "Features",
    "Function",
    "InnerPart",
    "InputPart",
    "NeuronPart",
    "Neurons",
    "Offsets",
    "OutputPart",
    "Pairs",
    "Part",
    "Project",
    "ReadFeatures",
    "ReadPart",
    "Vectors",
    "activation",
    "attending_to",
    "direction",
    "function",
    "neurons",
    "offsets",
    "pairs",
    "project",
    "read_dictionary",
]
