"""The Laplace likelihood of a mixed logistic model, its gradient, and the search for its maximum."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize, special

from evalkit.stats.crossed_effects import CrossedGroups, Factor, FloatArray

SMALLEST_SD, LARGEST_SD = 0.02, 8.0
"""Where the search for a standard deviation ends, in logits."""
ZERO_SD = 0.05
"""A standard deviation below this moves a rate by about a percentage point: the group is left out, its SD is 0."""
SMALL_SD = 0.3
"""Below this a search may stop on the flat way to 0."""
STARTS = (0.7, 0.2, 1.5)
"""Standard deviations that the search begins with, one after the other until one converges."""
CONVERGED = 1e-4
"""Log-likelihood that a Newton step from the end could still win."""


@dataclass
class LaplaceLikelihood:
    """The negative log-likelihood of (β, log σ) and its gradient; remembers the effects as the next start."""

    y: FloatArray
    x: FloatArray
    groups: CrossedGroups | None
    prior: FloatArray
    """Precision of each coefficient's normal prior; 0 = none."""
    effects: FloatArray = field(default_factory=lambda: np.zeros(0))
    factor: Factor | None = None

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin the next search for the effects at 0."""
        self.effects = np.zeros(sum(self.groups.sizes) if self.groups else 0)

    def __call__(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Value and gradient at (β, log σ).

        Source:
            Kristensen et al. (2016), J. Stat. Softw. 70(5), equations 5 and 8.
        """
        beta, log_sds = point[: self.x.shape[1]], point[self.x.shape[1] :]
        linear = self.x @ beta
        penalty, pull = 0.5 * float(self.prior @ beta**2), self.prior * beta
        if self.groups is None:
            return (
                penalty - _log_likelihood(self.y, linear),
                pull + self.x.T @ (special.expit(linear) - self.y),
            )
        groups, variances = self.groups, np.exp(2 * log_sds)
        precisions = np.repeat(1 / variances, groups.sizes)
        eta, factor = self._mode(linear, precisions)
        u, mu = self.effects, special.expit(eta)
        weights = mu * (1 - mu)
        value = (
            penalty
            - _log_likelihood(self.y, eta)
            + 0.5 * float(precisions @ u**2)
            + float(np.dot(groups.sizes, log_sds))
            + 0.5 * factor.log_determinant
        )
        # How the determinant moves with each trial's linear predictor, directly and through the mode.
        bend = 0.5 * weights * (1 - 2 * mu) * factor.leverages()
        through = factor.solve(groups.gather(bend))
        by_beta = self.x.T @ (mu - self.y + bend - weights * groups.spread(through))
        spent = (u**2 + factor.inverse_diagonal - 2 * through * u) * precisions
        by_sd = np.array([part.stop - part.start - spent[part].sum() for part in groups.slices])
        self.factor = factor
        return value, np.concatenate((by_beta + pull, by_sd))

    def _mode(self, linear: FloatArray, precisions: FloatArray) -> tuple[FloatArray, Factor]:
        """Newton's method with step-halving for the most likely effects; leaves them in `effects`."""
        assert self.groups is not None
        u = self.effects
        eta = linear + self.groups.spread(u)
        value = 0.5 * float(precisions @ u**2) - _log_likelihood(self.y, eta)
        for _ in range(50):
            mu = special.expit(eta)
            factor = self.groups.factor(mu * (1 - mu), precisions)
            slope = self.groups.gather(self.y - mu) - precisions * u
            step = factor.solve(slope)
            if float(slope @ step) < 1e-14 * len(u):
                break
            size = 1.0
            while size > 1e-6:
                tried = u + size * step
                tried_eta = linear + self.groups.spread(tried)
                tried_value = 0.5 * float(precisions @ tried**2) - _log_likelihood(self.y, tried_eta)
                if tried_value <= value + 1e-12 * abs(value):
                    break
                size /= 2
            u, eta, value = tried, tried_eta, tried_value
        self.effects = u
        return eta, factor


@dataclass(frozen=True)
class Maximum:
    """Where a search ended."""

    model: LaplaceLikelihood
    point: FloatArray
    value: float
    covariance: FloatArray
    converged: bool

    @property
    def standard_deviations(self) -> dict[str, float]:
        """Of each group, in logits."""
        names = self.model.groups.names if self.model.groups else ()
        return dict(zip(names, np.exp(self.point[self.model.x.shape[1] :]).tolist(), strict=True))

    @property
    def vanishing(self) -> list[str]:
        """Groups without visible variance: near 0, or no worse there where the search found no end."""
        return [
            name
            for name, sd in self.standard_deviations.items()
            if sd < ZERO_SD
            or (not self.converged and sd < SMALL_SD and self._without(name) < self.value + CONVERGED)
        ]

    def _without(self, group: str) -> float:
        """The negative log-likelihood with one group's standard deviation at its lower end."""
        point = self.point.copy()
        point[self.model.x.shape[1] + list(self.standard_deviations).index(group)] = math.log(SMALLEST_SD)
        return self.model(point)[0]


def maximum(model: LaplaceLikelihood, ladder: list[str], begin: Maximum | None = None) -> Maximum:
    """The best point, from one start after the other until a search converges.

    A search that ends with a standard deviation near 0 is not finished, since its group is going to be left out.

    Args:
        model: Whose likelihood.
        ladder: Where starts that failed are told.
        begin: Of the same coefficients with at least the groups of `model`; where the first search begins.
    """
    size = model.x.shape[1]
    names = model.groups.names if model.groups else ()
    bounds = [(None, None)] * size + [(math.log(SMALLEST_SD), math.log(LARGEST_SD))] * len(names)
    plain = _without_effects(model)
    starts = [np.concatenate((plain, np.full(len(names), math.log(sd)))) for sd in STARTS]
    if begin is not None:
        known = [math.log(begin.standard_deviations[name]) for name in names]
        starts.insert(0, np.concatenate((begin.point[:size], known)))
    for start in starts:
        model.forget()
        found = optimize.minimize(
            model,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": 300, "ftol": 1e-9, "gtol": 1e-2, "maxcor": 20},
        )
        point = np.asarray(found.x, dtype=np.float64)
        fit = Maximum(model, point, float(found.fun), np.zeros((len(point), len(point))), converged=False)
        if fit.vanishing:
            return fit
        fit = _polished(model, point)
        if fit.converged or fit.vanishing or not names:
            return fit
        ladder.append(
            f"Did not converge from {', '.join(f'{sd:.2g}' for sd in np.exp(start[size:]))}; begun again."
        )
    return fit


def _without_effects(model: LaplaceLikelihood) -> FloatArray:
    """Coefficients of the plain logistic regression, kept within bounds by a weak prior."""
    plain = LaplaceLikelihood(model.y, model.x, None, np.maximum(model.prior, 1e-3))
    found = optimize.minimize(
        plain, np.zeros(model.x.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-5}
    )
    return np.asarray(found.x, dtype=np.float64)


def _polished(model: LaplaceLikelihood, point: FloatArray) -> Maximum:
    """A few Newton steps with the differences of the gradient as Hessian, which then gives the covariance."""
    value, slope = model(point)
    hessian = _hessian(model, point, slope)
    try:
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        return Maximum(
            model, point, value, np.asarray(np.linalg.pinv(hessian), dtype=np.float64), converged=False
        )
    covariance = np.asarray(np.linalg.inv(hessian), dtype=np.float64)
    for _ in range(4):
        step = covariance @ slope
        if float(slope @ step) / 2 < CONVERGED**2:
            break
        tried, tried_slope = model(point - step)
        if not tried <= value + CONVERGED**2:
            break
        point, value, slope = point - step, tried, tried_slope
    value, slope = model(point)  # leaves the effects of this very point behind
    return Maximum(
        model, point, value, covariance, converged=float(slope @ covariance @ slope) / 2 < CONVERGED
    )


def _hessian(model: LaplaceLikelihood, point: FloatArray, slope: FloatArray) -> FloatArray:
    """By forward differences of the gradient `slope`."""
    size = 1e-4
    rows = [(model(point + step)[1] - slope) / size for step in size * np.eye(len(point))]
    hessian = np.array(rows)
    return np.asarray((hessian + hessian.T) / 2, dtype=np.float64)


def _log_likelihood(y: FloatArray, linear: FloatArray) -> float:
    return float(y @ linear - np.logaddexp(0.0, linear).sum())
