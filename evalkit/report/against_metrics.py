"""Human rate against each metric: the scatter, and how far both order algorithms and images alike."""

from evalkit.report.answering import ends
from evalkit.report.cells import Cell, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.metrics_table import column_name
from evalkit.report.numerals import count, decimals, p_value
from evalkit.report.panel import Draft, cell
from evalkit.report.small_plots import Point, SmallPlot, Vertical, small_plots
from evalkit.results import Estimate, HypothesisTest, Score
from evalkit.scores import Column

MOST_PLOTS = 12
"""More metrics than these are in the tables alone."""
Place = tuple[str, str]


def people_and_metrics(collected: Collected) -> Draft | None:
    """None without both rates and scores, and without records of the analysis."""
    records = collected.records
    found = {kind: _placed(records.keyed(kind)) for kind in ("spearman", "kendall")}
    tests = {kind: {(one.condition, one.detail): one for one in records.tests(kind)} for kind in found}
    ceilings = _placed(records.keyed("reliability_ceiling"))
    figure, number = _scatter(collected)
    rows = [
        _row(collected, place, {kind: found[kind].get(place) for kind in found}, tests, ceilings)
        for place in dict.fromkeys((*found["spearman"], *found["kendall"]))
    ]
    if not rows and not figure:
        return None
    headings = (
        *("metric", "over", "n"),
        *("Spearman ρ [interval]", "p", "Kendall τ [interval]", "p", "ceiling"),
    )
    title = "Do metrics order algorithms and images as people do?"
    tables = (make_table(collected, "people_and_metrics", title, headings, rows),) if rows else ()
    lead = (
        f"n is the number of algorithms (K = {number}) or of images, not of trials. Ceiling: what a metric that knew people’s true"
        " rates would reach."
        if rows
        else "How far the two orders agree was not estimated: "
        f"evalkit analyze {collected.folder.resolve().name} --also people_and_metrics does it.",
    )
    runs = f" ({collected.one_run})" if collected.one_run else ""
    caption = (
        f"Labeled real % against each metric over {number} algorithms{runs}, both with their intervals where they have one; the table"
        " of metrics above has the data."
    )
    return Draft("People and metrics", lead, tables, figure, caption if figure else "")


def _placed(found: list[Estimate]) -> dict[Place, Estimate]:
    return {(one.condition, one.detail): one for one in found}


def _row(
    collected: Collected,
    place: Place,
    own: dict[str, Estimate | None],
    tests: dict[str, dict[Place, HypothesisTest]],
    ceilings: dict[Place, Estimate],
) -> tuple[Cell, ...]:
    condition, detail = place
    key, _, over = detail.partition(", ")
    ceiling = ceilings.get((condition, over))
    known = next(filter(None, own.values()))
    of = {column.key: column_name(column) for column in collected.scores.columns}
    unit = "images" if "images" in over else "algorithms"
    cells = []
    for kind, one in own.items():
        test = tests[kind].get(place)
        p = test.p_value if test else None
        cells += [cell(one, kind, decimals), Cell(p_value(p), {f"{kind}_p_value": p})]
    return (
        Cell(of.get(key, key or "–"), {"metric": key}, words=True),
        text_cell(f"images of {condition}" if condition else over.removeprefix("over ") or "–", "over"),
        Cell(count(known.n.get(unit)), {"n": known.n.get(unit)}),
        *cells,
        Cell(decimals(ceiling.value if ceiling else None), {"ceiling": ceiling.value if ceiling else None}),
    )


def _scatter(collected: Collected) -> tuple[str, int]:
    """The plots, and over how many algorithms."""
    rates = {one.condition: one for one in collected.records.keyed("fool_rate") if one.value is not None}
    plots = []
    for column in collected.scores.columns:
        dots = [
            dot
            for condition in collected.conditions
            if (rate := rates.get(condition)) and (dot := _dot(rate, column.of(condition)))
        ]
        if len(dots) > 1:
            plots.append(SmallPlot(_title(column), dots, _axis(column)))
    if not plots:
        return "", len(rates)
    number = max(len(plot.points) for plot in plots)
    vertical = Vertical("labeled real, %", 50.0)
    return small_plots(plots[:MOST_PLOTS], vertical, collected.mark, "people-metrics"), number


def _dot(rate: Estimate, runs: list[Score]) -> Point | None:
    values = [one.value for one in runs if one.value is not None]
    if not values or rate.value is None:
        return None
    interval = runs[0].interval if len(values) == 1 else None
    reach = (
        (interval.low, interval.high) if interval else (min(values), max(values)) if len(values) > 1 else None
    )
    return Point(sum(values) / len(values), 100 * rate.value, reach, ends(rate), rate.condition)


def _title(column: Column) -> str:
    sizes = {(one.n.get("reals"), one.n.get("fakes")) for one in column.scores.values()}
    reals, fakes = sizes.pop() if len(sizes) == 1 else (None, None)
    return f"{column_name(column)}" + (f", N = {reals} / {fakes}" if reals and fakes else "")


def _axis(column: Column) -> str:
    better = "higher" if column.first.higher_is_better else "lower"
    return column.mark or f"{better} is better"
