"""`evalkit power` on a terminal: tables, a curve, and what buys most."""

from collections.abc import Iterator

from rich import box
from rich.console import Console
from rich.table import Table

from evalkit.cli import power_plan
from evalkit.cli.power_plan import Outlook, Plan
from evalkit.stats.power import TARGETS, Design, Target

_WIDTH = 110
"""Columns where the output does not go to a terminal."""
_BAR = 40
"""Characters of a certain success."""
_NEEDS_RUNS = "needs 2 runs"
_ABOUT: dict[Target, str] = {
    "these images": "other people judging exactly these images",
    "this generator": "other people and other images of these training runs",
    "this loss": "other people, images and training runs",
}
_MORE = {
    "workers": "people",
    "images": "source images",
    "trials": "trials per session",
    "runs": "training runs per algorithm",
}


def show(plan: Plan) -> None:
    """Print everything to stdout."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)

    def line(text: str = "") -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    for text in _assumptions(plan):
        line(text)
    line()
    line(f"{_sizes(plan.design)}; percentage points")
    console.print(_targets(plan))
    line(f"The numbers are about: {'; '.join(f'{target} = {words}' for target, words in _ABOUT.items())}.")
    line()
    line(f"{plan.target}: standard error of a rate, and power for the difference")
    console.print(_grid(plan))
    line()
    line(f"{plan.target}: people per algorithm for {_percent(plan.power)} power")
    console.print(_needed(plan))
    line()
    for text in (*_curve(plan), "", *_advice(plan)):
        line(text)


def _assumptions(plan: Plan) -> Iterator[str]:
    design, spread = plan.design, plan.spread
    yield (
        f"Fool rates {100 * plan.rates[0]:.3g} % and {100 * plan.rates[1]:.3g} %; {design.trials} trials per session, "
        + (
            "all algorithms in each session"
            if design.within
            else "one algorithm per session, the same inputs for each"
        )
        + f"; alpha {plan.alpha:g}, two-sided."
    )
    yield (
        f"SDs in logits: workers {spread.workers:.2g}, images {spread.images:.2g} (of which {spread.own_images:.2g} the"
        f" algorithm's own), training runs {spread.runs:.2g}; assumed, or of the pilot."
    )
    if plan.price:
        yield (
            f"Cost: {plan.algorithms} algorithms, {plan.price.length(design.trials):.3g} minutes at {plan.price.pay:g} per hour, plus"
            f" {_percent(plan.price.fee)} fee."
        )
    else:
        yield "Cost: give --pay (per hour)."


def _sizes(design: Design) -> str:
    return (
        f"{design.workers} people per algorithm, {design.images} source images, {design.runs} training"
        f" run{'s' * (design.runs > 1)}"
    )


def _targets(plan: Plan) -> Table:
    table = _plain(
        "about",
        "rate ± SE",
        "95 % interval ±" if plan.alpha == 0.05 else f"{100 * (1 - plan.alpha):g} % interval ±",
        "power",
        f"difference found with {_percent(plan.power)}",
        "cost",
    )
    for row in power_plan.by_target(plan):
        numbers = (
            ["", "", _NEEDS_RUNS, ""]
            if row.power is None and row.target == "this loss"
            else [
                _points(row.standard_error),
                _points(row.half_width),
                _percent(row.power),
                _points(row.detectable),
            ]
        )
        table.add_row(row.target, *numbers, _money(row.cost))
    return table


def _grid(plan: Plan) -> Table:
    rows = power_plan.grid(plan)
    table = _plain("images", *(f"{cell.design.workers} people" for cell in rows[0]))
    for row in rows:
        table.add_row(str(row[0].design.images), *map(_cell, row))
    costs = [_money(cell.cost) for cell in rows[0]]
    if any(costs):
        table.add_row("cost", *costs)
    return table


def _cell(outlook: Outlook) -> str:
    if outlook.standard_error is None:
        return "–"
    return f"{_points(outlook.standard_error)}  {_percent(outlook.power)}"


def _needed(plan: Plan) -> Table:
    table = _plain("images", "people per algorithm", "cost")
    for row in power_plan.needed(plan):
        table.add_row(
            str(row.images),
            "no number is enough" if row.workers is None else str(row.workers),
            _money(row.cost),
        )
    return table


def _curve(plan: Plan) -> Iterator[str]:
    """Power against people: a bar for the plan's target, a letter for each of the others."""
    points = power_plan.curve(plan)
    marks = {target: target.split()[1][0] for target in TARGETS if target != plan.target}
    told = ", ".join(f"{mark} = {target}" for target, mark in marks.items())
    yield f"Power by people per algorithm, {plan.design.images} images (bar = {plan.target}; {told}; | = {_percent(plan.power)})"
    for place, (workers, power) in enumerate(points[plan.target]):
        cells = list("█" * round(_BAR * (power or 0.0)) + " " * (_BAR + 1 - round(_BAR * (power or 0.0))))
        cells[round(_BAR * plan.power)] = "|"
        for target, mark in marks.items():
            other = points[target][place][1]
            if other is not None:
                cells[round(_BAR * other)] = mark
        yield f"{workers:>6} {''.join(cells)} {_NEEDS_RUNS if power is None and plan.design.runs < 2 else _percent(power)}"


def _advice(plan: Plan) -> Iterator[str]:
    now = power_plan.outlook(plan, plan.design, plan.target)
    changed = power_plan.advice(plan)
    yield f"Half as much again of one thing ({plan.target}; now: power {_percent(now.power)}, rate ± {_points(now.standard_error)}):"
    for name, row in changed.items():
        size = getattr(row.design, name)
        extra = "" if row.cost is None or now.cost is None else f", cost {row.cost - now.cost:+.0f}"
        yield f"  {size} {_MORE[name]}: power {_percent(row.power)}, rate ± {_points(row.standard_error)}{extra}"
    if not changed or now.power == next(iter(changed.values())).power:
        return
    best = next(iter(changed))
    yield f"Most is bought by more {_MORE[best]}." + (
        ""
        if plan.design.runs > 1
        else " One training run cannot separate the loss from its seed, at any number of people."
    )


def _plain(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    return table


def _points(value: float | None) -> str:
    """Percentage points."""
    return "–" if value is None else f"{100 * value:.1f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _money(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"
