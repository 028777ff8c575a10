"""Causal scrubbing: state how a model computes something, and let a machine try to break it.

Names are resolved when first used: importing this package loads neither torch nor transformer_lens, and writing and
checking a hypothesis needs neither.
"""

from __future__ import annotations

import importlib
import warnings
from typing import TYPE_CHECKING, Any

_HOME = {
    "scrubbing.data.dataset": ["Dataset"],
    "scrubbing.data.features": ["Feature", "anything", "everything", "feature", "joint"],
    "scrubbing.data.positions": ["at_position", "by_position", "same_position"],
    "scrubbing.errors": [
        "BadData",
        "Fault",
        "FileError",
        "IllegalHypothesis",
        "ModelMismatch",
        "NoFraction",
        "NothingToDraw",
        "ScrubbingError",
        "UsageError",
    ],
    "scrubbing.experiment.baselines": ["Baseline", "baselines"],
    "scrubbing.experiment.controls": ["Control", "Trial", "controls"],
    "scrubbing.experiment.executors": ["Executor", "executors"],
    "scrubbing.experiment.experiment": ["Experiment", "scrub"],
    "scrubbing.experiment.in_process": ["InProcess"],
    "scrubbing.experiment.jobs": ["Job", "Subject"],
    "scrubbing.experiment.measured": ["Measured"],
    "scrubbing.experiment.result": ["Result"],
    "scrubbing.experiment.settings": ["Settings"],
    "scrubbing.experiment.task": ["Task", "tasks"],
    "scrubbing.graph.model_graph": ["ModelGraph", "transformer_graph"],
    "scrubbing.graph.nodes": ["Node"],
    "scrubbing.hypothesis.claims": [
        "EMBED",
        "MASK",
        "OUTPUT",
        "POS",
        "Claim",
        "Target",
        "head",
        "mlp",
        "node",
        "part",
        "reads",
    ],
    "scrubbing.hypothesis.hypothesis": ["Hypothesis"],
    "scrubbing.hypothesis.variables": ["Interpretation", "Variable"],
    "scrubbing.metrics.equivalent": ["Series"],
    "scrubbing.metrics.losses": ["Classification", "Loss", "SquaredError"],
    "scrubbing.metrics.measures": ["Measure", "Predictions", "measures"],
    "scrubbing.metrics.next_token": ["Bigram", "NextToken"],
    "scrubbing.models.local": ["from_folder", "from_state_dict", "load_model"],
    "scrubbing.models.protocol": ["Model"],
    "scrubbing.models.toy": ["ToyModel"],
    "scrubbing.models.transformer.checkpoint": ["from_file"],
    "scrubbing.parts": ["project"],
    "scrubbing.records.schema": ["RunRecord"],
    "scrubbing.sampling.contexts": ["Mode"],
    "scrubbing.stats.intervals": ["Estimate"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

_PUBLIC = ("parts", "routes", "samplers")
"""Modules whose names are public too, under their own."""
_MOVED = {
    "parts": (
        "Direction",
        "Part",
        "activation",
        "attending_to",
        "direction",
        "function",
        "neurons",
        "offsets",
        "pairs",
    ),
    "samplers": ("Sampler", "agree", "exact", "fixed", "generated", "separate", "uniform"),
}
"""Names that version 0.1 had here, by the public module that has them now."""
_NEW_HOME = {name: module for module, names in _MOVED.items() for name in names}

__all__ = sorted([*_MODULE_OF, *_PUBLIC])  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return importlib.import_module(f"scrubbing.{name}")
    if name in _NEW_HOME:
        home = f"scrubbing.{_NEW_HOME[name]}"
        warnings.warn(f"scrubbing.{name} is now {home}.{name}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(home), name)
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'scrubbing' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_MODULE_OF]


if TYPE_CHECKING:
    from scrubbing import parts as parts
    from scrubbing import routes as routes
    from scrubbing import samplers as samplers
    from scrubbing.data.dataset import Dataset as Dataset
    from scrubbing.data.features import Feature as Feature
    from scrubbing.data.features import anything as anything
    from scrubbing.data.features import everything as everything
    from scrubbing.data.features import feature as feature
    from scrubbing.data.features import joint as joint
    from scrubbing.data.positions import at_position as at_position
    from scrubbing.data.positions import by_position as by_position
    from scrubbing.data.positions import same_position as same_position
    from scrubbing.errors import BadData as BadData
    from scrubbing.errors import Fault as Fault
    from scrubbing.errors import FileError as FileError
    from scrubbing.errors import IllegalHypothesis as IllegalHypothesis
    from scrubbing.errors import ModelMismatch as ModelMismatch
    from scrubbing.errors import NoFraction as NoFraction
    from scrubbing.errors import NothingToDraw as NothingToDraw
    from scrubbing.errors import ScrubbingError as ScrubbingError
    from scrubbing.errors import UsageError as UsageError
    from scrubbing.experiment.baselines import Baseline as Baseline
    from scrubbing.experiment.baselines import baselines as baselines
    from scrubbing.experiment.controls import Control as Control
    from scrubbing.experiment.controls import Trial as Trial
    from scrubbing.experiment.controls import controls as controls
    from scrubbing.experiment.executors import Executor as Executor
    from scrubbing.experiment.executors import executors as executors
    from scrubbing.experiment.experiment import Experiment as Experiment
    from scrubbing.experiment.experiment import scrub as scrub
    from scrubbing.experiment.in_process import InProcess as InProcess
    from scrubbing.experiment.jobs import Job as Job
    from scrubbing.experiment.jobs import Subject as Subject
    from scrubbing.experiment.measured import Measured as Measured
    from scrubbing.experiment.result import Result as Result
    from scrubbing.experiment.settings import Settings as Settings
    from scrubbing.experiment.task import Task as Task
    from scrubbing.experiment.task import tasks as tasks
    from scrubbing.graph.model_graph import ModelGraph as ModelGraph
    from scrubbing.graph.model_graph import transformer_graph as transformer_graph
    from scrubbing.graph.nodes import Node as Node
    from scrubbing.hypothesis.claims import EMBED as EMBED
    from scrubbing.hypothesis.claims import MASK as MASK
    from scrubbing.hypothesis.claims import OUTPUT as OUTPUT
    from scrubbing.hypothesis.claims import POS as POS
    from scrubbing.hypothesis.claims import Claim as Claim
    from scrubbing.hypothesis.claims import Target as Target
    from scrubbing.hypothesis.claims import head as head
    from scrubbing.hypothesis.claims import mlp as mlp
    from scrubbing.hypothesis.claims import node as node
    from scrubbing.hypothesis.claims import part as part
    from scrubbing.hypothesis.claims import reads as reads
    from scrubbing.hypothesis.hypothesis import Hypothesis as Hypothesis
    from scrubbing.hypothesis.variables import Interpretation as Interpretation
    from scrubbing.hypothesis.variables import Variable as Variable
    from scrubbing.metrics.equivalent import Series as Series
    from scrubbing.metrics.losses import Classification as Classification
    from scrubbing.metrics.losses import Loss as Loss
    from scrubbing.metrics.losses import SquaredError as SquaredError
    from scrubbing.metrics.measures import Measure as Measure
    from scrubbing.metrics.measures import Predictions as Predictions
    from scrubbing.metrics.measures import measures as measures
    from scrubbing.metrics.next_token import Bigram as Bigram
    from scrubbing.metrics.next_token import NextToken as NextToken
    from scrubbing.models.local import from_folder as from_folder
    from scrubbing.models.local import from_state_dict as from_state_dict
    from scrubbing.models.local import load_model as load_model
    from scrubbing.models.protocol import Model as Model
    from scrubbing.models.toy import ToyModel as ToyModel
    from scrubbing.models.transformer.checkpoint import from_file as from_file
    from scrubbing.parts import project as project
    from scrubbing.records.schema import RunRecord as RunRecord
    from scrubbing.sampling.contexts import Mode as Mode
    from scrubbing.stats.intervals import Estimate as Estimate
