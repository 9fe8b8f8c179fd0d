"""Whether algorithms are indistinguishable from real images, or as good as each other, within the planned margin."""

import dataclasses

import numpy as np

from evalkit.analyses.base import Context, as_clusters, cluster_ids, of_fakes, run_notes, with_sizes
from evalkit.analyses.by_condition import by_condition, sizes
from evalkit.analyses.pairwise_differences import contrasts_of, difference
from evalkit.analyses.targets import about
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from evalkit.stats.equivalence import Verdict, equivalence_level, equivalence_verdict
from evalkit.stats.proportions import clustered_difference, clustered_rate
from studies.design import Study
from studies.records import REAL

CHANCE = 0.5
SENTENCES: dict[Verdict, str] = {
    "yes": "Equivalent: yes. The whole interval lies inside the margin.",
    "no": "Equivalent: no. The whole interval lies outside the margin.",
    "cannot tell": "Equivalent: cannot tell. The interval crosses the margin, or there is none; that no difference was"
    " found is no evidence that there is none.",
}


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition `indistinguishable_from_real`, per planned contrast `as_good_as`; nothing without a margin."""
    return [*estimates(table, study)]


def estimates(table: ResponseTable, study: Study) -> list[Estimate]:
    """The same, as estimates whose interval is the one that has to lie inside the margin; no resampling."""
    if study.analysis.equivalence_margin is None or "fool_rate" not in study.protocol.analyses:
        return []
    level = equivalence_level(study.analysis.confidence_level)
    if study.protocol.layout == "one_image":
        against = [_from_reals(table, condition, study, level) for condition in study.conditions]
    else:
        against = _from_chance(table, study, level)
    pairs = [
        _judged(difference(contrast, study, level), "as_good_as", 0.0, study)
        for contrast in contrasts_of(table, study)
    ]
    return [*against, *pairs]


def verdict_of(estimate: Estimate) -> Verdict:
    """What a record of this analysis said."""
    return next(verdict for verdict, sentence in SENTENCES.items() if sentence in estimate.notes)


def _from_chance(table: ResponseTable, study: Study, level: float) -> list[Estimate]:
    """Side by side with a real image, an indistinguishable fake is taken for it every other time."""
    found = []
    for condition, mine in by_condition(of_fakes(table.primary), study).items():
        rate = clustered_rate(mine.outcomes, mine.clusters, level)
        rate = dataclasses.replace(rate, condition=condition, n=sizes(rate, mine))
        found.append(_named(rate, CHANCE, study))
    return found


def _from_reals(table: ResponseTable, condition: str, study: Study, level: float) -> Estimate:
    """Judged alone, an indistinguishable fake is called real as often as a real image is, however often that may be."""
    trials = table.about(table.primary, condition)
    trials = trials[trials["outcome"].notna()]
    is_real = (trials["condition_1"] == REAL).to_numpy(dtype=np.bool_)
    called_real = np.where(is_real, trials["outcome"], 1.0 - trials["outcome"]).astype(float)
    ids = cluster_ids(trials, study)
    gap = clustered_difference(
        (called_real[~is_real], called_real[is_real]),
        (as_clusters(ids[~is_real]), as_clusters(ids[is_real])),
        level,
    )
    words = "fakes called real minus real images called real"
    gap = dataclasses.replace(
        gap, condition=condition, method=f"{words}: {gap.method}", n=with_sizes(gap, trials)
    )
    return _named(gap, 0.0, study)


def _named(found: Estimate, centre: float, study: Study) -> Estimate:
    noted = dataclasses.replace(found, notes=(*found.notes, *run_notes(study)))
    return _judged(about(noted, study.analysis.target), "indistinguishable_from_real", centre, study)


def _judged(found: Estimate, key: str, centre: float, study: Study) -> Estimate:
    margin = study.analysis.equivalence_margin
    assert margin is not None
    verdict = equivalence_verdict(found, margin, centre)
    level = f"{100 * equivalence_level(study.analysis.confidence_level):.4g} % interval"
    inside = f"inside {centre:g} ± {margin:g}" if centre else f"inside ± {margin:g}"
    return dataclasses.replace(
        found,
        key=key,
        detail=f"{level} {inside}",
        method=f"two one-sided tests, by the {level} {inside}; {found.method}",
        notes=(SENTENCES[verdict], *found.notes),
    )
