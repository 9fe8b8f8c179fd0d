"""How long people have to look: the exposure that each session's staircases met most often (HYPE-time)."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.means import mean_over_workers
from studies.design import Study
from studies.protocols.timed_staircase import STAIRCASES

METHODS = {
    "modal_exposure": "planned exposure that a session met most often; of several, their mean",
    "reversal_exposure": "mean planned exposure where a session's staircases turned round",
}


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition: the mean over workers of modal exposure and of the mean of reversals, then each session's own.

    Longer is better for the generator: people needed more time to tell its images from real ones.
    """
    results: list[Result] = []
    for condition in study.conditions:
        # With the void ones: they took a staircase's turn.
        sent = table.trials[table.trials["finished"] & (table.trials["excluded"] == "")]
        sessions = {
            str(name): own
            for name, own in sent[sent["condition"] == condition].groupby("session", sort=False)
        }
        modes = {name: _mode(own) for name, own in sessions.items()}
        turns = {name: _reversals(own, study) for name, own in sessions.items()}
        for key, found in (("modal_exposure", modes), ("reversal_exposure", turns)):
            known = {name: value for name, value in found.items() if value is not None}
            results.append(_mean(key, np.array(list(known.values())), sessions, condition, study))
            results += [
                Estimate(
                    key=f"{key}_of_session",
                    value=value,
                    unit="ms",
                    method=METHODS[key],
                    n={"trials": int(sessions[name]["counted"].sum())},
                    condition=condition,
                    detail=name,
                )
                for name, value in known.items()
            ]
    return results


def _mean(
    key: str, values: npt.NDArray[np.float64], sessions: dict[str, pd.DataFrame], condition: str, study: Study
) -> Estimate:
    estimate = mean_over_workers(values, study.analysis.confidence_level)
    trials = sum(int(own["counted"].sum()) for own in sessions.values())
    return dataclasses.replace(
        estimate,
        key=key,
        unit="ms",
        condition=condition,
        method=f"{METHODS[key]}; {estimate.method}",
        n={**estimate.n, "trials": trials},
        notes=(*estimate.notes, "The interval covers other workers, not other images."),
    )


def _mode(own: pd.DataFrame) -> float | None:
    """The commonest planned exposure of the counted trials."""
    counts = own[own["counted"]].groupby("planned_ms_1").size()
    if not len(counts):
        return None
    return float(np.mean(counts.index[counts == counts.max()].to_numpy(dtype=float)))


def _reversals(own: pd.DataFrame, study: Study) -> float | None:
    """Mean exposure of the answers after which a staircase went the other way than before."""
    turned: list[float] = []
    turns = _turns(own, study)
    for staircase in range(STAIRCASES):
        steps = own[(turns % STAIRCASES == staircase) & own["counted"]]
        correct, planned = steps["outcome"].to_numpy() == 1, steps["planned_ms_1"].to_numpy(dtype=float)
        turned += list(planned[1:][correct[1:] != correct[:-1]])
    return float(np.mean(turned)) if turned else None


def _turns(own: pd.DataFrame, study: Study) -> "pd.Series[int]":
    """Which trial after practice each one was, from 0; checks, which are not in the table, took turns too."""
    stand_in = own["attempt"] > 0  # sent after all planned trials, under the index of a void one
    planned = own["trial_index"] - study.protocol.practice
    return planned.where(~stand_in, study.main_trials + stand_in.cumsum() - 1)
