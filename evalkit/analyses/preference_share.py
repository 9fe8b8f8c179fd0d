"""How often one algorithm's image was preferred to another's."""

import itertools

import numpy as np
import pandas as pd

from evalkit.analyses.base import Context, clustered_share
from evalkit.responses import ResponseTable
from evalkit.results import Result
from studies.design import Study


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """One record per pair, in the order of study.toml: the share of its trials in which the first was preferred."""
    results: list[Result] = []
    for first, second in itertools.combinations(study.conditions, 2):
        trials = table.about(table.about(table.primary, first), second)
        # The outcome is about the algorithm that came first in study.toml when the trial was planned.
        outcome = np.where(trials["condition"] == first, trials["outcome"], 1.0 - trials["outcome"])
        preferred = pd.Series(outcome, index=trials.index, dtype=float)
        results.append(clustered_share("preference_share", preferred, trials, study, first, second))
    return results
