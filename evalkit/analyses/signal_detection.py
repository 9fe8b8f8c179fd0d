"""How well people tell real from fake apart from what they prefer to answer: d', criterion, side and order bias."""

import dataclasses

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context, as_clusters, cluster_ids, clustered_share, with_sizes
from evalkit.analyses.targets import THESE_IMAGES, of_target
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.signal_detection import detection, detection_over_workers, preference_spread
from studies.design import Study
from studies.records import REAL

BoolArray = npt.NDArray[np.bool_]

SIDE, ORDER = "left, not right", "first, not second"
"""`detail` of a preference for a side and for a place in the order."""
_RIGHT, _FIRST_NAMED = (
    "It was the right answer",
    "It was the image of the algorithm that study.toml names first",
)
_WHAT = dict.fromkeys(("real_and_fake", "one_image", "two_inputs"), _RIGHT) | {"two_algorithms": _FIRST_NAMED}
LEFT_FIRST = "The left image was always shown first: a preference for the left and one for the first cannot be told apart."


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition d', criterion and bias-free fool rate; over all of them the preference for a side and an order.

    Trials that ask for neither real nor fake have no d'; their preferences are shown all the same. Nothing of trials
    whose exposure follows the answers: there is one d' for each exposure.
    """
    if study.protocol.adapts_exposure:
        return []
    trials = table.primary
    results: list[Result] = []
    if table.layout in ("real_and_fake", "one_image"):
        for condition in study.conditions:
            results += _detection(table.about(trials, condition), study, condition)
    if table.layout == "one_image":
        return [*results, *_preference(trials, study, _said_fake(trials), _is_fake(trials), "fake, not real")]
    (on_left, left), (on_first, first) = _sides(trials), _order(trials)
    one_by_one = getattr(study.protocol, "presentation", "") == "sequential"
    known = np.isfinite(on_left)
    alike = one_by_one and bool(known.any()) and bool((left == first)[known].all())
    results += _preference(trials, study, on_left, left, SIDE, LEFT_FIRST if alike else "")
    if one_by_one and not alike:
        results += _preference(trials, study, on_first, first, ORDER)
    return results


def _detection(trials: pd.DataFrame, study: Study, condition: str) -> list[Result]:
    one_image = study.protocol.layout == "one_image"
    answers, signal = (_said_fake(trials), _is_fake(trials)) if one_image else _sides(trials)
    known = np.isfinite(answers)
    mine, answers, signal = trials[known], answers[known], signal[known]
    level = study.analysis.confidence_level
    found = detection(answers, signal, as_clusters(cluster_ids(mine, study)), level, two_afc=not one_image)
    averaged = of_target(
        detection_over_workers(answers, signal, mine["worker"].to_numpy(), level, two_afc=not one_image),
        THESE_IMAGES,
    )
    return [
        dataclasses.replace(estimate, condition=condition, n=with_sizes(estimate, mine))
        for estimate in (*found.values(), averaged)
    ]


def _preference(
    trials: pd.DataFrame,
    study: Study,
    answers: npt.NDArray[np.float64],
    signal: BoolArray,
    detail: str,
    caution: str = "",
) -> list[Result]:
    """The share of one answer over all conditions, and whether workers differ in it more than chance makes them."""
    known = np.isfinite(answers)
    mine = trials[known]
    if not len(mine):
        note = "No answer tells it: the trials were not shown on two sides, or there are none."
        return [
            Estimate(
                key="answer_share",
                value=None,
                unit="proportion",
                method="share of answers",
                detail=detail,
                notes=(note,),
            )
        ]
    shares = pd.Series(answers[known], index=mine.index)
    share = clustered_share("answer_share", shares, mine, study, "")
    told = f"{_WHAT[study.protocol.layout]} in {100 * float(signal[known].mean()):.1f} % of the trials."
    cautions = (caution,) if caution else ()
    share = dataclasses.replace(share, detail=detail, notes=(told, *cautions, *share.notes))
    spread = preference_spread(answers[known], signal[known], mine["worker"].to_numpy())
    return [share, dataclasses.replace(spread, detail=detail, notes=(*spread.notes, *cautions))]


def _is_fake(trials: pd.DataFrame) -> BoolArray:
    return (trials["condition_1"] != REAL).to_numpy(dtype=np.bool_)


def _said_fake(trials: pd.DataFrame) -> npt.NDArray[np.float64]:
    outcome = trials["outcome"].to_numpy(dtype=np.float64)
    return np.where(_is_fake(trials), outcome, 1.0 - outcome)


def _sides(trials: pd.DataFrame) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Whether the left image was chosen (NaN where no side is known), and whether the right choice was there."""
    sides = trials["side_1"].where(trials["target"] == 1, trials["side_2"]).to_numpy(dtype=object)
    left = sides == "left"
    known = left | (sides == "right")
    return _chosen(trials, left, known), left


def _order(trials: pd.DataFrame) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """The same for the image that was shown first."""
    first = (trials["target"] == 1).to_numpy(dtype=np.bool_)
    return _chosen(trials, first, trials["target"].notna().to_numpy(dtype=np.bool_)), first


def _chosen(trials: pd.DataFrame, is_target: BoolArray, known: BoolArray) -> npt.NDArray[np.float64]:
    outcome = trials["outcome"].to_numpy(dtype=np.float64)
    return np.where(known, np.where(is_target, outcome, 1.0 - outcome), np.nan)
