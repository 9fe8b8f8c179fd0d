"""The report's tables of what people answered."""

from collections.abc import Mapping

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.metrics_table import metrics_made_table, metrics_table
from evalkit.report.numerals import (
    NOTHING,
    count,
    level,
    milliseconds,
    percent,
    percent_range,
    plain,
    points,
    points_range,
)
from evalkit.report.outcomes import outcome_of, outcome_table, shows_fooling
from evalkit.results import Interval

_ONE_IMAGE = "Trials and images: those that showed a fake. Missing and void: of fakes and real images."


def all_tables(collected: Collected) -> dict[str, Table]:
    """Every table by its name."""
    made = [flow_table, exposure_table]
    if outcome_of(collected.study) is not None:
        made.append(outcome_table)
    if shows_fooling(collected.study):
        made += [main_table, differences_table, sensitivity_table, images_table]
    if collected.varied_settings and shows_fooling(collected.study):
        made.append(ablation_table)
    if collected.scores.columns:
        made += [metrics_table, metrics_made_table]
    return {table.name: table for table in (make(collected) for make in made)}


def main_table(collected: Collected) -> Table:
    """One row per algorithm: people, trials, images, rate."""
    get, level_text = collected.records.value, _level(collected)
    rows = []
    for condition in collected.conditions:
        views = {name: get(f"views_per_image_{name}", condition) for name in ("min", "median", "max")}
        boot = collected.records.get("fool_rate_worker_bootstrap", condition)
        rate = collected.records.get("fool_rate", condition)
        rows.append(
            (
                text_cell(condition, "condition"),
                Cell(percent(get("fool_rate", condition)), {"fool_rate": get("fool_rate", condition)}),
                _interval("fool_rate", collected.records.interval("fool_rate", condition)),
                Cell(
                    "–"
                    if boot is None or boot.standard_error is None
                    else f"± {percent(boot.standard_error)}",
                    {"worker_bootstrap_standard_error": boot.standard_error if boot else None},
                ),
                *(_count(collected, key, condition) for key in ("sessions_started", "sessions_finished")),
                _count(collected, "sessions_excluded", condition),
                _n(rate.n if rate else {}, "trials"),
                _count(collected, "images", condition),
                Cell(
                    _views(views),
                    {f"views_per_image_{name}": value for name, value in views.items()},
                ),
                *(_count(collected, key, condition) for key in ("trials_missing", "trials_void")),
            )
        )
    headings = (
        *("algorithm", "labeled real %", f"{level_text} interval", "worker bootstrap, SE"),
        *(
            "started",
            "finished",
            "excluded",
            "trials",
            "images",
            "views per image (range)",
            "missing",
            "void",
        ),
    )
    notes = (
        (
            "Labeled real %: share of counted trials in which the fake was taken for the real image (fool rate),"
            " pooled over trials of analysed sessions. Interval: clustered, see Methods. ±: standard error from resampling"
            " workers only, as in the tradition of these studies; it leaves out how much images differ."
        ),
        *((_ONE_IMAGE,) if collected.study.protocol.layout == "one_image" else ()),
    )
    return make_table(collected, "main", "Labeled real % by algorithm", headings, rows, notes)


def differences_table(collected: Collected) -> Table:
    """One row per pair of algorithms."""
    rows = [
        (
            Cell(
                f"{difference.condition} − {difference.versus}",
                {"condition": difference.condition, "versus": difference.versus},
            ),
            Cell(points(difference.value), {"difference": difference.value}),
            _interval("difference", difference.interval, points_range(difference.interval)),
            Cell(percent(difference.standard_error), {"standard_error": difference.standard_error}),
            *(_n(difference.n, name) for name in ("workers", "source_images", "trials")),
        )
        for difference in collected.records.keyed("fool_rate_difference")
    ]
    headings = (
        "contrast",
        "difference, points",
        f"{_level(collected)} interval",
        "SE, points",
        "participants",
        "inputs",
        "trials",
    )
    notes = ("Each interval stands for its own contrast and is not adjusted for the number of contrasts.",)
    return make_table(
        collected, "differences", "Difference in labeled real %, first minus second", headings, rows, notes
    )


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
                _interval("fool_rate", collected.records.interval("fool_rate", condition)),
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


def sensitivity_table(collected: Collected) -> Table:
    """The same rate by other rules."""
    kinds = {
        "fool_rate": "primary",
        "fool_rate_with_partial_sessions": "with unfinished sessions",
        "fool_rate_without_exclusions": "with excluded sessions",
        "fool_rate_worker_bootstrap": "bootstrap over workers (these images only)",
        "fool_rate_ignoring_clustering": "ignores clustering (Wilson on trials), for comparison only",
    }
    rows = []
    for condition in collected.conditions:
        for key, words in kinds.items():
            found = collected.records.get(key, condition)
            if found is None:
                continue
            rows.append(
                (
                    text_cell(condition, "condition"),
                    Cell(words, {"key": key, "method": found.method}, words=True),
                    Cell(percent(found.value), {"fool_rate": found.value}),
                    _interval("fool_rate", found.interval),
                    _n(found.n, "trials"),
                    _n(found.n, "workers"),
                )
            )
    headings = (
        "algorithm",
        "rule",
        "labeled real %",
        f"{_level(collected)} interval",
        "trials",
        "participants",
    )
    return make_table(collected, "sensitivity", "The same rate by other rules", headings, rows)


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


def _interval(name: str, interval: Interval | None, text: str | None = None) -> Cell:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Cell(
        text if text is not None else percent_range(interval), {f"{name}_low": low, f"{name}_high": high}
    )


def _views(views: Mapping[str, float | None]) -> str:
    if views["median"] is None:
        return NOTHING
    return f"{plain(views['median'])} ({plain(views['min'])}–{plain(views['max'])})"


def _span(low: float | None, high: float | None) -> str:
    return NOTHING if low is None or high is None else f"{milliseconds(low)}–{milliseconds(high)}"


def _listed(parts: Mapping[str, int]) -> str:
    return "; ".join(f"{reason}: {number}" for reason, number in parts.items()) or "none"
