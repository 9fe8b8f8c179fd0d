"""The two tables that a report is opened for: algorithms, and differences between them."""

from collections.abc import Sequence

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.metrics_table import (
    main_columns,
    main_metric_cell,
    main_metric_notes,
    metric_heading,
    told_of,
)
from evalkit.report.numerals import (
    NOTHING,
    count,
    decimals,
    level,
    p_value,
    percent,
    percent_range,
    plain,
    points,
    points_range,
)
from evalkit.report.panel import cell, notes_of
from evalkit.results import Estimate, HypothesisTest, Interval, Result

ONE_IMAGE = "Trials and images: those that showed a fake. Missing and void: of fakes and real images."
HOLM = "*"
"""Beside a difference whose test holds after Holm's adjustment."""
RATE = (
    "Labeled real %: share of counted trials in which the fake was taken for the real image (fool rate), pooled over trials"
    " of analysed sessions. Interval and SE: clustered, see Methods; the tradition’s ± from resampling workers alone is under"
    " “The same rate by other rules”."
)
D_PRIME = "d′: sensitivity to what is fake, without preferences for an answer; 0 where nobody can tell."
RANK = "Rank: 1 is taken for real most often; its interval is from resampling whatever the target asks for."


def main_table(collected: Collected) -> Table:
    """One row per algorithm: rate, sensitivity, rank, what they rest on, and the metrics that papers report."""
    metrics = main_columns(collected)
    ranks = [found for name in collected.conditions if (found := collected.records.get("rank", name))]
    d_primes = [found for name in collected.conditions if (found := collected.records.get("d_prime", name))]
    rows = [_algorithm(collected, condition) for condition in collected.conditions]
    headings = (
        *(
            "algorithm",
            "labeled real %",
            f"{_level(collected)} interval",
            "SE",
            "d′ [interval]",
            "rank (interval)",
        ),
        *("participants", "trials", "images", "runs"),
        *(metric_heading(column) for column in metrics),
    )
    notes = (
        RATE,
        *((" ".join((D_PRIME, *_without_target(d_primes))),) if d_primes else ()),
        *((" ".join((RANK, *_without_target(ranks))),) if ranks else ()),
        *((ONE_IMAGE,) if collected.study.protocol.layout == "one_image" else ()),
        *main_metric_notes(collected),
    )
    title = f"Labeled real % by algorithm{told_of(metrics) if metrics else ''}"
    return make_table(collected, "main", title, headings, rows, notes)


def _without_target(found: Sequence[Result]) -> tuple[str, ...]:
    """Their notes, less what the page says of every number: target and training runs."""
    return tuple(
        note
        for note in notes_of(found)
        if not note.startswith(("Target, ", "One training run per algorithm"))
    )


def _algorithm(collected: Collected, condition: str) -> tuple[Cell, ...]:
    records = collected.records
    rate, rank = records.get("fool_rate", condition), records.get("rank", condition)
    sizes = rate.n if rate else {}
    people = records.value("workers", condition)
    people = float(sizes["workers"]) if people is None and "workers" in sizes else people
    error = rate.standard_error if rate else None
    images = records.value("images", condition)
    return (
        text_cell(condition, "condition"),
        Cell(percent(rate.value if rate else None), {"fool_rate": rate.value if rate else None}),
        interval_cell("fool_rate", rate.interval if rate else None),
        Cell(NOTHING if error is None else f"± {percent(error)}", {"standard_error": error}),
        cell(records.get("d_prime", condition), "d_prime", decimals),
        _rank(rank),
        Cell(count(people), {"workers": None if people is None else round(people)}),
        Cell(count(sizes.get("trials")), {"trials": sizes.get("trials")}),
        Cell(count(images), {"images": None if images is None else round(images)}),
        Cell(count(sizes.get("runs")), {"runs": sizes.get("runs")}),
        *(main_metric_cell(collected, column, condition) for column in main_columns(collected)),
    )


def _rank(found: Estimate | None) -> Cell:
    interval = found.interval if found else None
    raw = {
        "rank": found.value if found else None,
        "rank_low": interval.low if interval else None,
        "rank_high": interval.high if interval else None,
    }
    text = plain(found.value) if found else NOTHING
    return Cell(f"{text} ({plain(interval.low)}–{plain(interval.high)})" if interval else text, raw)


def differences_table(collected: Collected) -> Table:
    """One row per contrast, with both tests."""
    rows = [
        _contrast(collected, difference) for difference in collected.records.keyed("fool_rate_difference")
    ]
    tests = [*collected.records.tests("difference_test"), *collected.records.tests("difference_permutation")]
    headings = (
        *("contrast", "difference, points", f"{_level(collected)} interval", "SE, points"),
        *(("p", "p, Holm", "p, permutation", "the same, Holm") if tests else ()),
        *("participants", "inputs", "trials"),
    )
    notes = ("Each interval stands for its own contrast and is not adjusted for the number of contrasts.",)
    return make_table(
        collected,
        "differences",
        "Difference in labeled real %, first minus second",
        headings,
        rows,
        (*notes, *_of_tests(collected, tests)),
    )


def _of_tests(collected: Collected, tests: list[HypothesisTest]) -> tuple[str, ...]:
    if not tests:
        return ()
    families = ", ".join(dict.fromkeys(test.detail for test in tests if test.detail))
    alpha = f"{1 - collected.study.analysis.confidence_level:.3g}".removeprefix("0")
    told = (
        f"{HOLM} p after Holm’s adjustment below {alpha} ({families or 'no family'}). p: the clustered interval’s verdict on no"
        " difference, about the study’s target. p, permutation: about these images alone."
    )
    return (told, *_without_target(tests))


def _contrast(collected: Collected, found: Estimate) -> tuple[Cell, ...]:
    contrast = (found.condition, found.versus)
    own = {
        key: collected.records.test(key, *contrast) for key in ("difference_test", "difference_permutation")
    }
    pairs = [
        Cell(p_value(p), {f"{key}_{kind}": p})
        for key, test in own.items()
        for kind, p in (
            ("p_value", test.p_value if test else None),
            ("p_adjusted", test.p_adjusted if test else None),
        )
    ]
    return (
        Cell(
            f"{found.condition} − {found.versus}",
            {"condition": found.condition, "versus": found.versus},
            words=True,
        ),
        Cell(f"{points(found.value)}{holm_mark(collected, found)}", {"difference": found.value}),
        interval_cell("difference", found.interval, points_range(found.interval)),
        Cell(percent(found.standard_error), {"standard_error": found.standard_error}),
        *(pairs if collected.records.tests("difference_test") else ()),
        *(
            Cell(count(found.n.get(name)), {name: found.n.get(name)})
            for name in ("workers", "source_images", "trials")
        ),
    )


def holm_mark(collected: Collected, difference: Estimate) -> str:
    """` *` where the clustered test of this difference holds after adjustment."""
    test = collected.records.test("difference_test", difference.condition, difference.versus)
    alpha = 1 - collected.study.analysis.confidence_level
    adjusted = test.p_adjusted if test else None
    return f" {HOLM}" if adjusted is not None and adjusted < alpha else ""


def interval_cell(name: str, interval: Interval | None, text: str | None = None) -> Cell:
    """Both ends of an interval, in percent unless written otherwise."""
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Cell(
        text if text is not None else percent_range(interval), {f"{name}_low": low, f"{name}_high": high}
    )


def _level(collected: Collected) -> str:
    return level(collected.study.analysis.confidence_level)
