"""The mixed logistic model: algorithm, side and order as fixed effects, workers, images and runs as crossed random ones."""

import itertools

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context, of_fakes, run_notes
from evalkit.analyses.mixed_model_records import (
    BY_ALGORITHM,
    EFFECTS,
    METHOD,
    Model,
    image_records,
    worker_records,
)
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.mixed_logistic import fit_mixed_logistic
from studies.design import Study

FloatArray = npt.NDArray[np.float64]


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Marginal fool rates and their differences, fixed effects, standard deviations, shrunken images and workers.

    An algorithm whose fakes always or never fooled has no finite coefficient; its trials are left out, and its record
    says so.
    """
    trials = of_fakes(table.primary)
    rates = trials.groupby("condition")["fooled"].mean()
    usable = [name for name in study.conditions if 0 < rates.get(name, 0.0) < 1]
    if not usable:
        return [_not_estimated(name, trials, study) for name in study.conditions]
    mine = trials[trials["condition"].isin(usable)]
    columns = _columns(mine, study, usable)
    groups = _groups(mine, study, usable)
    fit = fit_mixed_logistic(
        mine["fooled"].to_numpy(dtype=np.float64),
        np.column_stack(list(columns.values())),
        groups,
        list(columns),
    )
    model = Model(mine, study, fit, usable)
    results: list[Result] = [model.summary()]
    results += [
        model.rate(name) if name in usable else _not_estimated(name, trials, study)
        for name in study.conditions
    ]
    results += [model.difference(*pair) for pair in itertools.combinations(usable, 2)]
    results += [model.fixed(name) for name in EFFECTS if name in fit.names]
    results += model.spreads(list(groups))
    return [*results, *image_records(model), *worker_records(model)]


def _columns(trials: pd.DataFrame, study: Study, conditions: list[str]) -> dict[str, FloatArray]:
    """The fixed effects: one column per algorithm, then what varies of side, order and time, each from -1/2 to 1/2."""
    columns = {name: (trials["condition"] == name).to_numpy(dtype=np.float64) for name in conditions}
    side = trials["fake_side"].map({"left": 0.5, "right": -0.5}).fillna(0.0).to_numpy(dtype=np.float64)
    first = trials["fake_first"].to_numpy(dtype=np.float64) - 0.5
    order = trials["trial_index"].to_numpy(dtype=np.float64)
    order = (order - order.min()) / max(float(np.ptp(order)), 1.0) - 0.5
    one_by_one = getattr(study.protocol, "presentation", "") == "sequential"
    varying = {
        "fake_left": side,
        "fake_first": first if one_by_one else np.zeros(len(trials)),
        "order": order,
    }
    return columns | {name: values for name, values in varying.items() if np.ptp(values) > 0}


def _groups(trials: pd.DataFrame, study: Study, conditions: list[str]) -> dict[str, npt.NDArray[np.generic]]:
    """The random intercepts that the design knows, as one id per trial.

    Over several algorithms an image is not equally hard in each, and in a within design neither is a worker equally good
    at each: without effects of their own (`..._by_algorithm`) a difference would look surer than it is.

    Source:
        Barr et al. (2013), J. Mem. Lang. 68, 255-278; random intercepts per algorithm stand in for random slopes.
    """
    groups: dict[str, pd.Series] = {"workers": trials["worker"], "source_images": trials["source_id"]}
    if len(conditions) > 1:
        groups[BY_ALGORITHM] = trials["condition"] + "/" + trials["source_id"]
        if study.study.design == "within":
            groups["workers_by_algorithm"] = trials["condition"] + "/" + trials["worker"]
    if study.study.pairing == "different" and bool((trials["real_source_id"] != "").any()):
        groups["real_images"] = trials["real_source_id"]
    if study.analysis.target == "this loss":
        groups["runs"] = trials["condition"] + "/" + trials["run"].astype(str)
    return {name: ids.to_numpy(dtype=str) for name, ids in groups.items()}


def _not_estimated(condition: str, trials: pd.DataFrame, study: Study) -> Estimate:
    own = trials[trials["condition"] == condition]
    why = (
        f"all {len(own)} trials ended alike, so that its coefficient has no finite value"
        if len(own)
        else "there are no trials"
    )
    return Estimate(
        key="fool_rate_mixed",
        value=None,
        unit="proportion",
        method=METHOD,
        n={"trials": len(own)},
        condition=condition,
        notes=(f"Not estimated: {why}.", *run_notes(study)),
    )
