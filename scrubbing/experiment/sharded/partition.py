"""How a list of jobs is divided into shards, whoever measures them: by what is measured alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scrubbing.experiment.jobs import Job

ROWS = {"cpu": 256}
"""Scrubbed examples of a job in each shard, by kind of device."""
_ROWS_ELSEWHERE = 8192
"""A GPU is busy only with many at a time."""
_MOST_PARTS = 64
_OFTEN = 3
"""Times that each input is read, from which on it pays to compute it once for good."""
_TOGETHER = 8
"""Jobs in one shard of those that are not divided; they share clean activations."""


@dataclass(frozen=True)
class Shard:
    """Some jobs of a list on a part of their references; what is measured of it does not depend on other shards."""

    jobs: tuple[int, ...]
    """Places in the list."""
    part: int = 0
    """Which of the parts of the references, from 0."""
    of: int = 1
    groups: bool = True
    """Whether clean activations are computed in groups that are the same in every shard; otherwise anew for each."""

    @property
    def name(self) -> str:
        """Short name, used for its file."""
        return f"{self.jobs[0]}-{self.part + 1}of{self.of}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Shard:
        """The inverse of `to_json`."""
        return cls(tuple(stored["jobs"]), stored["part"], stored["of"], stored["groups"])


Reads = Counter[tuple[int, int]]
"""How many inputs have been read, of each model and dataset."""


def shards_of(jobs: Sequence[Job], reads: Reads | None = None) -> list[Shard]:
    """Divide a list of jobs into shards, those that take longest first.

    Args:
        jobs: the list.
        reads: by earlier lists of the same run; those of this one are added.

    Clean activations are computed either in fixed groups, in which nothing is computed twice by one worker, or anew for
    each shard, in which nothing is computed that nobody reads. Which is cheaper depends on whether more inputs are
    drawn than there are. What is averaged over the dataset would be averaged in every shard, so it is not divided where
    activations are computed anew.
    """
    reads = Counter() if reads is None else reads
    by_subject: dict[tuple[int, int], list[int]] = defaultdict(list)
    for place, job in enumerate(jobs):
        by_subject[id(job.subject.model), id(job.subject.data)].append(place)
    whole: list[Shard] = []
    parts: list[Shard] = []
    for subject, places in by_subject.items():
        reads[subject] += sum(_reads(jobs[place]) for place in places)
        groups = reads[subject] >= _OFTEN * len(jobs[places[0]].subject.data)
        undivided = [] if groups else [place for place in places if _averages(jobs[place])]
        divided = [place for place in places if place not in set(undivided)]
        starts = range(0, len(undivided), _TOGETHER)
        whole += [Shard(tuple(undivided[start : start + _TOGETHER]), groups=groups) for start in starts]
        most = max((_parts(jobs[place]) for place in divided), default=0)
        for part in range(most):
            there = tuple(place for place in divided if part < len(jobs[place].reference.rows))
            parts.append(Shard(there, part, most, groups))
    return [*whole, *parts]


def _parts(job: Job) -> int:
    references = len(job.reference.rows)
    rows = ROWS.get(job.subject.model.device.type, _ROWS_ELSEWHERE)
    return max(1, min(references, _MOST_PARTS, -(-references * job.draws // rows)))


def _averages(job: Job) -> bool:
    """Whether some activation is replaced by a statistic of the dataset."""
    return job.mode.claimed == "mean" or job.mode.unclaimed in ("mean", "noise")


def _reads(job: Job) -> int:
    """About how many inputs a job reads."""
    contexts, tree = job.contexts, job.tree
    drawn: set[object] = set()
    for region in tree.regions:
        drawn |= {contexts.of(region.index), contexts.unclaimed(region.index)}
        if region.unclaimed.separately or job.mode.apart:
            drawn |= set(tree.graph.slots)
    return len(job.reference.rows) * job.draws * len(drawn)
