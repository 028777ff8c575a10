"""A plan as text: numbered steps, what each reads, and the tokens it is computed at."""

from __future__ import annotations

from scrubbing.engine import values as v
from scrubbing.engine.plan import ScrubPlan, Space


def describe(plan: ScrubPlan) -> str:
    """Every step of a plan, in order: first the statistics that stand in for ablated sums, each with the steps of the
    sum; then the batch. Steps of claims that draw per position are indented.
    """
    lines: list[str] = []
    means = {value: f"M{number}" for number, value in enumerate(plan.statistics)}
    for value, made in plan.statistics.items():
        lines.append(f"{means[value]} = {value.kind} over {made.inputs:,} inputs, once:")
        lines += [f"    {line}" for line in describe(made.plan).splitlines()]
    numbers: dict[v.Value, str] = {}

    def visit(space: Space, indent: str) -> None:
        shown = 0
        for value in space.order:
            if isinstance(value, v.PerPosition) and value.region not in entered:
                entered.add(value.region)
                lines.append(f"{indent}for each position, claim {value.region}:")
                visit(space.below[value.region], indent + "    ")
            if isinstance(value, v.Constant):
                numbers[value] = str(value)
                continue
            prefix = "" if not indent else indent.strip() or "'" * (len(indent) // 4)
            numbers[value] = f"%{shown}{prefix}"
            shown += 1
            step = f"stand-in {means[value]}" if isinstance(value, v.Statistic) else _told(value, numbers)
            lines.append(f"{indent}{numbers[value]:<5} {step}  {space.demand[value]}")

    entered: set[int] = set()
    visit(plan.space, "")
    for name, (value, demand) in plan.roots.items():
        lines.append(f"{name} = {numbers[value]}  {demand}")
    return "\n".join(lines)


def _told(value: v.Value, numbers: dict[v.Value, str]) -> str:
    match value:
        case v.Sum():
            return "; ".join(
                ("" if len(value.cells) == 1 else f"at {where}: ")
                + " ".join(f"{'+' if sign > 0 else '-'} {numbers.get(term, str(term))}" for sign, term in terms)
                for where, terms in value.cells
            )
        case v.Normed():
            frozen = "" if value.scale is None else f" by {numbers[value.scale]}"
            return f"norm {numbers[value.of]}{frozen}"
        case v.NormScale():
            return f"norm scale of {numbers[value.of]}"
        case v.Evaluated():
            read = ", ".join(f"{name}={numbers[one]}" for name, one in value.slots)
            mask = "" if value.mask is None else f", mask of {value.mask!r}"
            return f"{value.node}{f'[{value.part}]' if value.part else ''}({read}{mask})"
        case v.Apply():
            return f"{value.part} of " + (f"{value.context!r}" if value.of is None else numbers[value.of])
        case v.PerPosition():
            return f"each position: {numbers[value.of]}"
        case _:
            return str(value)
