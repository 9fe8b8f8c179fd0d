"""How often one algorithm's image was preferred to another's, and for how many inputs by most of those asked."""

import itertools

import numpy as np
import pandas as pd

from evalkit.analyses.base import Context, clustered_share
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from studies.design import Study


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per pair, in the order of study.toml: the share of its trials in which the first was preferred, and the inputs won."""
    results: list[Result] = []
    for first, second in itertools.combinations(study.conditions, 2):
        trials = table.about(table.about(table.primary, first), second)
        # The outcome is about the algorithm that came first in study.toml when the trial was planned.
        outcome = np.where(trials["condition"] == first, trials["outcome"], 1.0 - trials["outcome"])
        preferred = pd.Series(outcome, index=trials.index, dtype=float)
        results.append(clustered_share("preference_share", preferred, trials, study, first, second))
        results.append(_inputs_won(preferred, trials, first, second))
    return results


def _inputs_won(preferred: "pd.Series[float]", trials: pd.DataFrame, first: str, second: str) -> Estimate:
    """How many inputs the first algorithm won; an even split is won by neither."""
    shares = preferred.groupby(trials["source_id"]).mean()
    tied = int((shares == 0.5).sum())
    return Estimate(
        key="inputs_won",
        value=float((shares > 0.5).sum()) if len(shares) else None,
        unit="count",
        method="inputs for which more than half of the answers preferred the first-named algorithm",
        n={"source_images": len(shares), "tied": tied, "trials": len(trials)},
        condition=first,
        versus=second,
        notes=() if len(shares) else ("The two were never compared.",),
    )
