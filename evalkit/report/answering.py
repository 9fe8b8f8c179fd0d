"""Panels about how people answered: sensitivity and bias, speed and care, course of the session, agreement, screens."""

from collections.abc import Sequence

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.numerals import NOTHING, count, decimals, milliseconds, p_value, percent, plain, points
from evalkit.report.panel import Draft, Write, about, by_condition, cell
from evalkit.report.small_plots import Point, SmallPlot, Vertical, small_plots
from evalkit.results import Estimate

WHOLE = "whole study"
QUARTERS = range(1, 5)


def signal_detection(collected: Collected) -> Draft | None:
    """d′, criterion and the rate without bias; preferences for a side and a place in the order."""
    keys: tuple[tuple[str, str, Write], ...] = (
        ("d_prime", "d′ [interval]", decimals),
        ("criterion", "criterion c [interval]", decimals),
        ("bias_free_fool_rate", "labeled real % without bias", percent),
        ("d_prime_worker_averaged", "d′, mean over participants", decimals),
    )
    detection = columns(collected, "signal_detection", "d′ and criterion by algorithm", keys)
    preferences = _preferences(collected)
    tables = tuple(filter(None, (detection, preferences)))
    if not tables:
        return None
    lead = (
        (
            "d′ says how well fakes are told from real images, whatever answer people prefer: 0 is not at all, and below 0"
            " fakes look more real than real images."
        ),
        _of_bias(collected),
    )
    return Draft("Sides, order and sensitivity", lead, tables)


def _of_bias(collected: Collected) -> str:
    if collected.study.protocol.layout == "one_image":
        return (
            "Who likes to say “real” takes more fakes for real, and fewer real images for fake; the rate without bias is what"
            " these people would give with no such preference. A criterion above 0 is a reluctance to say “fake”."
        )
    return (
        "A preference for one side moves the plain rate toward 50 %; the rate without bias is what these people would give with"
        " no such preference. A criterion above 0 is a reluctance to answer “left”."
    )


def _preferences(collected: Collected) -> Table | None:
    shares = collected.records.keyed("answer_share")
    spreads = {test.detail: test for test in collected.records.tests("answer_preference_spread")}
    rows = []
    for share in shares:
        test = spreads.get(share.detail)
        p = test.p_value if test else None
        rows.append(
            (
                text_cell(share.detail, "preference"),
                cell(share, "share", percent),
                Cell(percent(test.value if test else None), {"spread": test.value if test else None}),
                Cell(p_value(p), {"p_value": p}),
                Cell(count(share.n.get("workers")), {"workers": share.n.get("workers")}),
                Cell(count(share.n.get("trials")), {"trials": share.n.get("trials")}),
            )
        )
    headings = ("answer", "share % [interval]", "SD over participants, points", "p", "participants", "trials")
    note = "p: whether participants differ in how often they give the answer by more than chance makes them."
    return (
        make_table(collected, "preferences", "Preferred answers", headings, rows, (note,)) if rows else None
    )


def response_quality(collected: Collected) -> Draft | None:
    """Response times, and measures of care with the rules that sessions broke."""
    tables = tuple(filter(None, (_times(collected), _care(collected), _rules(collected))))
    lead = (
        (
            "Over finished sessions before exclusions, since these measures are what exclusions rest on. Response times count from"
            " the question."
        ),
    )
    return Draft("Response times and care", lead, tables) if tables else None


def _times(collected: Collected) -> Table | None:
    found = collected.records.keyed("rt_ms_median")
    difference = by_condition(collected.records.keyed("rt_log_difference_when_fooled"))
    medians = {(one.condition, one.detail): one for one in found}
    parts = list(dict.fromkeys(one.detail for one in found))
    rows = []
    for condition in collected.conditions:
        cells = [
            cell(medians.get((condition, part)), _key("rt_ms_median", part), milliseconds) for part in parts
        ]
        last = (
            (cell(difference.get(condition), "rt_log_difference_when_fooled", decimals),)
            if difference
            else ()
        )
        rows.append((text_cell(condition, "condition"), *cells, *last))
    headings = ["algorithm", *(f"{part or 'all'}, median ms" for part in parts)]
    headings += ["log time, fooled − not [interval]"] if difference else []
    return make_table(collected, "response_times", "Response times", headings, rows) if found else None


def _care(collected: Collected) -> Table | None:
    measures: tuple[tuple[str, str, Write], ...] = (
        ("fast_share", "fast answers, %", percent),
        ("same_side_share", "on the side pressed more often, %", percent),
        ("same_side_run", "in a row on one side", plain),
        ("alternation_share", "alternating, %", percent),
    )
    found = {
        f"{key}_{name}": by_condition(collected.records.keyed(f"{key}_{name}"))
        for key, _, _ in measures
        for name in ("median", "max")
    }
    checks = by_condition(collected.records.keyed("failed_check_share"))
    groups = list(dict.fromkeys(group for own in found.values() for group in own))
    rows = []
    for group in groups:
        cells = []
        for key, _, write in measures:
            median, most = (found[f"{key}_{name}"].get(group) for name in ("median", "max"))
            raw = {f"{key}_median": _value(median), f"{key}_max": _value(most)}
            cells.append(Cell(f"{write(_value(median))} ({write(_value(most))})" if median else NOTHING, raw))
        failed = checks.get(group)
        last = (Cell(percent(_value(failed)), {"failed_check_share": _value(failed)}),) if checks else ()
        rows.append((text_cell(group or WHOLE, "condition"), *cells, *last))
    headings = ["sessions of", *(heading for _, heading, _ in measures)]
    headings += ["failed checks, %"] if checks else []
    notes = ("Median over sessions, and in brackets the largest of any session.",)
    return (
        make_table(collected, "care", "Care of answers, per session", headings, rows, notes) if rows else None
    )


def _rules(collected: Collected) -> Table | None:
    rows = [
        (
            text_cell(one.condition or WHOLE, "condition"),
            text_cell(one.detail, "rule"),
            Cell(count(one.value), {"sessions_breaking_rule": one.value}),
            Cell(count(one.n.get("sessions")), {"sessions": one.n.get("sessions")}),
        )
        for one in collected.records.keyed("sessions_breaking_rule")
    ]
    headings = ("sessions of", "rule", "sessions that break it", "of")
    title = "Exclusion rules, each by itself"
    return make_table(collected, "exclusion_rules", title, headings, rows) if rows else None


def learning(collected: Collected) -> Draft | None:
    """The fool rate and the response time by quarter of the session, its slope, practice."""
    records = collected.records
    rates = {(one.condition, one.detail): one for one in records.keyed("fool_rate_by_quarter")}
    times = {(one.condition, one.detail): one for one in records.keyed("rt_ms_by_quarter")}
    slopes, practice = (by_condition(records.keyed(key)) for key in ("fool_rate_slope", "practice_accuracy"))
    if not (rates or times or practice):
        return None
    tables = []
    if rates:
        rows = [
            (
                text_cell(condition, "condition"),
                *(cell(rates.get((condition, _quarter(q))), f"quarter_{q}", percent) for q in QUARTERS),
                cell(
                    slopes.get(condition),
                    "slope",
                    lambda value: points(None if value is None else 10 * value),
                ),
            )
            for condition in collected.conditions
        ]
        title = "Labeled real % by quarter of the session [interval]"
        headings = ("algorithm", *(f"quarter {q}" for q in QUARTERS), "slope, points per 10 trials")
        tables.append(make_table(collected, "learning", title, headings, rows))
    if times or practice:
        rows = [
            (
                text_cell(condition, "condition"),
                *(
                    cell(times.get((condition, _quarter(q))), f"rt_ms_quarter_{q}", milliseconds)
                    for q in QUARTERS
                ),
                cell(practice.get(condition), "practice_accuracy", percent),
            )
            for condition in collected.conditions
        ]
        title = "Median response time by quarter of the session, ms; and practice"
        headings = ("algorithm", *(f"quarter {q}" for q in QUARTERS), "right in practice, %")
        tables.append(make_table(collected, "learning_times", title, headings, rows))
    lead = ("Whether people get better, or tired, in the course of a session.",)
    figure = _curves(collected, rates)
    return Draft(
        "Course of the session",
        lead,
        tuple(tables),
        figure,
        "Labeled real % by quarter of the session, with its interval." if figure else "",
    )


def _curves(collected: Collected, rates: dict[tuple[str, str], Estimate]) -> str:
    plots = []
    for condition in collected.conditions:
        found = [(q, rates.get((condition, _quarter(q)))) for q in QUARTERS]
        dots = [
            Point(q, 100 * one.value, y_ends=ends(one)) for q, one in found if one and one.value is not None
        ]
        plots.append(SmallPlot(condition, dots, "quarter of the session", list(QUARTERS), joined=True))
    if not any(plot.points for plot in plots):
        return ""
    return small_plots(plots, Vertical("labeled real, %", 50.0), collected.mark, "learning")


def agreement(collected: Collected) -> Draft | None:
    """Krippendorff's α beside split-half reliability, and both intraclass correlations."""
    keys: tuple[tuple[str, str, Write], ...] = (
        ("krippendorff_alpha", "Krippendorff’s α [interval]", decimals),
        ("split_half_reliability", "split-half reliability of image rates", decimals),
        ("image_intraclass_correlation", "between images, ICC", decimals),
        ("worker_intraclass_correlation", "between participants, ICC", decimals),
    )
    found = {
        key: {(one.condition, one.versus, one.detail): one for one in collected.records.keyed(key)}
        for key, _, _ in keys
    }
    places = list(dict.fromkeys(place for own in found.values() for place in own))
    if not places:
        return None
    rows = []
    for place in places:
        one = next(own[place] for own in found.values() if place in own)
        name = about(one) + (f", {one.detail}" if one.detail else "")
        first = Cell(
            name, {"condition": one.condition, "versus": one.versus, "detail": one.detail}, words=True
        )
        rows.append((first, *(cell(found[key].get(place), key, write) for key, _, write in keys)))
    headings = ("answers about", *(heading for _, heading, _ in keys))
    title = "Agreement between participants, and repeatability of image rates"
    lead = (
        (
            "α asks how alike single answers about one image are, split-half reliability how alike the image rates of two halves"
            " of the participants are."
        ),
    )
    return Draft("Agreement", lead, (make_table(collected, "agreement", title, headings, rows),))


def screens(collected: Collected) -> Table | None:
    """Sessions on screens, or with exposures, that are not as they should be."""
    fractional = by_condition(collected.records.keyed("sessions_with_fractional_pixels"))
    median, most = (
        by_condition(collected.records.keyed(f"exposure_misses_{name}")) for name in ("median", "max")
    )
    rows = []
    for group in dict.fromkeys((*fractional, *median)):
        odd, of = fractional.get(group), fractional[group].n.get("sessions") if group in fractional else None
        rows.append(
            (
                text_cell(group or WHOLE, "condition"),
                Cell(plain(_value(median.get(group))), {"exposure_misses_median": _value(median.get(group))}),
                Cell(plain(_value(most.get(group))), {"exposure_misses_max": _value(most.get(group))}),
                Cell(count(_value(odd)), {"sessions_with_fractional_pixels": _value(odd)}),
                Cell(count(of), {"sessions": of}),
            )
        )
    headings = (
        "sessions of",
        *("trials with an exposure off, median", "most in a session"),
        *("sessions on fractional pixels", "of"),
    )
    return make_table(collected, "screens", "Screens and missed exposures", headings, rows) if rows else None


def columns(
    collected: Collected, name: str, title: str, keys: Sequence[tuple[str, str, Write]]
) -> Table | None:
    """One row per algorithm, one column per key; None where there are no such records."""
    found = {key: by_condition(collected.records.keyed(key)) for key, _, _ in keys}
    known = [one for one in keys if set(found[one[0]]) & set(collected.conditions)]
    rows = [
        (
            text_cell(condition, "condition"),
            *(cell(found[key].get(condition), key, write) for key, _, write in known),
        )
        for condition in collected.conditions
        if any(condition in own for own in found.values())
    ]
    headings = ("algorithm", *(heading for _, heading, _ in known))
    return make_table(collected, name, title, headings, rows) if rows else None


def ends(found: Estimate) -> tuple[float, float] | None:
    """Its interval in percent."""
    return (100 * found.interval.low, 100 * found.interval.high) if found.interval else None


def _quarter(number: int) -> str:
    return f"quarter {number} of the session"


def _key(key: str, part: str) -> str:
    return f"{key}_{part.replace(' ', '_')}" if part else key


def _value(found: Estimate | None) -> float | None:
    return found.value if found else None
