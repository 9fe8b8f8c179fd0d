"""One simulated study through the code that will run on the real answers, and what it came to."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evalkit.analyses import equivalence
from evalkit.analyses.fool_rate import primary
from evalkit.analyses.pairwise_differences import differences
from evalkit.rehearsal.advice import compared_rates
from evalkit.rehearsal.answers import Simulated, Simulator, World
from evalkit.rehearsal.assumptions import GridPoint
from evalkit.rehearsal.places import FloatArray, Places
from evalkit.responses import ResponseTable, table_from_frames
from evalkit.results import Estimate
from evalkit.stats.confidence_sequence import betting_sequence
from evalkit.stats.multiplicity import holm
from evalkit.stats.proportions import interval_p_value
from studies.design import Study

EQUAL, DIFFERENT, ALL_HALF, EQUAL_LOSSES = "equal", "different", "all_half", "equal_losses"
"""Scenarios: all algorithms alike; every second one easier by the smallest difference that matters; all at 50 %; equal
losses whose training runs happen to differ although the study's target is not the loss."""
UNUSED = (
    *(
        "refresh_hz",
        "rt_ms",
        "choice",
        "trial_index",
        "attempt",
        "void_reason",
        "phase",
        "target",
        "fake_side",
    ),
    *("device_pixel_ratio", "zoom", "condition_2"),
    *(
        f"{name}_{slot}"
        for slot in (1, 2)
        for name in ("exposure_ms", "planned_ms", "side", "source_id", "run")
    ),
)
"""Columns of trials that are dropped before rates and differences are estimated."""
_FIELDS = ("value", "low", "high", "error", "truth", "p")


@dataclass(frozen=True)
class Batch:
    """Some studies of one scenario; NaN where a study could not estimate something."""

    rates: FloatArray
    """Shape (studies, algorithms, 6): value, low, high, standard error, truth, p-value."""
    differences: FloatArray
    """Shape (studies, contrasts, 6), as `rates`; the p-value is that of no difference."""
    holm: FloatArray
    """Shape (studies, contrasts): p-values adjusted over the study's contrasts."""
    equivalent: FloatArray
    """Shape (studies, 2): shares of rates shown to be indistinguishable from 50 %, and of contrasts shown to be as
    good as each other; NaN without a margin."""
    flow: FloatArray
    """Shape (studies, 5): people begun, sessions finished, sessions excluded, counted trials, sessions when the
    stopping rule stopped (or all)."""

    def column(self, of: str, name: str) -> FloatArray:
        """One field of `rates` or `differences`, shape (studies, ...)."""
        values: FloatArray = getattr(self, of)
        return values[:, :, _FIELDS.index(name)]


FLOW = ("begun", "finished", "excluded", "trials", "stopped_at")


def join(batches: Sequence[Batch]) -> Batch:
    """All studies of several batches."""
    return Batch(
        *(
            np.concatenate([getattr(one, name) for one in batches])
            for name in ("rates", "differences", "holm", "equivalent", "flow")
        )
    )


def rates_in(scenario: str, study: Study) -> tuple[float, ...]:
    """The true rates of the algorithms in one scenario."""
    count, rate = len(study.conditions), study.rehearsal.rate
    if scenario == ALL_HALF:
        return (0.5,) * count
    if scenario == DIFFERENT:
        high, low = compared_rates(study)
        return tuple((low, high)[index % 2] for index in range(count))
    return (rate,) * count


def world(scenario: str, study: Study, point: GridPoint) -> World:
    """What is assumed in one scenario at one grid point."""
    drawn = study.analysis.target == "this loss" or scenario == EQUAL_LOSSES
    mistakes = 0.5 if scenario == ALL_HALF else study.rehearsal.rate
    return World(point, rates_in(scenario, study), mistakes, drawn)


def simulate(
    study: Study, places: Places, point: GridPoint, scenario: str, seeds: Sequence[Sequence[int]]
) -> Batch:
    """Run one study for each seed.

    Args:
        study: Its settings, plan and planned analyses.
        places: Its plan.
        point: How much people, images and runs differ.
        scenario: One of the names above.
        seeds: Entropy of each study's random numbers, so that no study depends on how the work was divided.
    """
    simulator, assumed = Simulator(study, places), world(scenario, study, point)
    rows = [_one(simulator, assumed, np.random.default_rng(list(seed))) for seed in seeds]
    return Batch(*(np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)))


def table_of(drawn: Simulated, study: Study) -> ResponseTable:
    """The simulated answers as the analyses read them."""
    return table_from_frames(drawn.responses, drawn.sessions, drawn.arrivals, study)


def _one(simulator: Simulator, assumed: World, rng: np.random.Generator) -> tuple[FloatArray, ...]:
    study = simulator.study
    drawn = simulator.draw(assumed, rng)
    table = table_of(drawn, study)
    people = table.sessions
    begun, finished = len(people), int((people["state"] == "finished").sum())
    stopped_at = finished
    if study.stopping.rule != "none":
        table, stopped_at = _stopped(drawn, table, study)
    table = slimmed(table)
    flow = (begun, finished, int((table.sessions["excluded"] != "").sum()), len(table.primary), stopped_at)
    truth = drawn.truth
    rates = np.array([_row(one, true) for one, true in zip(primary(table, study), truth, strict=True)])
    which = {name: index for index, name in enumerate(study.conditions)}
    found = differences(table, study) if len(study.conditions) > 1 else []
    contrasts = np.array(
        [_row(one, truth[which[one.condition]] - truth[which[one.versus]]) for one in found]
    ).reshape(len(found), len(_FIELDS))
    adjusted = _adjusted(contrasts[:, -1])
    return rates, contrasts, adjusted, _equivalent(table, study), np.array(flow, dtype=np.float64)


def slimmed(table: ResponseTable) -> ResponseTable:
    """The table without columns that neither rates nor differences look at; copying them takes a third of the time."""
    unused = [name for name in UNUSED if name in table.trials.columns]
    return dataclasses.replace(table, trials=table.trials.drop(columns=unused))


def _row(estimate: Estimate, truth: float) -> list[float]:
    interval = estimate.interval
    low, high = (interval.low, interval.high) if interval else (math.nan, math.nan)
    value, error = _number(estimate.value), _number(estimate.standard_error)
    return [value, low, high, error, truth, _number(interval_p_value(estimate))]


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _adjusted(p_values: FloatArray) -> FloatArray:
    if not p_values.size:
        return p_values
    filled = np.where(np.isnan(p_values), 1.0, p_values)
    return np.array(holm([float(one) for one in filled])[0])


def _equivalent(table: ResponseTable, study: Study) -> FloatArray:
    """Shares of algorithms and of contrasts whose planned record says "equivalent: yes"; NaN where there is none."""
    found = equivalence.estimates(table, study)
    shares = []
    for key in ("indistinguishable_from_real", "as_good_as"):
        verdicts = [equivalence.verdict_of(one) == "yes" for one in found if one.key == key]
        shares.append(sum(verdicts) / len(verdicts) if verdicts else math.nan)
    return np.array(shares)


def _stopped(drawn: Simulated, table: ResponseTable, study: Study) -> tuple[ResponseTable, int]:
    """The table as it was when the stopping rule ended recruiting, and how many sessions had finished."""
    order = _finishing_order(table, study)
    stops = [_stop(order[name], study) for name in study.conditions]
    finished = table.sessions["state"] == "finished"
    if any(stop is None for stop in stops):
        return table, int(finished.sum())
    last = max(
        _position(table, order[name], stop) for name, stop in zip(study.conditions, stops, strict=True)
    )
    kept = table.sessions["session"].iloc[: last + 1]
    responses = drawn.responses[drawn.responses["session"].isin(kept)]
    sessions = drawn.sessions[drawn.sessions["session"].isin(kept)]
    smaller = table_from_frames(
        responses.reset_index(drop=True), sessions.reset_index(drop=True), drawn.arrivals, study
    )
    return smaller, int((smaller.sessions["state"] == "finished").sum())


def _finishing_order(table: ResponseTable, study: Study) -> dict[str, "pd.Series[float]"]:
    """Each condition's worker means, in the order in which sessions were handed out."""
    trials = table.primary[table.primary["fooled"].notna()]
    means = {}
    for name in study.conditions:
        own = trials[trials["condition"] == name].groupby("session", sort=False)["fooled"].mean()
        means[name] = own
    return means


def _stop(means: "pd.Series[float]", study: Study) -> int | None:
    sequence = betting_sequence(means.to_numpy(dtype=np.float64), study.analysis.confidence_level)
    return sequence.stopped_at(study.stopping.half_width, study.stopping.min_participants)


def _position(table: ResponseTable, means: "pd.Series[float]", stop: int | None) -> int:
    """The row of `table.sessions` after which this condition had enough."""
    assert stop is not None
    name = means.index[stop - 1]
    return int(np.flatnonzero((table.sessions["session"] == name).to_numpy())[0])
