"""Features: named functions of the input whose equality decides which inputs agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.data.classes import distinct, number_of_class, plain_classes
from scrubbing.data.dataset import Dataset
from scrubbing.errors import Fault, IllegalHypothesis, ScrubbingError, UsageError, brief, counted, fail, located
from scrubbing.guards import is_finite
from scrubbing.printable import can_be_written
from scrubbing.storable import named
from scrubbing.user_code import line_of

Per = Literal["input", "position"]

_TAKES = {"and": "b", "or": "b", "not": "b", "all": "b", "rounded": "biuf", "at_most": "biuf"}
"""Which kinds of values an operation is defined for; the others take any."""
_LARGEST = 2.0**62
"""Largest whole number of rounding steps; beyond it int64 would silently wrap around."""
_LARGEST_VALUE = 2**63 - 1
_TIE_SHARE = 0.01
"""A value closer than this share of the rounding step to a rounding boundary is called a near tie."""


@named("feature")
@dataclass(frozen=True)
class Feature:
    """A function of the dataset giving one value per input, or one per input and position.

    Two inputs *agree* when their values are equal. Equality must be exact, so values are integers, booleans, strings,
    or rows of these; a float feature has to say how it is rounded (`.rounded`, `.at_most`). Features combine with `&`,
    `|`, `~` (booleans) and `joint` (agree on all of several). Build one with the `feature` decorator.
    """

    name: str
    op: str = "leaf"
    """`leaf`, `and`, `or`, `not`, `joint`, `rounded`, `at_most`, `all`, `merged`, `identity`, `constant`."""
    compute: Callable[[Dataset], ArrayLike] | None = None
    of: tuple[Feature, ...] = ()
    numbers: tuple[float, ...] = ()
    """Step of `rounded`; threshold and tolerance of `at_most`."""
    per: Per = "input"
    classes: tuple[tuple[Any, ...], ...] = ()
    """Values that `merged` counts as equal, class by class."""

    def __post_init__(self) -> None:
        if not can_be_written(self.name):
            fail(UsageError, "SCR-NAME", f"a feature is called {self.name!r}.", "Give it a name, as text.")

    def __call__(self, data: Dataset) -> NDArray[Any]:
        """The values: `[n]` or `[n, k]` per input, `[n, positions]` per position. Kept with the dataset.

        Raises:
            IllegalHypothesis: SCR-FEATURE, wrong length or shape, or other values when computed again (a function is
                called twice); SCR-NAN, a value is not a number.
        """
        return data.remember(("feature", self), lambda: self._checked(data))

    def __and__(self, other: Feature) -> Feature:
        return _combine("and", "{} & {}", self, other)

    def __or__(self, other: Feature) -> Feature:
        return _combine("or", "({} | {})", self, other)

    def __invert__(self) -> Feature:
        return _combine("not", "~{}", self)

    def rounded(self, step: float) -> Feature:
        """Round this float feature to multiples of `step`; the result is the integer number of steps.

        Raises:
            UsageError: SCR-FLOAT, the step is not a positive number.
        """
        if not is_finite(step) or not step > 0:
            problem = f"{self.name} cannot be rounded to steps of {step!r}."
            fail(UsageError, "SCR-FLOAT", problem, "Give a positive step, such as 1e-6.")
        return Feature(f"{self.name}.rounded({step:g})", "rounded", of=(self,), numbers=(step,), per=self.per)

    def at_most(self, threshold: float, tolerance: float) -> Feature:
        """Whether this float feature is at most `threshold`, values within `tolerance` above it counting as equal.

        A float that is a half in mathematics lands on either side of 0.5: the original study lost 27 % of its balanced
        inputs to such a tie. Values just outside the tolerance are counted and reported.

        Raises:
            UsageError: SCR-FLOAT, the threshold is no number, or the tolerance is negative.
        """
        if not is_finite(threshold):
            problem = f"{self.name} cannot be compared with {threshold!r}."
            fail(UsageError, "SCR-FLOAT", problem, "Give a number.")
        if not is_finite(tolerance) or not tolerance >= 0:
            problem = f"{self.name} cannot be compared with a tolerance of {tolerance!r}."
            fail(UsageError, "SCR-FLOAT", problem, "Give a tolerance of 0 or more, such as 1e-6.")
        name = f"{self.name}.at_most({threshold:g}, tolerance={tolerance:g})"
        return Feature(name, "at_most", of=(self,), numbers=(threshold, tolerance), per=self.per)

    def merged(self, classes: Iterable[Iterable[Any]]) -> Feature:
        """A coarser feature: values of one class count as equal, and so do all values that are in no class.

        Args:
            classes: each some values, as `value_at` gives them: tuples, of a joint feature and of one with a row of
                values per input.

        Raises:
            UsageError: SCR-FEATURE, these are no classes, a value is in two of them, or is no value of a joint feature.
        """
        given = plain_classes(self, classes)
        values = [value for one in given for value in one]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            problem = f"the value {twice!r} of {self.name} is in two classes, or twice in one."
            fail(UsageError, "SCR-FEATURE", problem, "Name each value once.")
        name = f"{self.name}.merged({[list(one) for one in given]})"
        return Feature(name, "merged", of=(self,), per=self.per, classes=given)

    def everywhere(self) -> Feature:
        """Whether this boolean per-position feature is true at every position of the input.

        Raises:
            UsageError: SCR-FEATURE, it has one value per input.
        """
        if self.per != "position":
            problem = f"{self.name} has one value per input, so .everywhere() has no positions to ask about."
            fail(UsageError, "SCR-FEATURE", problem, 'Use it as it is, or declare it with @feature(per="position").')
        name = f"({self.name})" if self.op == "and" else self.name
        return Feature(f"{name}.everywhere()", "all", of=(self,))

    def is_float(self, data: Dataset) -> bool:
        """Whether this feature has float values on a dataset, so that agreement would mean equality of floats."""
        of_joint = self.op == "joint" and any(part.is_float(data) for part in self.of)
        return of_joint or self(data).dtype.kind == "f"

    def value_at(self, data: Dataset, row: int, position: int | None = None) -> Any:
        """The value at one input as a plain Python value; for a joint feature, a tuple of the values of its parts."""
        if self.op == "joint":
            return tuple(part.value_at(data, row, position) for part in self.of)
        value = self(data)[row]
        return (value if position is None or self.per == "input" else value[position]).tolist()

    def near_ties(self, data: Dataset) -> int:
        """Number of values so close to a rounding boundary that a tiny change would move them across it."""
        return data.remember(("near ties", self), lambda: self._near_ties(data))

    def _near_ties(self, data: Dataset) -> int:
        count = sum(part.near_ties(data) for part in self.of)
        if self.op == "rounded":
            position = np.asarray(self.of[0](data)) / self.numbers[0]
            count += int((np.abs(np.abs(position - np.rint(position)) - 0.5) < _TIE_SHARE).sum())
        if self.op == "at_most":
            threshold, tolerance = self.numbers
            distance = np.abs(np.asarray(self.of[0](data), dtype=np.float64) - threshold)
            doubtful = max(10 * tolerance, 1e-6 * max(1.0, abs(threshold)))
            count += int(((distance > tolerance) & (distance <= doubtful)).sum())
        return count

    def stored(self) -> dict[str, Any]:
        """This feature as JSON: the address of its function, or the operation and the features it combines."""
        if self.op == "leaf":
            return {"compute": self.compute}
        made = {"name": self.name, "op": self.op, "of": self.of, "numbers": self.numbers, "per": self.per}
        return made | ({"classes": self.classes} if self.classes else {})

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Feature:
        """The feature with these stored fields; the inverse of `stored`.

        The address of the function now holds the feature, because the decorator replaced the function by it.

        Raises:
            UsageError: SCR-JSON, the address no longer holds a feature.
        """
        if "compute" not in fields:
            return cls(**fields)
        found = fields["compute"]
        if not isinstance(found, Feature):
            told = f"{getattr(found, '__module__', '?')}:{getattr(found, '__qualname__', found)}"
            fail(UsageError, "SCR-JSON", f"{told} is not a feature any more.", "Decorate it with @feature again.")
        return found

    def _checked(self, data: Dataset) -> NDArray[Any]:
        where = f"feature {self.name}"
        with located(where):
            try:
                values = np.asarray(self._compute(data))
                again = np.asarray(self._compute(data)) if self.op == "leaf" else values
            except ScrubbingError:
                raise
            except Exception as error:  # a fault like any other, so that it is reported together with them
                problem = f"it raised {brief(error)}{line_of(error)}."
                remedy = "Correct the function; called on the dataset, it shows where."
                raise IllegalHypothesis(Fault("SCR-FEATURE", where, problem, remedy)) from error
        faults = list(self._faults(values, data))
        if not faults and not np.array_equal(values, again):
            problem = "computed twice on the same inputs, its values differ."
            remedy = "Draw its random numbers from a generator of fixed seed, made inside the function."
            faults = [Fault("SCR-FEATURE", where, problem, remedy)]
        if faults:
            raise IllegalHypothesis(faults)
        values = values.astype(np.int64) if values.dtype == np.uint64 else values.view()
        values.flags.writeable = False
        return values

    def _compute(self, data: Dataset) -> ArrayLike:
        parts = self._operands(data)
        match self.op:
            case "leaf":
                assert self.compute is not None
                return self.compute(data)
            case "and":
                return parts[0] & parts[1]
            case "or":
                return parts[0] | parts[1]
            case "not":
                return ~parts[0]
            case "all":
                return parts[0].all(axis=1)
            case "rounded":
                return self._rounded(parts[0], data)
            case "at_most":
                return parts[0] <= self.numbers[0] + self.numbers[1]
            case "identity":
                return np.argsort(np.argsort(data.ids, kind="stable"), kind="stable")
            case "constant":
                return np.zeros(len(data), dtype=np.int8)
            case "joint":
                return _joint(parts)
            case "merged":
                return number_of_class(self.of[0], self.classes, data)
            case _:
                raise AssertionError(self.op)

    def _operands(self, data: Dataset) -> list[NDArray[Any]]:
        """The values it is made of; a per-input value next to per-position ones holds at every position."""
        found: list[NDArray[Any]] = []
        for part in self.of:
            values = part(data)
            if values.dtype.kind not in _TAKES.get(self.op, values.dtype.kind):
                wanted, remedy = "numbers", "Return numbers."
                if _TAKES[self.op] == "b":
                    wanted, remedy = "booleans", "Compare its values inside the feature, or combine with joint(...)."
                problem = f"it takes {wanted}, and {part.name} has values of type {values.dtype}."
                fail(IllegalHypothesis, "SCR-FEATURE", problem, remedy)
            if self.op == "joint" and part.per == "input" and values.ndim == 2:
                values = np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)
            alone = self.per == "position" and part.per == "input" and values.ndim == 1
            found.append(values[:, None] if alone else values)
        return found

    def _rounded(self, values: NDArray[Any], data: Dataset) -> NDArray[np.int64]:
        steps = values / self.numbers[0]
        wild = ~(np.abs(steps) < _LARGEST)
        if wild.any():
            rows = np.unique(np.argwhere(wild)[:, 0])
            problem = (
                f"it is infinite, or too large for this rounding, for {counted(len(rows), 'input')}, "
                f"first input id {data.ids[rows[0]]}."
            )
            fail(IllegalHypothesis, "SCR-NAN", problem, "Give these inputs a finite value, or round to larger steps.")
        return np.rint(steps).astype(np.int64)

    def _faults(self, values: NDArray[Any], data: Dataset) -> Iterator[Fault]:
        where = f"feature {self.name}"
        if values.ndim == 0 or len(values) != len(data):
            told = repr(values.item()) if values.ndim == 0 else counted(len(values), "value")
            problem = f"it returned {told} for {counted(len(data), 'input')}."
            yield Fault("SCR-FEATURE", where, problem, "Return one value per input, in the order of the dataset.")
        elif values.ndim > 2 or (self.per == "position" and values.ndim != 2):
            wanted = "[n, positions]" if self.per == "position" else "[n] or [n, k]"
            problem = f"it returned an array of shape {list(values.shape)}."
            yield Fault("SCR-FEATURE", where, problem, f"Return an array of shape {wanted}.")
        elif values.dtype.kind not in "biufUS":
            problem = f"its values have type {values.dtype}, whose equality is not defined here."
            yield Fault("SCR-FEATURE", where, problem, "Return integers, booleans, strings, or rounded floats.")
        elif values.dtype == np.uint64 and values.size and int(values.max()) > _LARGEST_VALUE:
            problem = (
                f"its largest value is {values.max()}, and the largest that can be told apart is {_LARGEST_VALUE}."
            )
            yield Fault(
                "SCR-FEATURE", where, problem, "Return numbers of classes, np.unique(..., return_inverse=True)[1]."
            )
        elif values.dtype.kind == "f" and np.isnan(values).any():
            rows = np.unique(np.argwhere(np.isnan(values))[:, 0])
            problem = f"it is NaN for {len(rows)} of {counted(len(data), 'input')}, first input id {data.ids[rows[0]]}."
            yield Fault("SCR-NAN", where, problem, "NaN equals nothing: give these inputs a value of their own.")

    def __str__(self) -> str:
        return self.name


everything = Feature("everything", "identity")
"""The feature on which every input agrees only with itself, so that nothing may be exchanged."""
anything = Feature("anything", "constant")
"""The feature on which all inputs agree, so that any of them may be exchanged."""


@overload
def feature(compute: Callable[[Dataset], ArrayLike], /) -> Feature: ...
@overload
def feature(*, per: Per = "input", name: str | None = None) -> Callable[[Callable[[Dataset], ArrayLike]], Feature]: ...
def feature(
    compute: Callable[[Dataset], ArrayLike] | None = None, /, *, per: Per = "input", name: str | None = None
) -> Feature | Callable[[Callable[[Dataset], ArrayLike]], Feature]:
    """Turn a function of the dataset into a feature.

    Args:
        compute: `dataset -> values`, one per input in order; written in numpy, so that checking needs no torch.
        per: `input`, or `position` for values `[n, positions]`.
        name: defaults to the function's.

    Raises:
        UsageError: SCR-FEATURE, `per` is neither.
    """
    if not isinstance(per, str) or per not in ("input", "position"):
        problem = f"per={per!r} was asked for; a feature has a value per input or per position."
        fail(UsageError, "SCR-FEATURE", problem, 'Write per="input" or per="position".')

    def wrap(function: Callable[[Dataset], ArrayLike]) -> Feature:
        called = (
            getattr(function, "__name__", "feature") if name is None or (isinstance(name, str) and not name) else name
        )
        return Feature(called, compute=function, per=per)

    return wrap(compute) if compute is not None else wrap


def joint(*features: Feature) -> Feature:
    """Combine features: two inputs agree on the result when they agree on every one of the given features.

    Raises:
        UsageError: SCR-FEATURE, no feature was given, or an argument is not a feature.
    """
    if not features:
        problem = "joint() was given no feature, so it does not say what to agree on."
        fail(UsageError, "SCR-FEATURE", problem, "Name at least one, or use `anything` to agree with every input.")
    return _combine("joint", "(" + ", ".join(["{}"] * len(features)) + ")", *features)


def as_feature(written: Feature | tuple[Feature, ...]) -> Feature:
    """Convert an argument to a feature: a feature is returned as it is, a tuple of features is joined by `joint`.

    Raises:
        UsageError: SCR-FEATURE, anything else, such as a function without the decorator.
    """
    if isinstance(written, tuple):
        return joint(*written)
    if not isinstance(written, Feature):
        shown = getattr(written, "__name__", None) or (repr(written) if isinstance(written, str) else str(written))
        problem = f"a feature was expected, and {shown} is of type {type(written).__name__}."
        fail(UsageError, "SCR-FEATURE", problem, "Decorate a function of the dataset with @feature.")
    return written


def _combine(op: str, form: str, *written: Feature | tuple[Feature, ...]) -> Feature:
    features = tuple(as_feature(part) for part in written)
    per: Per = "position" if any(part.per == "position" for part in features) else "input"
    return Feature(form.format(*(part.name for part in features)), op, of=features, per=per)


def _joint(parts: list[NDArray[Any]]) -> NDArray[Any]:
    combined, *others = (_codes(part) for part in parts)
    for code in others:
        base = int(code.max(initial=0)) + 1
        if int(combined.max(initial=0)) >= _LARGEST // base:
            combined = _codes(combined)  # the product of many fine features would wrap around, and merge their classes
        combined = combined * base + code
    return combined.astype(np.min_scalar_type(int(combined.max(initial=0))))


def _codes(values: NDArray[Any]) -> NDArray[np.int64]:
    return distinct(values.reshape(-1))[1].reshape(values.shape).astype(np.int64)
