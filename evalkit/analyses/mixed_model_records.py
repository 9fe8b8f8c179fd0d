"""The numbers of a fitted mixed logistic model as records."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special, stats

from evalkit.analyses.base import run_notes, with_sizes
from evalkit.analyses.targets import about
from evalkit.results import Estimate, Interval
from evalkit.stats.mixed_logistic import MixedFit, marginal_rate
from studies.design import Study

FloatArray = npt.NDArray[np.float64]

METHOD = "mixed logistic model with crossed random intercepts, Laplace approximation"
EFFECTS = {
    "fake_left": "fake on the left, against on the right",
    "fake_first": "fake shown first, against second",
    "order": "last trial of the session, against the first",
}
BY_ALGORITHM = "source_images_by_algorithm"
LEVELS = {"workers": "worker", "source_images": "source_id"}
"""Groups without which there is no interval, and the column that holds their levels."""


@dataclass(frozen=True)
class Model:
    """A fit and what it was made from."""

    trials: pd.DataFrame
    study: Study
    fit: MixedFit
    conditions: list[str]

    @property
    def level(self) -> float:
        """Confidence level."""
        return self.study.analysis.confidence_level

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why there is no interval, if so."""
        few = tuple(
            f"No interval: it needs two {name.replace('_', ' ')}."
            for name, column in LEVELS.items()
            if self.trials[column].nunique() < 2
        )
        return few if self.fit.converged else (*few, "No interval: the fit did not converge.")

    @property
    def target(self) -> str:
        """What the intervals are about, whatever the study's target: the model takes its groups for samples."""
        return "this loss" if "runs" in self.fit.standard_deviations else "this generator"

    def notes(self, *more: str) -> tuple[str, ...]:
        """What lacks, what was simplified, and more."""
        return (*self.lacking, *self.fit.ladder, *more)

    def summary(self) -> Estimate:
        """The fit as a whole, with the ladder of what had to be simplified."""
        return Estimate(
            key="mixed_model_fit",
            value=self.fit.log_likelihood,
            unit="log-likelihood",
            method=f"{METHOD}; fixed: {', '.join(self.fit.names)}; random: {', '.join(self.fit.effects) or 'none'}",
            n=self._sizes(self.trials),
            notes=self.notes(),
        )

    def rate(self, condition: str) -> Estimate:
        """The fool rate over workers and images, in the middle of the session, sides and order balanced."""
        place = self.fit.names.index(condition)
        logit, error = self.fit.delta(lambda beta, sds: _logit_of_marginal(beta[place], sds))
        own = self.trials[self.trials["condition"] == condition]
        freedom = self._freedom([condition])
        half = float(stats.t.ppf(0.5 + self.level / 2, freedom)) * error if freedom else math.inf
        low, high = (float(special.expit(logit + sign * half)) for sign in (-1, 1))
        rate = float(special.expit(logit))
        method = (
            f"{METHOD}; marginal rate, delta method on the logit scale, t with {freedom} degrees of freedom"
        )
        found = Estimate(
            key="fool_rate_mixed",
            value=rate,
            unit="proportion",
            method=method,
            n=self._sizes(own),
            condition=condition,
            interval=None
            if self.lacking or not freedom
            else Interval(low, high, self.level, method, freedom),
            standard_error=None if self.lacking else error * rate * (1 - rate),
            notes=self.notes(*run_notes(self.study)),
        )
        return about(found, self.target)

    def difference(self, first: str, second: str) -> Estimate:
        """The difference of two marginal rates."""
        places = [self.fit.names.index(name) for name in (first, second)]

        def quantity(beta: FloatArray, sds: FloatArray) -> float:
            one, other = (special.expit(_logit_of_marginal(beta[place], sds)) for place in places)
            return float(one - other)

        value, error = self.fit.delta(quantity)
        both = self.trials[self.trials["condition"].isin([first, second])]
        method = f"{METHOD}; difference of marginal rates, delta method"
        found = Estimate(
            key="fool_rate_difference_mixed",
            value=value,
            unit="proportion",
            method=method,
            n=self._sizes(both),
            condition=first,
            versus=second,
            interval=self._interval(value, error, self._freedom([first, second]), method),
            standard_error=None if self.lacking else error,
            notes=self.notes(
                "Interval of this contrast alone, not adjusted for the number of contrasts.",
                *run_notes(self.study),
            ),
        )
        return about(found, self.target)

    def fixed(self, name: str) -> Estimate:
        """A bias that all algorithms share, in logits of being fooled."""
        place = self.fit.names.index(name)
        value, error = float(self.fit.coefficients[place]), float(self.fit.standard_errors[place])
        return Estimate(
            key=f"{name}_effect",
            value=value,
            unit="logit",
            method=f"{METHOD}; Wald",
            n=self._sizes(self.trials),
            detail=EFFECTS[name],
            interval=self._interval(value, error, self._freedom(self.conditions), f"{METHOD}; Wald, t"),
            standard_error=None if self.lacking else error,
            notes=self.notes(),
        )

    def spreads(self, groups: list[str]) -> list[Estimate]:
        """The standard deviation of each group; of images over several algorithms the whole one and its two parts."""
        if BY_ALGORITHM not in groups:
            return [self.spread(name, name) for name in groups]
        parts = [self.fit.standard_deviations.get(name, 0.0) for name in ("source_images", BY_ALGORITHM)]
        names = {"source_images": "source_images_shared"}
        whole = Estimate(
            key="standard_deviation",
            value=math.hypot(*parts) if len(self.fit.standard_deviations) else None,
            unit="logit",
            method=f"{METHOD}; of the shared and the algorithm's own part together",
            n=self._sizes(self.trials),
            detail="source_images",
            notes=() if len(self.fit.standard_deviations) else ("No group could be fitted.",),
        )
        return [whole, *(self.spread(name, names.get(name, name)) for name in groups)]

    def spread(self, group: str, detail: str) -> Estimate:
        """The standard deviation of a group's effects, with an interval on the log scale."""
        value = self.fit.standard_deviations.get(group)
        interval, error = None, None
        notes = [note for note in self.fit.ladder if group in note.split()]
        if group in self.fit.effects and value is not None and self.fit.converged:
            place = len(self.fit.names) + list(self.fit.effects).index(group)
            on_log = math.sqrt(max(float(self.fit.covariance[place, place]), 0.0))
            error = value * on_log
            reach = math.exp(float(stats.norm.ppf(0.5 + self.level / 2)) * min(on_log, 300.0))
            if on_log < 2:
                interval = Interval(value / reach, value * reach, self.level, "Wald on the log scale")
            else:
                notes.append("No interval: the trials hardly tell how large it is.")
        return Estimate(
            key="standard_deviation",
            value=value,
            unit="logit",
            method=f"{METHOD}; maximum likelihood",
            n=self._sizes(self.trials),
            detail=detail,
            interval=interval,
            standard_error=error,
            notes=tuple(notes) or (() if value is not None else (f"{group} could not be fitted.",)),
        )

    def _interval(self, value: float, error: float, freedom: int, method: str) -> Interval | None:
        if self.lacking or not freedom:
            return None
        half = float(stats.t.ppf(0.5 + self.level / 2, freedom)) * error
        return Interval(value - half, value + half, self.level, method, freedom)

    def _freedom(self, conditions: list[str]) -> int:
        """The fewest workers or source images that any of the algorithms has, or all training runs, less one each."""
        own = [self.trials[self.trials["condition"] == name] for name in conditions]
        fewest = min(trials[column].nunique() - 1 for trials in own for column in LEVELS.values())
        if "runs" in self.fit.standard_deviations:
            runs = self.trials[["condition", "run"]].drop_duplicates()
            fewest = min(fewest, len(runs) - len(self.conditions))
        return max(fewest, 0)

    def _sizes(self, trials: pd.DataFrame) -> Mapping[str, int]:
        known = {"trials": len(trials), "source_images": int(trials["source_id"].nunique())}
        return with_sizes(Estimate(key="", value=None, unit="", method="", n=known), trials)


def _logit_of_marginal(linear: float, sds: FloatArray) -> float:
    return float(special.logit(marginal_rate(float(linear), math.sqrt(float(sds @ sds)))))


def image_records(model: Model) -> list[Estimate]:
    """The fool rate of each image over workers, pulled toward the others as far as its votes are few."""
    shared, own = model.fit.effects.get("source_images"), model.fit.effects.get(BY_ALGORITHM)
    if shared is None and own is None:
        return []
    known = {
        name: dict(
            zip(
                effects.levels.tolist(),
                zip(effects.shrunken, effects.standard_errors, strict=True),
                strict=True,
            )
        )
        for name, effects in (("source", shared), ("own", own))
        if effects is not None
    }
    images = ("source_images", BY_ALGORITHM)
    others = math.sqrt(sum(sd**2 for name, sd in model.fit.standard_deviations.items() if name not in images))
    reach = float(stats.norm.ppf(0.5 + model.level / 2))
    method = f"{METHOD}; image effect shrunken by the model, over workers; Wald on the logit scale"
    results: list[Estimate] = []
    for (condition, source), votes in model.trials.groupby(["condition", "source_id"], sort=True):
        beta = float(model.fit.coefficients[model.fit.names.index(str(condition))])
        parts = [
            known[name][key]
            for name, key in (("source", source), ("own", f"{condition}/{source}"))
            if name in known
        ]
        effect = beta + sum(float(value) for value, _ in parts)
        error = math.sqrt(sum(float(spread) ** 2 for _, spread in parts))
        shown = votes["image"].unique()
        low, rate, high = (marginal_rate(effect + sign * reach * error, others) for sign in (-1, 0, 1))
        results.append(
            Estimate(
                key="image_fool_rate_mixed",
                value=rate,
                unit="proportion",
                method=method,
                n={"votes": len(votes)},
                condition=str(condition),
                image=str(shown[0]) if len(shown) == 1 else "",
                detail=f"input {source}",
                interval=Interval(low, high, model.level, method),
                notes=() if len(shown) == 1 else ("Of its images of all training runs together.",),
            )
        )
    return results


def worker_records(model: Model) -> list[Estimate]:
    """Each worker's effect: above 0 is fooled more often than a typical worker."""
    effects = model.fit.effects.get("workers")
    if effects is None:
        return []
    votes = model.trials.groupby("worker").size()
    reach = float(stats.norm.ppf(0.5 + model.level / 2))
    return [
        Estimate(
            key="worker_effect",
            value=float(value),
            unit="logit",
            method=f"{METHOD}; shrunken worker effect",
            n={"trials": int(votes[worker])},
            detail=str(worker),
            interval=Interval(
                value - reach * error, value + reach * error, model.level, "normal, given the model"
            ),
            standard_error=float(error),
        )
        for worker, value, error in zip(
            effects.levels.tolist(),
            effects.shrunken.tolist(),
            effects.standard_errors.tolist(),
            strict=True,
        )
    ]
