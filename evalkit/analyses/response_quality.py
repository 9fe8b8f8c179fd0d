"""How carefully people answered: how fast, always on one side or in turns, with what exposures, on what screens."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context
from evalkit.exclusions import measures, rules_in_force
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.session_measures import FEWEST
from evalkit.stats.means import mean_over_workers
from studies.design import Study

FloatArray = npt.NDArray[np.float64]
WHO = "finished sessions, excluded ones too"
BALANCED = (0.4, 0.6)
"""Share of fakes on the left within which a rule on sides is taken to be blind to the answers."""


@dataclass(frozen=True)
class Measure:
    """One number per session, and how a condition's sessions are summed up."""

    column: str
    """Of `evalkit.exclusions.measures`."""
    unit: str
    words: str
    missing: str
    """Why there may be none."""


BUTTONS = f"No session has {FEWEST} answers with one of two buttons."
MEASURES = (
    Measure("fast_share", "proportion", "share of fast answers", "No response time was recorded."),
    Measure("same_side_share", "proportion", "share of answers with the button pressed more often", BUTTONS),
    Measure(
        "same_side_run",
        "count",
        "most answers in a row with one button",
        "No answer with one of two buttons was recorded.",
    ),
    Measure("alternation_share", "proportion", "share of answers with another button than before", BUTTONS),
    Measure(
        "exposure_misses",
        "count",
        "answered trials with an exposure off by over 1.5 frames",
        "No exposure was recorded.",
    ),
)


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Over finished sessions before exclusions: response times per condition; measures of care, screens, rules broken.

    The latter are of sessions: per condition in a between design, once for the study in a within design.
    """
    people = table.sessions[table.sessions["state"] == "finished"]
    columns = [*(measure.column for measure in MEASURES), "fractional_scale"]
    measured = people.assign(**measures(people, table.trials, study.exclusions, columns))
    answered = table.without_exclusions
    trials = answered[["worker", "condition", "condition_1", "condition_2", "fooled", "fake_side", "rt_ms"]]
    results: list[Result] = []
    for condition in study.conditions:
        results += _response_times(table.about(trials, condition), condition, study)
    for group in study.conditions if table.design == "between" else [""]:
        mine = measured[measured["condition"] == group] if group else measured
        about = trials[trials["condition"] == group] if group else trials
        for measure in MEASURES:
            results += _spread(mine[measure.column].to_numpy(dtype=float), measure, group, study)
        results += _checks(mine, group, study)
        results.append(_screens(mine["fractional_scale"].to_numpy(dtype=float), group))
        results += _rules(mine, about, group, study)
    return results


def _response_times(trials: pd.DataFrame, condition: str, study: Study) -> list[Result]:
    """Medians of all answers, of fooled and other ones; and their difference within workers, on the log scale."""
    fooled = trials["fooled"]
    parts = (
        {"": trials, "fooled": trials[fooled == 1.0], "not fooled": trials[fooled == 0.0]}
        if "fool_rate" in study.protocol.analyses
        else {"": trials}
    )
    results: list[Result] = []
    for detail, part in parts.items():
        times = part["rt_ms"].dropna()
        results.append(
            Estimate(
                key="rt_ms_median",
                value=float(times.median()) if len(times) else None,
                unit="ms",
                method=f"median response time over counted trials; {WHO}",
                n={"trials": len(times), "missing": len(part) - len(times)},
                condition=condition,
                detail=detail,
                notes=() if len(times) else ("No response time was recorded.",),
            )
        )
    if len(parts) > 1:
        results.append(_time_of_fooled(trials, condition, study))
    return results


def _time_of_fooled(trials: pd.DataFrame, condition: str, study: Study) -> Estimate:
    """Mean over workers of mean log RT fooled less not fooled; workers who were sometimes both."""
    timed = trials[trials["fooled"].isin([0.0, 1.0]) & (trials["rt_ms"] > 0)]
    timed = timed.assign(log_rt=np.log(timed["rt_ms"]))
    logs = timed.pivot_table(index="worker", columns="fooled", values="log_rt", aggfunc="mean")
    both = logs.reindex(columns=[0.0, 1.0]).dropna()
    found = mean_over_workers((both[1.0] - both[0.0]).to_numpy(dtype=float), study.analysis.confidence_level)
    method = f"log response time when fooled less when not, {found.method}; workers with both, {WHO}"
    notes = found.notes if len(both) else ("No worker was timed both when fooled and when not.",)
    return Estimate(
        key="rt_log_difference_when_fooled",
        value=found.value,
        unit="log ms",
        method=method,
        n=found.n,
        condition=condition,
        interval=found.interval,
        standard_error=found.standard_error,
        notes=notes,
    )


def _spread(values: FloatArray, measure: Measure, condition: str, study: Study) -> list[Estimate]:
    """Median and largest over sessions in which it could be measured; one empty record where it never could."""
    known = values[np.isfinite(values)]
    fast = f" (below {study.exclusions.fast_rt_ms:g} ms)" if measure.column == "fast_share" else ""
    return [
        Estimate(
            key=f"{measure.column}_{name}",
            value=float(reduce(known)) if len(known) else None,
            unit=measure.unit,
            method=f"{name} over sessions: {measure.words}{fast}; {WHO}",
            n={"sessions": len(known), "missing": len(values) - len(known)},
            condition=condition,
            notes=() if len(known) else (measure.missing,),
        )
        for name, reduce in (("median", np.median), ("max", np.max))
        if len(known) or name == "median"
    ]


def _checks(sessions: pd.DataFrame, condition: str, study: Study) -> list[Estimate]:
    """Share of attention checks that were failed; nothing where the study has none."""
    answered, failed = int(sessions["checks"].sum()), int(sessions["failed_checks"].sum())
    if not answered and not study.checks_per_session:
        return []
    return [
        Estimate(
            key="failed_check_share",
            value=failed / answered if answered else None,
            unit="proportion",
            method=f"attention checks failed of those answered and not void; {WHO}",
            n={"checks": answered, "failed": failed, "sessions": len(sessions)},
            condition=condition,
            notes=() if answered else ("No attention check was answered.",),
        )
    ]


def _screens(fractional: FloatArray, condition: str) -> Estimate:
    known = np.isfinite(fractional)
    return Estimate(
        key="sessions_with_fractional_pixels",
        value=float(fractional[known].sum()) if known.any() else None,
        unit="count",
        method=f"sessions on a screen with a fractional number of device pixels per CSS pixel, page zoom taken out; {WHO}",
        n={"sessions": int(known.sum()), "missing": int((~known).sum())},
        condition=condition,
        notes=() if known.any() else ("No device pixel ratio was recorded.",),
    )


def _rules(sessions: pd.DataFrame, trials: pd.DataFrame, condition: str, study: Study) -> list[Estimate]:
    """How many sessions break each rule in force, those that break several in each of them."""
    found = []
    for rule in rules_in_force(study.exclusions):
        if study.imported is not None and rule.column == "void_trials":
            continue  # of imported answers nobody knows which would have been void
        values = sessions[rule.column].to_numpy(dtype=float)
        unknown = int(np.isnan(values).sum())
        note = f"The rule could not be applied to {unknown} session{'s' * (unknown != 1)}: too little to measure it by."
        notes = [note] if unknown else []
        notes += _sides(trials) if rule.by_side else []
        found.append(
            Estimate(
                key="sessions_breaking_rule",
                value=float(rule.broken(values, study.exclusions).sum()),
                unit="count",
                method=f"rule of [exclusions], {rule.key}; {WHO}; a session may break several",
                n={"sessions": len(values), "missing": unknown},
                condition=condition,
                detail=rule.reason(study.exclusions),
                notes=(*notes, *([rule.caution] if rule.caution else [])),
            )
        )
    return found


def _sides(trials: pd.DataFrame) -> list[str]:
    """A warning where fakes did not stand on either side about as often: the side then gives the answer away."""
    sides = trials.loc[trials["fooled"].notna() & trials["fake_side"].isin(["left", "right"]), "fake_side"]
    left = float((sides == "left").mean()) if len(sides) else 0.5
    if BALANCED[0] <= left <= BALANCED[1]:
        return []
    return [
        f"Fakes stood on the left in {100 * left:.0f} % of trials: here a rule on sides looks at the answers themselves."
    ]
