"""Planned analyses that resample or fit a model, on a stated smaller number of simulated studies."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from evalkit.analyses import ANALYSES, Context
from evalkit.rehearsal.answers import Simulator
from evalkit.rehearsal.characteristics import Maker
from evalkit.rehearsal.places import Places
from evalkit.rehearsal.studies import EQUAL, table_of, world
from evalkit.rehearsal.words import OTHER_TARGET
from evalkit.results import Estimate, HypothesisTest, Result
from studies.design import Study

RESAMPLES = 500
"""Draws of each bootstrap and permutation test."""
_SEED = 4


def slow_records(study: Study, places: Places, maker: Maker, studies: int) -> list[Estimate]:
    """Coverage of what planned analyses say of each rate, and how often their tests reject where all are equal.

    Args:
        study: Its planned analyses are run as they will be on the real answers, with fewer resamples.
        places: Its plan.
        maker: Of the grid point.
        studies: How many.
    """
    simulator = Simulator(study, places)
    covered: dict[str, list[float]] = defaultdict(list)
    rejected: dict[str, list[float]] = defaultdict(list)
    targets: dict[str, str] = {}
    alpha = 1 - study.analysis.confidence_level
    names = [
        name
        for name in study.analysis.planned
        if name in ("fool_rate", "pairwise_differences", "mixed_model")
    ]
    for number in range(studies):
        rng = np.random.default_rng([maker.seed, study.study.seed, _SEED, number])
        drawn = simulator.draw(world(EQUAL, study, maker.point), rng)
        table = table_of(drawn, study)
        truth = dict(zip(study.conditions, drawn.truth, strict=True))
        # Another name for each study, so that each resamples anew.
        provenance = dataclasses.replace(maker.provenance, study=f"{study.id}/{number}")
        context = Context(provenance, n_resamples=RESAMPLES)
        found = [one for name in names for one in ANALYSES[name](table, study, context)]
        targets |= {one.key: one.provenance.target for one in found}
        _note(covered, _hits(found, truth))
        _note(rejected, _rejections(found, alpha))
    return [
        _share(maker, kind, key, values, targets[key])
        for kind, shares in (("coverage", covered), ("false_positive_rate", rejected))
        for key, values in shares.items()
    ]


def _note(shares: dict[str, list[float]], of_one: Mapping[str, Sequence[bool]]) -> None:
    """One study counts once, however many algorithms or contrasts it has."""
    for key, hits in of_one.items():
        shares[key].append(sum(hits) / len(hits))


def _hits(found: Sequence[Result], truth: Mapping[str, float]) -> dict[str, list[bool]]:
    """Whether each interval of an algorithm's rate contains the true one, by key."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in found:
        pooled = one.unit == "proportion" and one.condition in truth and not one.versus
        whole = one.run is None and not one.image
        if (
            pooled
            and whole
            and isinstance(one, Estimate)
            and one.interval is not None
            and one.key != "fool_rate"
        ):
            hits[one.key].append(one.interval.low <= truth[one.condition] <= one.interval.high)
    return hits


def _rejections(found: Sequence[Result], alpha: float) -> dict[str, list[bool]]:
    """Whether each test of a contrast rejects, by key."""
    rejected: dict[str, list[bool]] = defaultdict(list)
    for one in found:
        if isinstance(one, HypothesisTest) and one.condition and one.versus and one.p_value is not None:
            rejected[one.key].append(one.p_value < alpha)
    return rejected


def _share(maker: Maker, kind: str, key: str, values: Sequence[float], target: str) -> Estimate:
    method = (
        f"{key}; all algorithms equal, true rates as the study's target means them; {RESAMPLES} resamples"
    )
    planned = maker.study.analysis.target
    other = (
        f"{OTHER_TARGET} {target}, and held here against {planned}: what it misses or finds beyond the level is what"
        " differs between the two, no fault of its own."
    )
    notes = (other,) if target not in ("", planned) else ()
    record = maker.share(f"{kind}_of_planned", np.array(values), method, notes=notes)
    return dataclasses.replace(record, detail=f"{key} @ {maker.point.name}")
