"""Who left before the end: how many of each algorithm, whether that differs between algorithms, and how they answered."""

import dataclasses
import math

import numpy as np
import pandas as pd
from scipy import stats

from evalkit.analyses.base import Context
from evalkit.analyses.learning import places
from evalkit.analyses.targets import THESE_IMAGES, about
from evalkit.responses import ResponseTable, rows_where
from evalkit.results import Estimate, HypothesisTest, Result
from evalkit.stats.proportions import clustered_difference, wilson_interval
from studies.design import Study

DRAWS = 9999
"""Random tables of the test of three and more algorithms."""


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Finished of those whose session is over, by condition; the test; and answers before leaving against the others'.

    In a within design every session shows all algorithms: one share for the study, and no test.
    """
    between = table.design == "between"
    groups = list(study.conditions) if between else [""]
    if study.imported is not None:
        return [_not_known(name) for name in groups]
    results: list[Result] = [_finished_share(_over(table, name), name, study) for name in groups]
    if between:
        results.append(_test(table, study, context))
    trials = _partial(table)
    for condition in study.conditions:
        results.append(_of_those_who_left(table, trials, condition))
        if "fool_rate" in study.protocol.analyses:
            results.append(_difference(trials, condition, study))
    return results


def _not_known(condition: str) -> Estimate:
    note = "Imported answers: who began and left is not known, so that nothing can be said of attrition."
    return Estimate(
        key="finished_share",
        value=None,
        unit="proportion",
        method="finished sessions of those that are over",
        condition=condition,
        notes=(note,),
    )


def _over(table: ResponseTable, condition: str) -> pd.DataFrame:
    """The sessions that are over; all of them for no condition."""
    sessions = table.sessions_of(condition) if condition else table.sessions
    return sessions[sessions["state"] != "active"]


def _finished_share(sessions: pd.DataFrame, condition: str, study: Study) -> Estimate:
    started, finished = len(sessions), int((sessions["state"] == "finished").sum())
    method = "finished sessions of those that are over, before exclusions; Wilson interval"
    level = study.analysis.confidence_level
    return Estimate(
        key="finished_share",
        value=finished / started if started else None,
        unit="proportion",
        method=method,
        n={"sessions": started, "finished": finished},
        condition=condition,
        interval=wilson_interval(float(finished), started, level) if started else None,
        notes=() if started else ("No session is over.",),
    )


def _test(table: ResponseTable, study: Study, context: Context) -> HypothesisTest:
    """Whether the share who finished differs between algorithms.

    Source:
        Fisher (1922), J. R. Stat. Soc. 85, for two algorithms; Freeman & Halton (1951), Biometrika 38, for more, by
        random tables with the same margins.
    """
    counts = np.array([_counts(_over(table, condition)) for condition in study.conditions])
    counts = counts[counts.sum(axis=1) > 0]
    started = counts.sum(axis=1)
    shares = counts[:, 0] / started
    blank = HypothesisTest(
        key="attrition_test",
        value=float(np.ptp(shares)) if len(shares) else None,
        unit="proportion",
        method="largest difference of the shares who finished",
        n={"sessions": int(counts.sum()), "conditions": len(counts)},
        statistic=None,
        p_value=None,
        null_hypothesis="leaving early is as frequent with every algorithm",
        alternative="it differs between algorithms",
    )
    if len(counts) < 2:
        return dataclasses.replace(
            blank, notes=("Fewer than two algorithms have sessions: nothing to compare.",)
        )
    if not counts[:, 1].any() or not counts[:, 0].any():
        what = "finished" if counts[:, 0].any() else "left"
        return dataclasses.replace(
            blank, p_value=1.0, notes=(f"Everybody {what}: the algorithms do not differ.",)
        )
    if len(counts) == 2:
        found = stats.fisher_exact(counts)
        odds = float(found.statistic)
        statistic = odds if math.isfinite(odds) else None
        words = f"{blank.method}; Fisher's exact test, odds ratio"
        return dataclasses.replace(blank, method=words, statistic=statistic, p_value=float(found.pvalue))
    seed = context.seed("attrition_test", str(study.study.seed))
    draws = stats.MonteCarloMethod(n_resamples=DRAWS, rng=np.random.default_rng(seed))
    found = stats.fisher_exact(counts, method=draws)
    return dataclasses.replace(
        blank,
        method=f"{blank.method}; Fisher-Freeman-Halton test, probability of the table, {DRAWS} random tables (+1)",
        statistic=float(found.statistic),
        p_value=float(found.pvalue),
        seed=seed,
        n_resamples=DRAWS,
    )


def _counts(sessions: pd.DataFrame) -> tuple[int, int]:
    """Finished, and left."""
    finished = int((sessions["state"] == "finished").sum())
    return finished, len(sessions) - finished


def _partial(table: ResponseTable) -> pd.DataFrame:
    """Answered trials of sessions that are over and not excluded, with their `position` in the session."""
    trials = table.with_partial_sessions[["session", "worker", "condition", "fooled", "state", "finished"]]
    trials = trials.assign(position=places(table.with_partial_sessions)[0])
    return rows_where(trials, (trials["state"] != "active").to_numpy(dtype=np.bool_))


def _of_those_who_left(table: ResponseTable, trials: pd.DataFrame, condition: str) -> Estimate:
    """How far they came."""
    over = _over(table, condition)
    left = over.loc[over["state"] != "finished", "session"]
    answered = trials.loc[~trials["finished"] & (trials["condition"] == condition), "session"]
    counts = answered.value_counts().reindex(left, fill_value=0)
    return Estimate(
        key="trials_before_leaving",
        value=float(counts.median()) if len(left) else None,
        unit="count",
        method="median number of scored trials answered in sessions that were not finished",
        n={"sessions": len(left)},
        condition=condition,
        notes=() if len(left) else ("Nobody left.",),
    )


def _difference(trials: pd.DataFrame, condition: str, study: Study) -> Estimate:
    """Fool rate of leavers less that of finishers, over the places of the session that leavers reached."""
    mine = trials[(trials["condition"] == condition) & trials["fooled"].notna()]
    left = mine[~mine["finished"]]
    reached = int(left["position"].max()) if len(left) else -1
    stayed = mine[mine["finished"] & (mine["position"] <= reached)]
    codes = pd.factorize(pd.concat([left["worker"], stayed["worker"]]))[0]
    found = clustered_difference(
        (left["fooled"].to_numpy(dtype=float), stayed["fooled"].to_numpy(dtype=float)),
        ({"workers": codes[: len(left)]}, {"workers": codes[len(left) :]}),
        study.analysis.confidence_level,
    )
    named = dataclasses.replace(
        found,
        key="fool_rate_leavers_minus_finishers",
        condition=condition,
        method=f"sessions that were not finished less finished ones, over the places that the former reached; {found.method}",
        notes=found.notes if len(left) else ("Nobody who left had answered about a fake.",),
    )
    return about(named, THESE_IMAGES)
