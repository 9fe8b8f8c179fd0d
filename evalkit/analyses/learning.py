"""Whether answers change in the course of a session, and how practice went."""

import dataclasses

import numpy as np
import pandas as pd

from evalkit.analyses.base import Context, IntArray, as_clusters, cluster_ids
from evalkit.analyses.targets import THESE_IMAGES, about
from evalkit.responses import ResponseTable, rows_where
from evalkit.results import Estimate, Result
from evalkit.stats.proportions import clustered_rate
from evalkit.stats.trends import within_worker_slope
from studies.design import Study

QUARTERS = 4
ORDER_OF_ROWS = (
    "The imported file does not say in which order a worker answered: this is the order of its rows."
)


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition: fool rate and response time by quarter of the session, the slope, practice accuracy."""
    results: list[Result] = []
    position, quarter = places(table.primary)
    condition_of = table.primary["condition"]
    for condition in study.conditions:
        mine = (condition_of == condition).to_numpy(dtype=np.bool_)
        trials = rows_where(table.primary, mine)
        if "fool_rate" in study.protocol.analyses:
            results += _by_quarter(trials, quarter[mine], condition, study)
            results.append(_slope(trials, position[mine], condition, study))
        results += _response_times(trials, quarter[mine], condition)
        if study.protocol.gives_feedback:
            results.append(_practice(table, condition, study))
    if study.imported is not None and study.imported.format == "csv":
        return [dataclasses.replace(one, notes=(*one.notes, ORDER_OF_ROWS)) for one in results]
    return results


def places(trials: pd.DataFrame) -> tuple[IntArray, IntArray]:
    """Each trial's place in its session, from 0 in the order of showing, and its quarter of it, 1 .. 4.

    Replacements of void trials keep the index that they replace but are shown at the end.
    """
    session = pd.factorize(trials["session"])[0]
    order = np.lexsort((trials["trial_index"], trials["attempt"], session))
    sizes = np.bincount(session) if len(trials) else np.zeros(0, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    position = np.empty(len(trials), dtype=np.int64)
    position[order] = np.arange(len(trials)) - starts[session[order]]
    return position, QUARTERS * position // sizes[session] + 1


def _by_quarter(trials: pd.DataFrame, quarters: IntArray, condition: str, study: Study) -> list[Estimate]:
    clusters = as_clusters(cluster_ids(trials, study))
    fooled = trials["fooled"].to_numpy(dtype=float)
    found = []
    for quarter in range(1, QUARTERS + 1):
        mine = (quarters == quarter) & np.isfinite(fooled)
        rate = clustered_rate(
            fooled[mine],
            {name: ids[mine] for name, ids in clusters.items()},
            study.analysis.confidence_level,
        )
        detail = f"quarter {quarter} of the session"
        found.append(
            dataclasses.replace(rate, key="fool_rate_by_quarter", condition=condition, detail=detail)
        )
    return found


def _slope(trials: pd.DataFrame, positions: IntArray, condition: str, study: Study) -> Estimate:
    fooled = trials["fooled"].to_numpy(dtype=float)
    known = np.isfinite(fooled)
    slope = within_worker_slope(
        fooled[known],
        positions[known],
        pd.factorize(trials["worker"])[0][known],
        study.analysis.confidence_level,
    )
    return about(dataclasses.replace(slope, key="fool_rate_slope", condition=condition), THESE_IMAGES)


def _response_times(trials: pd.DataFrame, quarters: IntArray, condition: str) -> list[Estimate]:
    """Medians by quarter; none where no time was recorded at all, which `response_quality` says."""
    every = trials["rt_ms"].to_numpy(dtype=float)
    timed = np.isfinite(every)
    parts = [every[timed & (quarters == quarter)] for quarter in range(1, QUARTERS + 1)]
    return [
        Estimate(
            key="rt_ms_by_quarter",
            value=float(np.median(times)) if len(times) else None,
            unit="ms",
            method="median over the answers of analysed sessions",
            n={"trials": len(times)},
            condition=condition,
            detail=f"quarter {quarter} of the session",
            notes=() if len(times) else ("No response time was recorded.",),
        )
        for quarter, times in enumerate(parts, start=1)
        if timed.any()
    ]


def _practice(table: ResponseTable, condition: str, study: Study) -> Estimate:
    """Share of correct practice answers of analysed sessions, clustered on workers; no image is shown to all alike."""
    rows = table.practice
    rows = rows[
        rows["counted"] & rows["finished"] & (rows["excluded"] == "") & (rows["condition"] == condition)
    ]
    workers = {"workers": pd.factorize(rows["worker"])[0]}
    rate = clustered_rate(rows["outcome"].to_numpy(dtype=float), workers, study.analysis.confidence_level)
    notes = rate.notes if len(rows) else ("No practice trial was recorded.",)
    named = dataclasses.replace(
        rate,
        key="practice_accuracy",
        condition=condition,
        method=f"correct practice answers of analysed sessions, {rate.method}",
        notes=notes,
    )
    return about(named, THESE_IMAGES)
