"""The stopping rule: each algorithm's interval as it stood after every worker, and when the rule stopped."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from evalkit.analyses.base import Context
from evalkit.analyses.targets import THESE_IMAGES, of_target
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Interval, Result
from evalkit.stats.confidence_sequence import ConfidenceSequence, betting_sequence
from studies.design import Stopping, Study

LOOKS = 40
"""Intervals of the running sequence that are kept for each algorithm."""
_METHOD = "mean over workers of their fool rates, in the order in which they finished; betting confidence sequence (hedged capital)"
_ORDER_OF_FILE = "When the imported answers were given is not known: workers stand in the order of the file."
_TARGET = "Valid however often one looks, but about these images only: image and run variance are not in it."


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition the interval that holds at any number of looks; with a rule in force, its course and its end."""
    if "fool_rate" not in study.protocol.analyses:
        return []
    level = study.analysis.confidence_level
    sequences = {
        condition: betting_sequence(worker_means(table, condition), level) for condition in study.conditions
    }
    results: list[Estimate] = [_latest(condition, found) for condition, found in sequences.items()]
    if study.imported is not None:
        results = [dataclasses.replace(one, notes=(*one.notes, _ORDER_OF_FILE)) for one in results]
    if study.stopping.rule != "none":
        results += _by_the_rule(sequences, study.stopping)
    return [of_target(one, THESE_IMAGES) for one in results]


def _by_the_rule(sequences: Mapping[str, ConfidenceSequence], stopping: Stopping) -> list[Estimate]:
    """The course of each sequence, and when the rule stopped it."""
    results = [one for condition, found in sequences.items() for one in _course(condition, found)]
    ends = {condition: _end(found, stopping) for condition, found in sequences.items()}
    results += [_stop(condition, ends[condition], found, stopping) for condition, found in sequences.items()]
    return [*results, _study_stop(list(ends.values()), stopping)]


def stopped_at(worker_means: npt.ArrayLike, stopping: Stopping, confidence_level: float = 0.95) -> int | None:
    """After how many workers of one algorithm the rule is met; None if it is not, or no rule is set.

    Args:
        worker_means: Shape (workers,), fool rate of each in the order in which they finished.
        stopping: `[stopping]` of the study.
        confidence_level: Of the sequence.
    """
    return _end(betting_sequence(worker_means, confidence_level), stopping)


def all_stopped_at(
    worker_means: Sequence[npt.ArrayLike], stopping: Stopping, confidence_level: float = 0.95
) -> int | None:
    """After how many workers per algorithm the rule is met for every one; None if it is not."""
    return _last([stopped_at(means, stopping, confidence_level) for means in worker_means])


def worker_means(table: ResponseTable, condition: str) -> npt.NDArray[np.float64]:
    """Shape (workers,): the fool rate of each worker of the primary trials, in the order in which they finished.

    Somebody with several sessions (imported ones) counts once, where the last of them ended.
    """
    mine = (table.primary["condition"] == condition) & table.primary["fooled"].notna()
    trials = table.primary.loc[mine, ["session", "worker", "fooled"]]
    rates = trials.groupby("worker", sort=False)["fooled"].mean()
    ended = table.sessions[table.sessions["session"].isin(trials["session"].unique())]
    order = ended.sort_values(["finished_at", "place_index"], kind="stable")["worker"].drop_duplicates(
        keep="last"
    )
    return rates.loc[order].to_numpy(dtype=np.float64)


def _end(found: ConfidenceSequence, stopping: Stopping) -> int | None:
    if stopping.rule == "none":
        return None
    return found.stopped_at(stopping.half_width, stopping.min_participants)


def _last(ends: Sequence[int | None]) -> int | None:
    """When the last of them stopped; None where one has not."""
    counts = [end for end in ends if end is not None]
    return max(counts) if counts and len(counts) == len(ends) else None


def _latest(condition: str, found: ConfidenceSequence) -> Estimate:
    count = len(found.outcomes)
    if not count:
        return Estimate(
            key="sequence_rate",
            value=None,
            unit="proportion",
            method=_METHOD,
            condition=condition,
            n={"workers": 0},
            notes=("No worker has answered about a fake.",),
        )
    return dataclasses.replace(_after(condition, found, count), key="sequence_rate", detail="")


def _course(condition: str, found: ConfidenceSequence) -> list[Estimate]:
    """The sequence after 1 .. n workers, at LOOKS places at most."""
    count = len(found.outcomes)
    looks = np.unique(np.linspace(1, count, min(LOOKS, count)).round().astype(int)) if count else ()
    return [_after(condition, found, int(look)) for look in looks]


def _after(condition: str, found: ConfidenceSequence, count: int) -> Estimate:
    """The mean of the first `count` workers with the interval as it stood then."""
    mean = float(found.outcomes[:count].mean())
    low, high = float(found.low[count - 1]), float(found.high[count - 1])
    notes: tuple[str, ...] = (_TARGET,)
    interval = Interval(low, high, found.confidence_level, _METHOD) if low <= mean <= high else None
    if interval is None:
        notes = (*notes, "The workers' rates drifted: no single mean agrees with all looks, so no interval.")
    return Estimate(
        key="sequence_rate_after",
        value=mean,
        unit="proportion",
        method=_METHOD,
        n={"workers": count},
        condition=condition,
        detail=f"{count} worker{'s' * (count != 1)}",
        interval=interval,
        notes=notes,
    )


def _rule(stopping: Stopping) -> str:
    return (
        f"workers until the confidence sequence was within ±{100 * stopping.half_width:g} percentage points,"
        f" at least {stopping.min_participants}"
    )


def _stop(condition: str, end: int | None, found: ConfidenceSequence, stopping: Stopping) -> Estimate:
    count = len(found.outcomes)
    if end is None:
        width = f"±{100 * found.half_width[-1]:.1f} percentage points" if count else "no interval"
        note = f"The rule was not met: {width} after {count} worker{'s' * (count != 1)}."
    else:
        note = f"The rule was met after {end} workers; {count - end} more were analysed."
    return Estimate(
        key="stopped_at",
        value=None if end is None else float(end),
        unit="count",
        method=_rule(stopping),
        n={"workers": count},
        condition=condition,
        notes=(note,),
    )


def _study_stop(ends: list[int | None], stopping: Stopping) -> Estimate:
    end = _last(ends)
    note = (
        "Recruiting was not to stop: some algorithm's interval was never narrow enough."
        if end is None
        else f"Recruiting was to stop after {end} workers per algorithm, when every interval was narrow enough."
    )
    return Estimate(
        key="stopped_at",
        value=None if end is None else float(end),
        unit="count",
        method=f"per algorithm, when all meet the rule: {_rule(stopping)}",
        notes=(note,),
    )
