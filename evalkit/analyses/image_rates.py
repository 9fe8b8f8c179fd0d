"""The fool rate of every single fake image, raw and shrunken."""

from dataclasses import dataclass

import numpy as np

from evalkit.analyses.base import Context, of_fakes
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Interval, Result
from evalkit.stats.shrinkage import beta_binomial_rates
from studies.design import Study

ALIKE = (
    "The images differ no more than chance makes them, so each is given the rate of all. That its interval has no width does"
    " not say that the image is known so well."
)


@dataclass(frozen=True)
class _Image:
    condition: str
    stimulus: str
    source: str
    run: int
    votes: int

    def estimate(
        self,
        key: str,
        value: float,
        method: str,
        interval: Interval | None = None,
        notes: tuple[str, ...] = (),
    ) -> Estimate:
        return Estimate(
            key=key,
            value=value,
            unit="proportion",
            method=method,
            n={"votes": self.votes},
            condition=self.condition,
            run=self.run,
            image=self.stimulus,
            detail=f"input {self.source}",
            interval=interval,
            notes=notes,
        )


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Two records per image: the raw share, and the share pulled toward its condition's mean.

    None where exposures follow the answers: votes that were given after different times do not add up to a rate.
    """
    if study.protocol.adapts_exposure:
        return []
    results: list[Result] = []
    for condition in study.conditions:
        results += _of_condition(table, condition, study.analysis.confidence_level)
    return results


def _of_condition(table: ResponseTable, condition: str, level: float) -> list[Result]:
    fakes = of_fakes(table.primary)
    groups = fakes[fakes["condition"] == condition].groupby("image", sort=True)
    if not groups.ngroups:
        return []
    fooled, votes = groups["fooled"].sum().to_numpy(), groups.size().to_numpy()
    sources, runs = groups["source_id"].first(), groups["run"].first()
    shrunken = beta_binomial_rates(fooled, votes, level)
    toward = f"{100 * shrunken.mean:.1f} %, which weighs as much as {shrunken.prior_votes:.1f} votes"
    results: list[Result] = []
    for place, (stimulus, source) in enumerate(sources.items()):
        image = _Image(condition, str(stimulus), str(source), int(runs.iloc[place]), int(votes[place]))
        bounds = Interval(
            float(shrunken.low[place]), float(shrunken.high[place]), level, "posterior quantiles"
        )
        results += [
            image.estimate(
                "image_fool_rate", float(fooled[place] / votes[place]), "share of the image's votes"
            ),
            image.estimate(
                "image_fool_rate_shrunken",
                float(shrunken.rates[place]),
                f"beta-binomial, empirical Bayes toward {toward}",
                bounds,
                () if np.isfinite(shrunken.prior_votes) else (ALIKE,),
            ),
        ]
    return results
