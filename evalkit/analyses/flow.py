"""Who came, who stayed, what was counted: from arrival to analysis."""

import numpy as np
import pandas as pd

from evalkit.analyses.base import Context
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from studies.design import Study

STATES = ("finished", "stopped", "expired", "active")


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Counts for the whole study (arrivals) and per condition (sessions, trials, images, views)."""
    results: list[Result] = [
        _count(
            "arrivals",
            count,
            detail=str(outcome),
            method="arrivals by outcome; one person may arrive several times",
        )
        for outcome, count in table.arrivals.groupby("outcome").size().items()
    ]
    for condition in study.conditions:
        results += _sessions(table, study, condition)
        results += _trials(table, condition)
        results += _views(table, condition)
    return results


def _sessions(table: ResponseTable, study: Study, condition: str) -> list[Result]:
    sessions = table.sessions_of(condition)
    finished = sessions[sessions["state"] == "finished"]
    by_state = sessions.groupby("state").size()
    results: list[Result] = [
        _count("sessions_started", len(sessions), condition, "sessions that began a place")
    ]
    results += [
        _count(
            f"sessions_{state}", int(by_state.get(state, 0)), condition, f"sessions whose state is {state}"
        )
        for state in STATES
    ]
    excluded = finished[finished["excluded"] != ""]
    method = (
        "finished sessions that a rule of study.toml excludes; no rule looks at the answers to scored trials"
    )
    results.append(_count("sessions_excluded", len(excluded), condition, method))
    results += [
        _count("sessions_excluded", int(count), condition, method, str(reason))
        for reason, count in excluded.groupby("excluded").size().items()
    ]
    results.append(
        _count("sessions_analysed", len(finished) - len(excluded), condition, "finished and not excluded")
    )
    if study.checks_per_session:
        words = "attention checks of finished sessions, excluded ones too"
        results.append(
            _count("checks", int(finished["checks"].sum()), condition, f"{words}, answered and not void")
        )
        results.append(
            _count("checks_failed", int(finished["failed_checks"].sum()), condition, f"{words}, failed")
        )
    return results


def _trials(table: ResponseTable, condition: str) -> list[Result]:
    """Of analysed sessions. A trial is missing when no attempt at it was answered."""
    trials = table.trials[table.trials["finished"] & (table.trials["excluded"] == "")]
    mine = table.about(trials, condition)
    counted = mine[mine["counted"]]
    void = mine[mine["void_reason"] != ""]
    # A replacement may show another algorithm's image (within designs): the planned trial is the first attempt.
    answered = trials.assign(answered=trials["outcome"].notna() & (trials["void_reason"] == ""))
    settled = answered.groupby(["session", "trial_index"])["answered"].any()
    planned = mine[mine["attempt"] == 0].set_index(["session", "trial_index"]).index
    missing = ~settled.loc[planned]
    words = "scored trials of analysed sessions"
    return [
        _count("trials", len(counted), condition, f"{words}, answered and not void"),
        _count(
            "workers", int(counted["worker"].nunique()), condition, "distinct workers of analysed sessions"
        ),
        _count(
            "trials_missing",
            int(missing.sum()),
            condition,
            f"{words} of which no attempt was answered; never scored",
        ),
        _count("trials_void", len(void), condition, f"{words} that became void, replaced or not"),
        *(
            _count("trials_void", int(count), condition, f"{words} that became void", str(reason))
            for reason, count in void.groupby("void_reason").size().items()
        ),
    ]


def _views(table: ResponseTable, condition: str) -> list[Result]:
    trials = table.primary
    shown = pd.concat([trials[trials[f"condition_{slot}"] == condition][f"image_{slot}"] for slot in (1, 2)])
    views = shown.groupby(shown).size().to_numpy()
    method = "answered trials per fake image, over images with at least one"
    results: list[Result] = [
        _count("images", len(views), condition, "fake images with at least one counted trial")
    ]
    for name, value in (("min", np.min), ("median", np.median), ("max", np.max)):
        results.append(
            Estimate(
                key=f"views_per_image_{name}",
                value=float(value(views)) if len(views) else None,
                unit="count",
                method=method,
                n={"images": len(views)},
                condition=condition,
                notes=() if len(views) else ("No image has been judged.",),
            )
        )
    return results


def _count(key: str, count: int, condition: str = "", method: str = "counted", detail: str = "") -> Estimate:
    return Estimate(
        key=key, value=float(count), unit="count", method=method, condition=condition, detail=detail
    )
