"""The interpretation: variables of the claimed high-level computation, as a DAG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.agreement import groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature, as_feature
from scrubbing.errors import Fault, IllegalHypothesis, ScrubbingError, UsageError, fail, located
from scrubbing.storable import named

if TYPE_CHECKING:
    import networkx as nx


@named("variable")
@dataclass(frozen=True)
class Variable:
    """One variable of the interpretation: a function of the input, optionally computed from other variables.

    A variable has a feature, or parents and a `value` function, or all three; where both are given they must agree on
    every input in scope. It knows nothing of the model.
    """

    name: str
    feature: Feature | tuple[Feature, ...] | None = None
    """What two inputs must agree on for an activation carrying this variable to be exchanged between them."""
    parents: tuple[Variable, ...] = ()
    value: Callable[..., ArrayLike] | None = field(default=None)
    """Function of the parents' values, in the order of `parents`: whole arrays to an array of values."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            problem = f"its name is of type {type(self.name).__name__}."
            fail(UsageError, "SCR-VARIABLE", problem, 'Name it first: Variable("name", feature).', "variable")
        where = f"variable {self.name!r}"
        with located(where):
            if self.feature is not None:
                as_feature(self.feature)
        if self.value is not None and not callable(self.value):
            problem = f"its value= is of type {type(self.value).__name__}."
            fail(UsageError, "SCR-VARIABLE", problem, "Give a function of the parents' values.", where)
        if not isinstance(self.parents, tuple) or not all(isinstance(parent, Variable) for parent in self.parents):
            problem = "its parents are not a tuple of variables."
            fail(UsageError, "SCR-VARIABLE", problem, "Write parents=(a, b), or parents=(a,) for a single one.", where)

    def agrees_on(self) -> Feature:
        """The feature that decides agreement.

        Raises:
            IllegalHypothesis: SCR-FEATURE, the variable has neither a feature nor a value function.
        """
        if self.feature is not None:
            return as_feature(self.feature)
        if self.value is None:
            fail(
                IllegalHypothesis,
                "SCR-FEATURE",
                "it has neither a feature nor a value function, so no two inputs can be said to agree on it.",
                f"Write Variable({self.name!r}, some_feature), or give it parents and value=.",
                f"variable {self.name!r}",
            )
        return Feature(self.name, compute=self._from_parents)

    def _from_parents(self, data: Dataset) -> NDArray[Any]:
        assert self.value is not None
        return np.asarray(self.value(*(parent.agrees_on()(data) for parent in self.parents)))

    def mismatches(self, data: Dataset) -> int:
        """Number of inputs on which the feature differs from the value function; 0 unless the variable has both."""
        if self.feature is None or self.value is None:
            return 0
        # As a feature, so that its length, its shape and errors inside it are reported as those of features are.
        computed = Feature(f"{self.name} by its value function", compute=self._from_parents)(data)
        declared = as_feature(self.feature)(data)
        if declared.shape != computed.shape:
            return len(data)
        differ = declared != computed
        return int(differ.reshape(len(data), -1).any(axis=1).sum())

    def walk(self) -> Iterator[Variable]:
        """Iterate over this variable and all variables it is computed from."""
        yield self
        for parent in self.parents:
            yield from parent.walk()

    def bits(self, data: Dataset) -> float:
        """Entropy of the feature over the dataset, in bits per input (or per input and position)."""
        return groups(self.agrees_on(), data).entropy

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Interpretation:
    """The variables that a hypothesis uses, and which of them each one is computed from.

    Edges are the declared parents, plus one from each claim's variable to its parent claim's variable where these
    differ and the latter declares no parents of its own.
    """

    variables: tuple[Variable, ...]
    edges: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, roots: Iterable[Variable], implied: Iterable[tuple[Variable, Variable]]) -> Interpretation:
        """Collect variables and edges from a tree of claims; `implied` are (child's, parent's) variables."""
        found: dict[str, Variable] = {}
        edges: dict[tuple[str, str], None] = {}
        pending = list(roots)
        while pending:
            variable = pending.pop(0)
            if variable.name in found:
                continue
            found[variable.name] = variable
            for parent in variable.parents:
                edges[parent.name, variable.name] = None
            pending += variable.parents
        for child, parent in implied:
            if child.name != parent.name and not parent.parents:
                edges[child.name, parent.name] = None
        return cls(tuple(found.values()), tuple(edges))

    @property
    def digraph(self) -> nx.DiGraph[str]:
        """The graph as a `networkx.DiGraph`, with edges from a variable to those computed from it."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(variable.name for variable in self.variables)
        graph.add_edges_from(self.edges)
        return graph

    def faults(self, used: Iterable[Variable]) -> Iterator[Fault]:
        """Structural faults: two different variables of one name, a variable without a feature, a cycle."""
        import networkx as nx

        by_name: dict[str, Variable] = {}
        twice: dict[str, None] = {}
        for each in dict.fromkeys(variable for root in used for variable in root.walk()):
            if by_name.setdefault(each.name, each) != each:
                twice[each.name] = None
        for name in twice:
            problem = "two different variables have this name."
            yield Fault("SCR-VARIABLE", f"variable {name!r}", problem, "Rename one, or use one object in both places.")
        for variable in self.variables:
            try:
                variable.agrees_on()
            except IllegalHypothesis as error:
                yield from error.faults
        if not twice and not nx.is_directed_acyclic_graph(self.digraph):
            cycle = [edge[0] for edge in nx.find_cycle(self.digraph)]
            problem = f"variables are computed from each other in a circle: {' -> '.join([*cycle, cycle[0]])}."
            remedy = "A variable is computed from those claimed below it: turn one of these claims round, or split one."
            yield Fault("SCR-CYCLE", "interpretation", problem, remedy)

    def data_faults(self, data: Dataset) -> Iterator[Fault]:
        """Faults that need data: wrong lengths, NaN, unrounded floats, value functions that disagree."""
        for variable in self.variables:
            try:
                agreed = variable.agrees_on()
                if agreed.is_float(data):
                    yield Fault(
                        "SCR-FLOAT",
                        f"variable {variable.name!r}",
                        f"feature {agreed.name} has float values; equal in mathematics is not equal in floats.",
                        "Declare the rounding: feature.rounded(1e-6), or feature.at_most(0.5, tolerance=1e-6).",
                    )
                elif wrong := variable.mismatches(data):
                    problem = f"its value function and its feature differ on {wrong} of {len(data)} inputs."
                    remedy = "Correct one of them; the interpretation must compute what it says."
                    yield Fault("SCR-VALUE", f"variable {variable.name!r}", problem, remedy)
            except ScrubbingError as error:
                if variable.feature is not None or variable.value is not None:
                    yield from error.faults
