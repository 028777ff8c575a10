"""Jobs on their way to other processes: what many jobs share is written once, weights as safetensors."""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import FileError, ScrubbingError, UsageError, brief, fail
from scrubbing.experiment.jobs import Job, Subject
from scrubbing.hypothesis.addresses import load_file
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.treeify import Tree
from scrubbing.models.protocol import Model
from scrubbing.records.files import write

SHARED = (Model, Dataset, Subject, Hypothesis, Tree, Feature)
"""Of these a receiver makes one object each, however many lists of jobs have them: so it loads one model, and what it
derives from inputs and features it derives once."""


class Sender:
    """Writes jobs to a folder.

    Args:
        folder: where to; on a disk that the receivers see.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names: dict[int, tuple[str, object]] = {}
        """By identity; the object is held so that it keeps it."""

    def send(self, name: str, jobs: Sequence[Job]) -> None:
        """Write a list of jobs under a name.

        Raises:
            UsageError: SCR-SHARD, something in it cannot leave this process. FileError: SCR-FILE.
        """
        write(self.folder / f"{name}.jobs", self._pickled(name, list(jobs), None), "what is to be measured")

    def name_of(self, thing: object) -> str:
        """The name that a shared object is written under, writing it if it is new."""
        if id(thing) not in self._names:
            name = f"{type(thing).__name__.lower()}-{len(self._names)}"
            self._names[id(thing)] = name, thing
            given = thing.to("cpu") if isinstance(thing, Model) and thing.device.type != "cpu" else thing
            write(self.folder / f"{name}.pickle", self._pickled(name, given, given), "what is to be measured")
        return self._names[id(thing)][0]

    def _pickled(self, name: str, thing: object, itself: object) -> bytes:
        content = io.BytesIO()
        pickler = _Pickler(content, self, name, itself)
        try:
            pickler.dump(thing)
        except ScrubbingError:
            raise
        except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
            told = f"{type(thing).__name__} {getattr(thing, 'name', '')}".rstrip() if itself is not None else "a job"
            problem = f"{told} cannot be sent to another process ({brief(error)})."
            remedy = "Make what it holds at the top level of a module, without open files, locks or generators."
            fail(UsageError, "SCR-SHARD", problem, remedy)
        if pickler.tensors:
            save_file(pickler.tensors, str(self.folder / f"{name}.safetensors"))
        return content.getvalue()


class _Pickler(cloudpickle.Pickler):
    """Pickles all but shared objects, of which it writes the names, and tensors, which go to a file of their own."""

    def __init__(self, to: io.BytesIO, sender: Sender, name: str, itself: object) -> None:
        super().__init__(to)
        self.sender, self.name, self.itself = sender, name, itself
        self.tensors: dict[str, Tensor] = {}
        self._numbers: dict[int, tuple[str, object]] = {}

    def persistent_id(self, obj: object) -> tuple[str, ...] | None:
        if isinstance(obj, SHARED) and obj is not self.itself:
            return "shared", self.sender.name_of(obj)
        if isinstance(obj, Tensor) and type(obj) in (Tensor, torch.nn.Parameter) and obj.layout == torch.strided:
            if id(obj) not in self._numbers:
                number = str(len(self._numbers))
                self._numbers[id(obj)] = number, obj
                # A copy: safetensors refuses tensors that share memory.
                self.tensors[number] = obj.detach().cpu().contiguous().clone()
            kind = "parameter" if isinstance(obj, torch.nn.Parameter) else "tensor"
            return kind, self.name, self._numbers[id(obj)][0], str(obj.requires_grad)
        return None


class Receiver:
    """Reads jobs from a folder, each shared object once.

    Args:
        folder: that a sender wrote to.
        device: where models are to compute; None for the CPU.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        self.folder, self.device = folder, device
        self._known: dict[str, Any] = {}
        self._tensors: dict[tuple[str, str], Tensor] = {}

    def jobs(self, name: str) -> list[Job]:
        """The jobs of this name.

        Raises:
            FileError: SCR-FILE, they are not there, or damaged.
        """
        return self._read(f"{name}.jobs")

    def shared(self, name: str) -> Any:
        """The shared object of this name."""
        if name not in self._known:
            found = self._read(f"{name}.pickle")
            if isinstance(found, Model):
                found = found if self.device is None else found.to(self.device)
                self._tensors.clear()  # which the model holds
            self._known[name] = found
        return self._known[name]

    def tensor(self, kind: str, name: str, number: str, grad: bool) -> Tensor:
        """A tensor that belongs to one of the objects."""
        if (name, number) not in self._tensors:
            with safe_open(self.folder / f"{name}.safetensors", "pt") as stored:
                found = stored.get_tensor(number).clone()  # in memory that torch aligns, as it does everywhere
            found = torch.nn.Parameter(found, grad) if kind == "parameter" else found.requires_grad_(grad)
            self._tensors[name, number] = found
        return self._tensors[name, number]

    def _read(self, file: str) -> Any:
        path = self.folder / file
        try:
            return _Unpickler(io.BytesIO(path.read_bytes()), self).load()
        except (OSError, EOFError, pickle.UnpicklingError, ImportError, AttributeError) as error:
            remedy = "Run it where the same files and packages are, from the same folder."
            fail(FileError, "SCR-FILE", f"what is to be measured cannot be read ({brief(error)}).", remedy, str(path))


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, receiver: Receiver) -> None:
        super().__init__(file)
        self.receiver = receiver

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "shared":
            return self.receiver.shared(pid[1])
        kind, name, number, grad = pid
        return self.receiver.tensor(kind, name, number, grad == "True")

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if module_name.endswith(".py") and module_name not in sys.modules:
            load_file(module_name)  # a file of the user's, whose module has its path as its name
        return super().find_class(module_name, global_name)
