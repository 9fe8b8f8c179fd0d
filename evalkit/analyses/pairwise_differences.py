"""The difference in fool rate between every two algorithms."""

import dataclasses
import itertools

import numpy as np

from evalkit.analyses.base import Context, as_clusters, cluster_ids, of_fakes, run_notes, with_sizes
from evalkit.responses import ResponseTable
from evalkit.results import Result
from evalkit.stats.proportions import clustered_difference
from studies.design import Study

UNADJUSTED = "Interval of this contrast alone, not adjusted for the number of contrasts."


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """One record per pair, in the order of study.toml: first minus second, in proportions."""
    trials = of_fakes(table.primary)
    ids = cluster_ids(trials, study)  # over all conditions at once, so that a shared image has one number
    y = trials["fooled"].to_numpy(dtype=float)
    of = {name: (trials["condition"] == name).to_numpy(dtype=np.bool_) for name in study.conditions}
    results: list[Result] = []
    for first, second in itertools.combinations(study.conditions, 2):
        estimate = clustered_difference(
            (y[of[first]], y[of[second]]),
            (as_clusters(ids[of[first]]), as_clusters(ids[of[second]])),
            study.analysis.confidence_level,
        )
        both = trials[of[first] | of[second]]
        notes = (*estimate.notes, UNADJUSTED, *run_notes(study))
        results.append(
            dataclasses.replace(
                estimate,
                key="fool_rate_difference",
                condition=first,
                versus=second,
                n=with_sizes(estimate, both),
                notes=notes,
            )
        )
    return results
