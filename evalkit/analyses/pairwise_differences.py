"""The difference in fool rate between algorithms: clustered interval and test, permutation test, Holm."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evalkit.analyses.base import Context, of_fakes, run_notes
from evalkit.analyses.by_condition import Trials, by_condition, sizes
from evalkit.analyses.targets import THESE_IMAGES, about
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, HypothesisTest, Result
from evalkit.stats.clustering import Clusters, FloatArray
from evalkit.stats.difference_tests import adjusted, difference_test
from evalkit.stats.permutation import Permutation, draws_within, permute_labels, permute_workers
from evalkit.stats.proportions import clustered_difference
from studies.design import Study

UNADJUSTED = "Interval of this contrast alone, not adjusted for the number of contrasts."


@dataclass(frozen=True)
class Contrast:
    """The trials of two conditions, in the order of the contrast."""

    first: str
    second: str
    trials: tuple[Trials, Trials]

    @property
    def outcomes(self) -> tuple[FloatArray, FloatArray]:
        """Of each condition, 1 fooled."""
        return self.trials[0].outcomes, self.trials[1].outcomes

    @property
    def clusters(self) -> tuple[Clusters, Clusters]:
        """Of each condition, for the study's target."""
        return self.trials[0].clusters, self.trials[1].clusters

    def n(self, found: Result) -> dict[str, int]:
        """The record's sizes and those of both conditions together."""
        return sizes(found, *self.trials)


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Per planned contrast, first minus second: the clustered difference, its test and a permutation test."""
    contrasts = list(contrasts_of(table, study))
    found = [difference(contrast, study) for contrast in contrasts]
    results: list[Result] = [*found, *_family([_clustered_test(one) for one in found], study)]
    if context.n_resamples:
        results += _family([_permutation_test(contrast, study, context) for contrast in contrasts], study)
    return results


def differences(table: ResponseTable, study: Study) -> list[Estimate]:
    """The clustered difference of each planned contrast, first minus second, in proportions; no resampling."""
    return [difference(contrast, study) for contrast in contrasts_of(table, study)]


def contrasts_of(table: ResponseTable, study: Study) -> Iterator[Contrast]:
    """The primary trials of each planned pair of conditions."""
    parts = by_condition(of_fakes(table.primary), study)
    for first, second in study.contrasts:
        yield Contrast(first, second, (parts[first], parts[second]))


def difference(contrast: Contrast, study: Study, confidence_level: float | None = None) -> Estimate:
    """The clustered difference of one contrast, at the study's level of confidence or another."""
    level = confidence_level or study.analysis.confidence_level
    estimate = clustered_difference(contrast.outcomes, contrast.clusters, level)
    named = dataclasses.replace(
        estimate,
        key="fool_rate_difference",
        condition=contrast.first,
        versus=contrast.second,
        n=contrast.n(estimate),
        notes=(*estimate.notes, UNADJUSTED, *run_notes(study)),
    )
    return about(named, study.analysis.target)


def _clustered_test(found: Estimate) -> HypothesisTest:
    """Of the same difference, about the same target."""
    notes = tuple(note for note in found.notes if note != UNADJUSTED)
    return dataclasses.replace(
        difference_test(found),
        condition=found.condition,
        versus=found.versus,
        notes=notes,
        provenance=found.provenance,
    )


def _permutation_test(contrast: Contrast, study: Study, context: Context) -> HypothesisTest:
    seed = context.seed("difference_permutation", contrast.first, contrast.second, str(study.study.seed))
    found = _permuted(contrast, np.random.default_rng(seed), context.n_resamples).as_test()
    named = dataclasses.replace(
        found, condition=contrast.first, versus=contrast.second, seed=seed, n=contrast.n(found)
    )
    return about(named, THESE_IMAGES)


def _permuted(contrast: Contrast, rng: np.random.Generator, n_resamples: int) -> Permutation:
    """Whole workers where nobody saw both algorithms, else labels within those who did."""
    one, two = (trials.workers for trials in contrast.trials)
    outcomes = contrast.outcomes
    if not np.intersect1d(one, two).size:
        return permute_workers(outcomes, (one, two), rng, n_resamples=n_resamples)
    return permute_labels(
        np.concatenate(outcomes),
        np.repeat([True, False], [len(one), len(two)]),
        np.concatenate((one, two)),
        np.concatenate([trials.sources for trials in contrast.trials]),
        rng,
        n_resamples=draws_within(n_resamples, len(np.union1d(one, two))),
    )


def _family(tests: list[HypothesisTest], study: Study) -> list[HypothesisTest]:
    """The tests with their p-values adjusted over the planned contrasts."""
    planned = bool(study.analysis.contrasts)
    family = f"Holm over {'the planned contrasts' if planned else 'all pairs'}: {len(tests)}"
    p_values = adjusted([test.p_value for test in tests])
    return [
        dataclasses.replace(test, p_adjusted=p, detail=family)
        for test, p in zip(tests, p_values, strict=True)
    ]
