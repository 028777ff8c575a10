"""Templated prompts: texts with named slots, as datasets in which the value and place of every slot is a column."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.filling import Span, filled, slots_of
from scrubbing.data.slots import PLACE, VALUE
from scrubbing.errors import BadData, Fault, UsageError, counted, fail
from scrubbing.guards import class_of, is_mapping, is_whole

Columns = dict[str, NDArray[Any]]
Uniform = Callable[[int], NDArray[np.float64]]
_MOST = 2**20
"""Values of one slot; an iterable may be endless."""
_KEPT = 100_000
"""Prompts that are kept as numbers, of less than a kilobyte each."""


class Prompts:
    """Prompts made from templates: `"Then {S} and {IO} left. {S} thanked"` with a list of values for each slot.

    Every slot is a feature without further ado: `slot("S")` is its value, `place_of("S", 2)` where its second
    occurrence stands, `at_slot("S", 2)` the tokens of that occurrence, for `.at(...)`; `layout` is where all of them
    stand. Source: ours.

    Args:
        templates: texts with slots in braces, with a format if need be: `{year:02d}`. Double braces are braces.
        slots: values by name of the slot, text or integers, each once.
        tokenizer: `Words`, a tokenizer of the library `tokenizers`, or a function from a text to its tokens and the
            range of characters of each. Special tokens are not added.
        answer: what is to be predicted after the prompt, as a template such as `" {IO}"`. Its first token is the column
            `label`.
        different: groups of slots that never have the same value in one prompt.
        begin: token before every prompt; None for none.
        pad: token after prompts that are shorter than the longest one possible.
        name: of the datasets.

    Raises:
        UsageError: SCR-TEMPLATE, with all that is wrong: a slot without values, values without a slot, values of
            several types, a group that cannot differ, a template that cannot be read.
    """

    def __init__(
        self,
        templates: Sequence[str],
        slots: Mapping[str, Sequence[str] | Sequence[int]],
        tokenizer: Any,
        *,
        answer: str | None = None,
        different: Iterable[Iterable[str]] = (),
        begin: int | None = None,
        pad: int = 0,
        name: str = "prompts",
    ) -> None:
        self.templates = _listed((templates,) if isinstance(templates, str) else templates, "templates")
        if not is_mapping(slots):
            problem = f"slots are of type {class_of(slots).__name__}."
            fail(UsageError, "SCR-TEMPLATE", problem, 'Give values by name: {"A": ["Ann", "Bob"]}.', name)
        self.slots: dict[str, tuple[Any, ...]] = {
            key: _listed(values, f"values of {key}") for key, values in slots.items()
        }
        self.different = tuple(_listed(group, "slots that differ") for group in _listed(different, "groups of slots"))
        self.answer, self.begin, self.pad, self.name = answer, begin, pad, name
        self.tokenizer = tokenizer
        self._rows: dict[tuple[Any, ...], NDArray[np.int64]] = {}
        if faults := list(self._faults()):
            raise UsageError(faults)

    def draw(self, n: int, seed: int = 0) -> Dataset:
        """So many prompts, every template and every value equally likely.

        Raises:
            UsageError: SCR-TEMPLATE, the number is not positive. BadData: SCR-TEMPLATE, a token is about a slot and
                about the text around it too; SCR-TOKENS.
        """
        self._check_number(n)
        rng = np.random.default_rng(seed)
        number = rng.integers(len(self.templates), size=n)
        return self.dataset(number, self._values({}, lambda k: rng.random((n, k)), n))

    def pairs(self, n: int, changed: str, seed: int = 0) -> Dataset:
        """So many prompts, and after them for each its counterfactual: the same prompt with another value of one slot.

        The column `pair` numbers the pairs, and `changed` is true of the counterfactuals. With references 0 to n - 1
        and `unclaimed=paired(pair)`, what is not claimed comes from a prompt's counterfactual.

        Args:
            n: number of pairs.
            changed: the slot that differs; wherever it occurs, and in the answer too.
            seed: of the prompts, and of what they are changed to.

        Raises:
            UsageError: SCR-TEMPLATE, no template has this slot, or there is no other value. BadData: as `draw`.
        """
        self._check_number(n)
        self._check_slots([changed])
        rng = np.random.default_rng(seed)
        lacking = [one for one in self.templates if changed not in slots_of(one)]
        if lacking:
            problem = f"it has no slot {changed}, so that a prompt would be its own counterfactual."
            fail(UsageError, "SCR-TEMPLATE", problem, "Change a slot that every template has.", repr(lacking[0]))
        if len(self.slots[changed]) <= max((len(one) for one in self.different if changed in one), default=1):
            problem = f"slot {changed} has no other value that it may have."
            fail(UsageError, "SCR-TEMPLATE", problem, "Give it more values.", self.name)
        number = rng.integers(len(self.templates), size=n)
        values = self._values({}, lambda k: rng.random((n, k)), n)
        others = self._values({key: values[key] for key in values if key != changed}, lambda k: rng.random((n, k)), n,
                              but={changed: values[changed]})  # fmt: skip
        both = self.dataset(np.tile(number, 2), {key: np.concatenate([values[key], others[key]]) for key in values})
        return both.with_columns(pair=np.tile(np.arange(n), 2), changed=np.arange(2 * n) >= n)

    def dataset(self, template: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> Dataset:
        """Prompts of these templates, by number, with these values of every slot.

        Raises:
            BadData: as `draw`.
        """
        columns = self._columns(template, values)
        how: Any = {"show": self._show, "pad": self.pad, "preparation": self.preparation, "source": self}
        return Dataset(columns, name=self.name, **how)

    def redraw(
        self,
        held: Dataset,
        uniform: Uniform,
        keep: Iterable[str] = (),
        templates: Iterable[Iterable[int]] | None = None,
    ) -> Columns:
        """New prompts that agree with held ones on some slots; what the sampler `refill` makes.

        Args:
            held: prompts of this object.
            uniform: `uniform(k)` gives float `[n, k]` in [0, 1).
            keep: slots whose values stay; all others are drawn afresh.
            templates: classes of templates, by number, that may stand in for each other; None keeps the template.

        Returns:
            The columns of one new prompt for each held one: those that `dataset` makes, and `pair` and `changed` of the
            held one. Columns that were added to prompts are not among them.

        Raises:
            UsageError: SCR-TEMPLATE, there is no such slot or template.
        """
        kept = list(keep)
        self._check_slots(kept)
        n, number = len(held), held["template"]
        if templates is not None:
            number = self._other_templates(
                number, [list(one) for one in templates], uniform(len(self.slots) + 1)[:, -1]
            )
        columns = self._columns(number, self._values({key: held[VALUE + key] for key in kept}, uniform, n))
        # Any other column is about the held prompt; a feature of it is refused rather than computed of another one.
        return columns | {name: held[name] for name in ("pair", "changed") if name in held}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_rows": {}}

    def encode(self, text: str) -> tuple[list[int], list[Span]]:
        """The tokens of a text, without special ones, and the range of characters of each."""
        if not hasattr(self.tokenizer, "encode_batch"):
            return self.tokenizer(text)
        found = self.tokenizer.encode(text, add_special_tokens=False)
        return list(found.ids), list(found.offsets)

    @property
    def preparation(self) -> str:
        """How prompts become tokens, for the record."""
        begins = "no begin token" if self.begin is None else f"begin token {self.begin} before every prompt"
        if not self.padded:
            return f"{begins}; every prompt has {self.length} tokens, none is padding"
        return f"{begins}; token {self.pad} to the right of prompts shorter than {self.length} tokens, and masked"

    @cached_property
    def length(self) -> int:
        """Tokens of the longest prompt that the lists of values allow, the begin token included."""
        return max(longest for _, longest in self._lengths)

    @cached_property
    def padded(self) -> bool:
        """Whether prompts have different lengths, so that datasets have a mask."""
        return any(length != self.length for both in self._lengths for length in both)

    @cached_property
    def _lengths(self) -> list[Span]:
        """The shortest and the longest prompt of each template."""
        found: list[Span] = []
        for text in self.templates:
            first = {key: values[0] for key, values in self.slots.items()}
            base = len(self.encode(filled(text, first)[0])[0])
            less = more = 0
            for name in dict.fromkeys(slots_of(text)):
                sizes = [len(self.encode(filled(text, {**first, name: one})[0])[0]) - base for one in self.slots[name]]
                less, more = less + min(sizes), more + max(sizes)
            begin = self.begin is not None
            found.append((base + less + begin, base + more + begin))
        return found

    def _columns(self, template: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> Columns:
        start = 2 + self.length
        chosen = (values[key].tolist() for key in self.slots)
        rows = self._known([*zip(np.asarray(template).tolist(), *chosen, strict=True)])
        columns: Columns = {"tokens": rows[:, 2:start], "template": np.asarray(template)}
        if self.padded:
            columns["mask"] = np.arange(self.length) < rows[:, :1]
        if self.answer is not None:
            columns["label"] = rows[:, 1]
        columns |= {VALUE + key: np.asarray(values[key], dtype=self._dtype(key)) for key in self.slots}
        for key, count in self._occurrences.items():
            columns[PLACE + key] = rows[:, start : start + 2 * count].reshape(-1, count, 2)
            start += 2 * count
        return columns

    def _known(self, keys: list[tuple[Any, ...]]) -> NDArray[np.int64]:
        """A row of `_row` for each template and values; those of late are kept, since runs ask for the same again."""
        if len(self._rows) > _KEPT:
            self._rows.clear()
        for one in keys:
            if one not in self._rows:
                self._rows[one] = self._row(self.templates[one[0]], dict(zip(self.slots, one[1:], strict=True)))
        return np.stack([self._rows[one] for one in keys])

    def _row(self, template: str, chosen: Mapping[str, Any]) -> NDArray[np.int64]:
        """One prompt in numbers: how many tokens, the label, the tokens, and where each slot stands."""
        text, spans = filled(template, chosen)
        ids, ranges = self.encode(text)
        begin = [] if self.begin is None else [self.begin]
        n = len(begin) + len(ids)
        if n > self.length:  # a tokenizer may join what two slots stand for
            problem = f"{text!r} has {n} tokens, and the longest should have {self.length}."
            fail(BadData, "SCR-TEMPLATE", problem, "Separate slots by text.", self.name)
        places: dict[str, list[int]] = {key: [] for key in self._occurrences}
        for key, span in spans:
            places[key] += (len(begin) + one for one in self._tokens_of(span, ranges, text, key))
        row = [n, 0 if self.answer is None else self._label(text, ids, chosen)]
        row += [*begin, *ids, *[self.pad] * (self.length - n)]
        for key, count in self._occurrences.items():
            row += [*places[key], *[-1] * (2 * count - len(places[key]))]
        return np.array(row, dtype=np.int64)

    def _tokens_of(self, span: Span, ranges: list[Span], text: str, name: str) -> Span:
        """The tokens that stand for a range of characters."""
        first, last = bisect_right(ranges, span[0], key=itemgetter(1)), bisect_left(ranges, span[1], key=itemgetter(0))
        around = "".join(text[start : span[0]] + text[span[1] : stop] for start, stop in ranges[first:last])
        if first >= last or around.strip():
            problem = f"in {text!r}, no token is about {text[slice(*span)]!r} (slot {name}) alone."
            remedy = "Choose values that are tokens of their own, or put a space beside the slot."
            fail(BadData, "SCR-TEMPLATE", problem, remedy, self.name)
        return first, last

    def _label(self, text: str, ids: list[int], chosen: Mapping[str, Any]) -> int:
        assert self.answer is not None
        whole = self.encode(text + filled(self.answer, chosen)[0])[0]
        if len(whole) <= len(ids) or whole[: len(ids)] != ids:
            problem = f"with the answer, {text!r} begins with other tokens, or has no more of them."
            fail(BadData, "SCR-TEMPLATE", problem, 'Begin the answer where a token begins: " {IO}".', self.name)
        return whole[len(ids)]

    def _values(
        self,
        kept: Mapping[str, NDArray[Any]],
        uniform: Uniform,
        n: int,
        but: Mapping[str, NDArray[Any]] | None = None,
    ) -> Columns:
        """A value of every slot for each of n prompts: those kept, and of the others none that is excluded."""
        u, columns = uniform(len(self.slots) + 1), dict(kept)
        for i, (name, values) in enumerate(self.slots.items()):
            if name in kept:
                continue
            beside = [key for group in self.different if name in group for key in group if key in columns]
            taken = [columns[key] for key in beside] + ([but[name]] if but and name in but else [])
            known = np.asarray(values)
            numbers = np.stack([np.full(n, -1), *(_numbers(known, one) for one in taken)], axis=1)
            columns[name] = known[_picked(u[:, i], len(values), numbers)]
        return {name: np.asarray(columns[name], dtype=self._dtype(name)) for name in self.slots}

    def _other_templates(self, number: NDArray[Any], classes: list[list[int]], u: NDArray[np.float64]) -> NDArray[Any]:
        of = {one: members for members in classes for one in members}
        if sorted(one for members in classes for one in members) != list(range(len(self.templates))):
            problem = f"{classes} are not classes of {counted(len(self.templates), 'template')}."
            fail(UsageError, "SCR-TEMPLATE", problem, "Put the number of each template, from 0, into one class.")
        return np.array([of[one][int(x * len(of[one]))] for one, x in zip(number.tolist(), u, strict=True)])

    def _dtype(self, name: str) -> Any:
        return np.asarray(self.slots[name]).dtype

    @cached_property
    def _occurrences(self) -> dict[str, int]:
        """How often each slot occurs in a prompt at most."""
        return {name: max(slots_of(text).count(name) for text in self.templates) for name in self.slots}

    def _show(self, data: Dataset, row: int) -> str:
        values = {key: data[VALUE + key][row].item() for key in self.slots}
        return filled(self.templates[int(data["template"][row])], values)[0]

    def _check_number(self, n: int) -> None:
        if not is_whole(n) or n < 1:
            fail(UsageError, "SCR-TEMPLATE", f"{n!r} prompts were asked for.", "Ask for at least 1.", self.name)

    def _check_slots(self, names: Sequence[str]) -> None:
        if wrong := [one for one in names if one not in self.slots]:
            remedy = f"Its slots: {', '.join(self.slots)}."
            fail(UsageError, "SCR-TEMPLATE", f"there is no slot {wrong[0]!r}.", remedy, self.name)

    def _faults(self) -> Iterator[Fault]:
        def fault(problem: str, remedy: str, where: str = "") -> Fault:
            return Fault("SCR-TEMPLATE", where or self.name, problem, remedy)

        if not callable(self.tokenizer) and not hasattr(self.tokenizer, "encode_batch"):
            problem = f"the tokenizer is of type {type(self.tokenizer).__name__}."
            yield fault(problem, "Give Words, a tokenizers.Tokenizer, or a function; see help(Prompts).")
        if not self.templates:
            yield fault("there is no template.", 'Give texts such as "Then {A} met {B}".')
        for what, token in (("begin", self.begin), ("pad", self.pad)):
            if not (token is None and what == "begin") and (not is_whole(token) or token < 0):
                yield fault(f"{what}={token!r} is no number of a token.", "Give a whole number of at least 0.")
        texts = [*self.templates, *([] if self.answer is None else [self.answer])]
        named, unread = dict[str, None](), not self.templates
        for text in texts:
            try:
                names = slots_of(text)
            except (ValueError, TypeError) as error:
                yield fault(
                    f"it cannot be read as a template ({error}).", "Write {NAME}, or {{ for a brace.", repr(text)
                )
                unread = True
                continue
            for one in names:
                if not one.isidentifier():
                    yield fault(f"{{{one}}} is no slot.", "Name slots by a word: {S1}.", repr(text))
                elif one not in self.slots:
                    yield fault(f"slot {one} has no values.", f"Give slots={{{one!r}: [...]}}.", repr(text))
            named |= dict.fromkeys(names)
        for name, values in self.slots.items():
            if name not in named and not unread:
                yield fault(f"there are values for {name!r}, and no template has such a slot.", "Leave them out.")
            if not values or len(set(map(class_of, values))) > 1 or not isinstance(values[0], str | int):
                yield fault(f"the values of {name} are not all text, or all integers.", "Give at least one of a kind.")
            elif len(set(values)) < len(values):
                yield fault(f"a value of {name} is given twice.", "Give each value once.")
        for group in self.different:
            unknown = [one for one in group if one not in self.slots]
            if unknown:
                yield fault(
                    f"slot {unknown[0]} is to be different, and there is none.", f"Name slots: {[*self.slots]}."
                )
            elif any(len(self.slots[one]) < len(group) for one in group):
                yield fault(
                    f"{', '.join(group)} cannot all be different.", "Give each as many values as there are slots."
                )


def _listed(given: Any, what: str) -> tuple[Any, ...]:
    """What was given as a list, if it can be one."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        problem = f"the {what} are of type {class_of(given).__name__}."
        fail(UsageError, "SCR-TEMPLATE", problem, "Give a list.", "Prompts")
    return tuple(islice(cast("Iterable[Any]", given), _MOST))


def _numbers(known: NDArray[Any], values: NDArray[Any]) -> NDArray[np.int64]:
    """The place of each value among known ones; -1 where it is none of them."""
    order = np.argsort(known)
    place = order[np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[place] == values, place, -1)


def _picked(u: NDArray[np.float64], n: int, taken: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the k-th number below n that is not taken, k from a number in [0, 1); -1 is no number."""
    taken = np.sort(taken, axis=1)
    counts = taken >= 0
    counts[:, 1:] &= taken[:, 1:] != taken[:, :-1]
    found = (u * (n - counts.sum(axis=1))).astype(np.int64)
    for one, does in zip(taken.T, counts.T, strict=True):
        found += does & (found >= one)
    return found
