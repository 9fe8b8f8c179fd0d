"""Means over workers, where only what each worker's answers came to is known (imported worker-level tables)."""

import dataclasses

import numpy as np

from evalkit.analyses.base import Context
from evalkit.analyses.targets import THESE_IMAGES, of_target
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.means import mean_over_workers
from studies.design import Study
from studies.records import WorkerValue, read_csv

FILE = "workers.csv"
KEYS = {
    "error_rate": "error_rate_over_workers",
    "fool_rate": "fool_rate_over_workers",
    "error_rate_on_reals": "error_rate_on_reals_over_workers",
}
"""Quantity of the file -> key of its record."""
_NOTE = (
    "Worker-level data: which image was judged is not known, so the interval covers other people before these images, not "
    "other images."
)


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition and quantity: the mean, its standard error and Student's interval; each worker weighs the same."""
    path = context.folder / context.provenance.data / FILE if context.folder else None
    if path is None or not path.is_file():
        return [_unknown(condition) for condition in study.conditions]
    values = read_csv(path, WorkerValue)
    told = [quantity for quantity in KEYS if any(value.quantity == quantity for value in values)]
    return [
        _mean(
            [value for value in values if (value.condition, value.quantity) == (condition, quantity)],
            condition,
            quantity,
            study,
        )
        for condition in study.conditions
        for quantity in told
    ]


def _mean(values: list[WorkerValue], condition: str, quantity: str, study: Study) -> Estimate:
    known = [value.value for value in values if value.value is not None]
    estimate = mean_over_workers(np.array(known, dtype=float), study.analysis.confidence_level, (0.0, 1.0))
    missing = {"missing": len(values) - len(known)}
    named = dataclasses.replace(
        estimate,
        key=KEYS[quantity],
        condition=condition,
        unit="proportion",
        n={**estimate.n, **missing},
        notes=(*estimate.notes, _NOTE),
    )
    return of_target(named, THESE_IMAGES)


def _unknown(condition: str) -> Estimate:
    return Estimate(
        key="fool_rate_over_workers",
        value=None,
        unit="proportion",
        method="mean over workers",
        condition=condition,
        notes=(
            f"There is no {FILE}: this study has answers, not numbers of workers; see fool_rate_worker_averaged.",
        ),
    )
