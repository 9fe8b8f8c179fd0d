"""Records -> one self-contained HTML page, with its tables as CSV and Markdown beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from evalkit.report import outcomes, words
from evalkit.report.cells import Table
from evalkit.report.collect import Collected, collect
from evalkit.report.figures import DIFFERENCE, FOOL_RATE, Row, interval_plot, short
from evalkit.report.main_tables import holm_mark
from evalkit.report.metrics_table import metrics_pieces
from evalkit.report.outcomes import outcome_of
from evalkit.report.panel import Panel
from evalkit.report.panels import OPEN, panel_tables, panels
from evalkit.report.records import others
from evalkit.report.rehearsal import rehearsal_section
from evalkit.report.tables import all_tables, sensitivity_view
from evalkit.report.thumbnails import ends
from evalkit.results import Estimate, Interval
from studies.records import DataKind

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("evalkit.report"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def write_report(study_folder: Path, data: DataKind) -> Path:
    """Write `<study_folder>/<data>/report.html` and `tables/*.csv`, `tables/*.md` beside it.

    Reads estimates.jsonl, scores.jsonl, study.toml, the stimulus bundle and the freeze, nothing else, and puts no build time on
    the page: the same inputs give the same bytes. A study without finished sessions gets a report that says so.

    Returns:
        The path of report.html.

    Raises:
        UserError: There are no estimates yet, or an input is malformed.
    """
    collected = collect(study_folder, data)
    parts = panels(collected)
    tables = {**all_tables(collected), **panel_tables(parts.values())}
    flow = _flow(collected)
    rest = others(collected, collected.records.asked)  # by now every table has asked for its records
    page = _page(collected, tables, flow, rest, parts)
    folder = study_folder / data
    (folder / "tables").mkdir(exist_ok=True)
    for table in (*tables.values(), *rest):
        _replace(folder / "tables" / f"{table.name}.csv", table.as_csv())
        _replace(folder / "tables" / f"{table.name}.md", table.as_markdown())
    _replace(folder / "report.html", page)
    return folder / "report.html"


def _page(
    collected: Collected,
    tables: Mapping[str, Table],
    flow: list[dict[str, Any]],
    rest: list[Table],
    parts: Mapping[str, Panel],
) -> str:
    return _TEMPLATES.get_template("report.html").render(
        c=collected,
        study=collected.study,
        mark=collected.mark,
        tag=collected.mark.partition(" (")[0],
        banner=words.banner(collected),
        finding=words.finding(collected),
        outcome=outcome_of(collected.study),
        fooling=outcomes.shows_fooling(collected.study),
        asked=words.asked(collected.study),
        together=words.together(collected.study),
        participants=words.participants(collected),
        target=words.target(collected),
        tables=tables,
        metrics_pieces=metrics_pieces(collected),
        figures=_figures(collected),
        ends=ends(collected),
        flow=flow,
        rest=rest,
        panels=parts,
        sensitivity=sensitivity_view(collected),
        folded=[one for name, one in parts.items() if name not in OPEN],
        steps=words.protocol_steps(collected.study),
        protocol=words.protocol_sentences(collected.study, collected.plan),
        settings=words.settings(collected.study),
        methods=words.methods(collected),
        limits=words.limits(collected),
        rehearsal=rehearsal_section(collected),
    )


def _figures(collected: Collected) -> dict[str, str]:
    """SVG by name; only those that have something to show."""
    records, figures = collected.records, {}
    outcome = outcome_of(collected.study)
    if outcome is not None and (found := outcomes.primary(collected)):
        texts = [f"{outcomes.value(one)}  [{outcomes.bounds(one.interval, one.unit)}]" for one in found]
        rows = [_row(one, short(outcomes.named(one)), text) for one, text in zip(found, texts, strict=True)]
        figures["outcome"] = interval_plot(rows, outcome.axis, collected.mark, "outcome")
    rates = [rate for rate in records.keyed("fool_rate") if rate.value is not None]
    if rates:
        rows = [_row(rate, short(rate.condition), words.rate_text(rate)) for rate in rates]
        figures["rates"] = interval_plot(rows, FOOL_RATE, collected.mark, "rates")
    differences = [found for found in records.keyed("fool_rate_difference") if found.value is not None]
    if differences:
        rows = [
            _row(
                found,
                f"{short(found.condition)} − {short(found.versus)}",
                f"{words.difference_text(found)}{holm_mark(collected, found)}",
            )
            for found in differences
        ]
        figures["differences"] = interval_plot(rows, DIFFERENCE, collected.mark, "differences")
    return figures


def _row(estimate: Estimate, label: str, text: str) -> Row:
    """In percent or in ms, as the axes are."""
    scale = 1 if estimate.unit == "ms" else 100
    value = None if estimate.value is None else scale * estimate.value
    interval = estimate.interval
    if interval is not None:
        interval = Interval(
            scale * interval.low, scale * interval.high, interval.confidence_level, interval.method
        )
    return Row(label, value, interval, text)


def _flow(collected: Collected) -> list[dict[str, Any]]:
    """The steps from arrival to analysis, each with its count and what was lost there."""
    arrivals = collected.records.details("arrivals")
    lost = {key: collected.total(f"sessions_{key}") for key in ("stopped", "expired", "active")}
    names = {"stopped": "stopped", "expired": "left, lease ran out", "active": "still active"}
    reasons: dict[str, int] = {}
    for condition in collected.conditions:
        for reason, number in collected.records.details("sessions_excluded", condition).items():
            within = collected.study.study.design == "within"
            reasons[reason] = number if within else reasons.get(reason, 0) + number
    imported = collected.study.imported
    first = (
        {"name": "arrivals", "count": sum(arrivals.values()), "parts": arrivals}
        if imported is None
        else {
            "name": "rows in the imported file",
            "count": imported.rows,
            "parts": {f"left out: {reason}": number for reason, number in imported.dropped.items()},
        }
    )
    return [
        first,
        {"name": "sessions started", "count": collected.total("sessions_started"), "parts": {}},
        {
            "name": "finished",
            "count": collected.total("sessions_finished"),
            "parts": {names[key]: number for key, number in lost.items() if number},
        },
        {"name": "analysed", "count": collected.total("sessions_analysed"), "parts": reasons},
    ]


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)
