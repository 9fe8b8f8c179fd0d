"""The report's tables of what people answered."""

from collections.abc import Mapping, Sequence

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.main_tables import ONE_IMAGE, differences_table, interval_cell, main_table
from evalkit.report.metrics_table import metrics_made_table, metrics_table
from evalkit.report.numerals import (
    NOTHING,
    count,
    level,
    milliseconds,
    percent,
    percent_range,
    plain,
)
from evalkit.report.outcomes import outcome_of, outcome_table, shows_fooling
from evalkit.results import Estimate

RULES = {
    "fool_rate": "primary",
    "fool_rate_with_partial_sessions": "with unfinished sessions",
    "fool_rate_without_exclusions": "with excluded sessions",
    "fool_rate_mixed": "mixed model, marginal rate",
    "fool_rate_pigeonhole": "bootstrap over participants and images",
    "fool_rate_these_images": "clustered over participants (these images only)",
    "fool_rate_worker_averaged": "mean over participants (these images only)",
    "fool_rate_worker_bootstrap": "bootstrap over participants (these images only)",
    "fool_rate_amt2020": "nested bootstrap of process_csv.py, mean ± SD",
    "fool_rate_ignoring_clustering": "ignores clustering (Wilson on trials), for comparison only",
}
"""Every way of estimating the rate, in words."""


def all_tables(collected: Collected) -> dict[str, Table]:
    """Every table by its name."""
    made = [flow_table, trials_table]
    if outcome_of(collected.study) is not None:
        made.append(outcome_table)
    if shows_fooling(collected.study):
        made += [main_table, differences_table, sensitivity_table, images_table]
    if collected.varied_settings and shows_fooling(collected.study):
        made.append(ablation_table)
    if collected.scores.columns:
        made += [metrics_table, metrics_made_table]
    return {table.name: table for table in (make(collected) for make in made)}


def trials_table(collected: Collected) -> Table:
    """What the rates rest on, per algorithm."""
    get = collected.records.value
    rows = []
    for condition in collected.conditions:
        views = {name: get(f"views_per_image_{name}", condition) for name in ("min", "median", "max")}
        rows.append(
            (
                text_cell(condition, "condition"),
                *(_count(collected, key, condition) for key in ("workers", "trials", "images")),
                Cell(_views(views), {f"views_per_image_{name}": value for name, value in views.items()}),
                *(_count(collected, key, condition) for key in ("trials_missing", "trials_void")),
            )
        )
    headings = (
        *("algorithm", "participants", "trials", "images"),
        *("views per image (range)", "missing", "void"),
    )
    notes = (ONE_IMAGE,) if collected.study.protocol.layout == "one_image" else ()
    return make_table(collected, "trials", "Trials of analysed sessions", headings, rows, notes)


def ablation_table(collected: Collected) -> Table:
    """One row per algorithm: the generator settings in which the algorithms differ, and the rate; by training run too."""
    varied = collected.varied_settings
    rows = []
    for condition in collected.conditions:
        runs = [
            found for found in collected.records.keyed("fool_rate_of_run") if found.condition == condition
        ]
        rates = [found.value for found in runs if found.value is not None]
        rows.append(
            (
                text_cell(condition, "condition"),
                *(text_cell(str(values[condition]), key) for key, values in varied.items()),
                Cell(count(max(len(runs), 1)), {"training_runs": max(len(runs), 1)}),
                Cell(
                    percent(collected.records.value("fool_rate", condition)),
                    {"fool_rate": collected.records.value("fool_rate", condition)},
                ),
                interval_cell("fool_rate", collected.records.interval("fool_rate", condition)),
                Cell(
                    " · ".join(percent(rate) for rate in rates) or NOTHING,
                    {
                        "fool_rate_of_runs_min": min(rates, default=None),
                        "fool_rate_of_runs_max": max(rates, default=None),
                    },
                ),
            )
        )
    headings = (
        *("algorithm", *varied, "training runs", "labeled real %", f"{_level(collected)} interval"),
        "each training run",
    )
    notes = (
        (
            "From the manifests of the image sets: every setting in which the algorithms' generators differ."
            " Each training run: its own trials pooled, too few for an interval."
        ),
    )
    return make_table(collected, "ablation", "What was varied, and labeled real %", headings, rows, notes)


def flow_table(collected: Collected) -> Table:
    """From started to analysed, per algorithm, with reasons."""
    keys = ("started", "finished", "stopped", "expired", "active", "excluded", "analysed")
    rows = []
    for condition in collected.conditions:
        reasons = collected.records.details("sessions_excluded", condition)
        void = collected.records.details("trials_void", condition)
        rows.append(
            (
                text_cell(condition, "condition"),
                *(_count(collected, f"sessions_{key}", condition) for key in keys),
                text_cell(_listed(reasons), "exclusion_reasons"),
                text_cell(_listed(void), "void_reasons"),
            )
        )
    headings = (
        "algorithm",
        "started",
        "finished",
        "stopped",
        "left (lease ran out)",
        "still active",
        "excluded",
        "analysed",
        "why excluded",
        "void trials of the analysed, by reason",
    )
    return make_table(collected, "flow", "Sessions by algorithm", headings, rows)


def sensitivity_view(collected: Collected) -> Table:
    """The same for the page: one row per rule, one column per algorithm."""
    found = _by_rules(collected)
    cells = {(_rule(one), one.condition): one for one in found}
    rows = [
        (
            text_cell(rule, "rule"),
            *(_by_rule(cells.get((rule, condition)), condition) for condition in collected.conditions),
        )
        for rule in dict.fromkeys(_rule(one) for one in found)
    ]
    level_text, title = _level(collected), "The same rate by other rules"
    notes = (
        f"Labeled real %, in brackets the {level_text} interval; SE, trials and participants: tables/sensitivity.csv.",
        *_spoken_of(found),
    )
    return make_table(collected, "sensitivity", title, ("rule", *collected.conditions), rows, notes)


def _by_rule(found: Estimate | None, condition: str) -> Cell:
    value = found.value if found else None
    resampled = found is not None and found.key in ("fool_rate_worker_bootstrap", "fool_rate_amt2020")
    error = (
        f" ± {percent(found.standard_error)}"
        if resampled and found and found.standard_error is not None
        else ""
    )
    interval = f" [{percent_range(found.interval)}]" if found and found.interval else ""
    return Cell(f"{percent(value)}{error}{interval}", {condition: value})


def _rule(one: Estimate) -> str:
    return RULES.get(one.key, f"training run {one.run} alone")


def _by_rules(collected: Collected) -> list[Estimate]:
    return [
        one
        for condition in collected.conditions
        for one in (
            *(collected.records.get(key, condition) for key in RULES),
            *(run for run in collected.records.keyed("fool_rate_of_run") if run.condition == condition),
        )
        if one is not None
    ]


def sensitivity_table(collected: Collected) -> Table:
    """The same rate by other rules, one row for each rule and algorithm."""
    found = _by_rules(collected)
    rows = [
        (
            text_cell(one.condition, "condition"),
            Cell(
                _rule(one),
                {"key": one.key, "run": one.run, "method": one.method},
                words=True,
            ),
            Cell(percent(one.value), {"fool_rate": one.value}),
            Cell(percent(one.standard_error), {"standard_error": one.standard_error}),
            interval_cell("fool_rate", one.interval),
            *(_n(one.n, name) for name in ("trials", "workers")),
        )
        for one in found
    ]
    headings = (
        *("algorithm", "rule", "labeled real %", "SE, points"),
        *(f"{_level(collected)} interval", "trials", "participants"),
    )
    title = "The same rate by other rules"
    return make_table(collected, "sensitivity", title, headings, rows, _spoken_of(found))


def _spoken_of(found: Sequence[Estimate]) -> tuple[str, ...]:
    """What the methods other than the primary one note, each once with the rules that it is about."""
    about: dict[str, dict[str, None]] = {}
    for one in found:
        for note in one.notes if one.key != "fool_rate" else ():
            about.setdefault(note, {})[RULES.get(one.key, "training runs")] = None
    primary = {note for one in found if one.key == "fool_rate" for note in one.notes}
    return tuple(f"{'; '.join(rules)}: {note}" for note, rules in about.items() if note not in primary)


def exposure_table(collected: Collected) -> Table:
    """How long images stood on the screen."""
    rows = []
    for condition in collected.conditions:
        get = collected.records.value
        outside = collected.records.get("exposures_outside", condition)
        quantiles = {
            name: get(f"exposure_ms_{name}", condition) for name in ("median", "q25", "q75", "min", "max")
        }

        def span(low: str, high: str, values: Mapping[str, float | None] = quantiles) -> Cell:
            names = {f"exposure_ms_{low}": values[low], f"exposure_ms_{high}": values[high]}
            return Cell(_span(values[low], values[high]), names)

        rows.append(
            (
                text_cell(condition, "condition"),
                _n(outside.n if outside else {}, "displays"),
                Cell(milliseconds(quantiles["median"]), {"exposure_ms_median": quantiles["median"]}),
                span("q25", "q75"),
                span("min", "max"),
                Cell(
                    count(outside.value if outside else None), {"outside": outside.value if outside else None}
                ),
            )
        )
    headings = (
        "algorithm",
        "displays",
        "median, ms",
        "middle half, ms",
        "range, ms",
        "off by more than 1.5 frames",
    )
    return make_table(collected, "exposure", "Exposure by algorithm", headings, rows)


def images_table(collected: Collected) -> Table:
    """One row per fake image."""
    rows = [
        (
            Cell(image.image, {"condition": condition, "image": image.image, "run": image.run}),
            Cell(count(image.votes), {"votes": image.votes}),
            Cell(percent(image.raw), {"raw": image.raw}),
            Cell(percent(image.shrunken), {"shrunken": image.shrunken}),
            Cell(
                f"{percent(image.low)}–{percent(image.high)}",
                {"shrunken_low": image.low, "shrunken_high": image.high},
            ),
        )
        for condition in collected.conditions
        for image in sorted(
            collected.images(condition), key=lambda image: (-image.shrunken, -image.raw, image.image)
        )
    ]
    headings = ("image", "votes", "raw %", "shrunken %", f"{_level(collected)} posterior interval")
    return make_table(collected, "images", "Fool rate of every fake image", headings, rows)


def _level(collected: Collected) -> str:
    return level(collected.study.analysis.confidence_level)


def _count(collected: Collected, key: str, condition: str) -> Cell:
    value = collected.records.value(key, condition)
    return Cell(count(value), {key: None if value is None else round(value)})


def _n(sizes: Mapping[str, int], name: str) -> Cell:
    return Cell(count(sizes.get(name)), {name: sizes.get(name)})


def _views(views: Mapping[str, float | None]) -> str:
    if views["median"] is None:
        return NOTHING
    return f"{plain(views['median'])} ({plain(views['min'])}–{plain(views['max'])})"


def _span(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{milliseconds(low)}–{milliseconds(high)}"


def _listed(parts: Mapping[str, int]) -> str:
    return "; ".join(f"{reason}: {number}" for reason, number in parts.items()) or "none"
