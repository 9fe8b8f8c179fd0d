"""Logistic regression with crossed random intercepts (workers, images, training runs), by Laplace's approximation.

logit P(y = 1) = xβ + Σ_g u_g, u_g ~ N(0, σ_g²) for every level of every group. β is about one typical worker and image;
`marginal_rate` averages over them.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from evalkit.stats.crossed_effects import CrossedGroups, FloatArray
from evalkit.stats.laplace import LaplaceLikelihood, Maximum, maximum

SEPARATED, UNKNOWN = 10.0, 3.0
"""A coefficient or a standard error beyond these, in logits: a column tells the outcome (nearly) without error, or there
are too few trials to say anything of it."""
PRIOR_SD = 2.5
"""Of the normal prior that keeps such coefficients finite. Source: scale as in Gelman et al. (2008), Ann. Appl. Stat. 2."""
MOST_LEVELS = 4000
"""Of all groups but the largest: beyond it the dense factor needs more than 128 MB."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)


@dataclass(frozen=True)
class Effects:
    """The estimated effect of each level of a group, pulled toward 0 as far as its trials are few."""

    levels: npt.NDArray[np.generic]
    shrunken: FloatArray
    """In logits, shape (levels,)."""
    standard_errors: FloatArray
    """Given coefficients and standard deviations."""


@dataclass(frozen=True)
class MixedFit:
    """A fitted model."""

    names: tuple[str, ...]
    """Of the coefficients."""
    coefficients: FloatArray
    """In logits, shape (p,)."""
    standard_errors: FloatArray
    """From the Hessian of all parameters, shape (p,)."""
    standard_deviations: Mapping[str, float]
    """Of each group's effects, in logits; 0 where none was seen; a group that could not be fitted is not there."""
    covariance: FloatArray
    """Of coefficients and log standard deviations (of the groups in `effects`, in its order)."""
    effects: Mapping[str, Effects]
    """Of the groups whose standard deviation is above 0."""
    log_likelihood: float
    """Laplace's approximation of it, with the binomial constant left out."""
    converged: bool
    ladder: tuple[str, ...] = ()
    """What had to be simplified for the fit, in order; empty if nothing."""

    @property
    def total_sd(self) -> float:
        """Of all random effects together, in logits."""
        return math.sqrt(sum(sd**2 for sd in self.standard_deviations.values()))

    def delta(self, quantity: Callable[[FloatArray, FloatArray], float]) -> tuple[float, float]:
        """A quantity and its standard error by the delta method.

        Args:
            quantity: Function of coefficients, shape (p,), and standard deviations (of the groups in `effects`).
        """
        size = len(self.coefficients)
        sds = np.array([self.standard_deviations[name] for name in self.effects])
        point = np.concatenate((self.coefficients, np.log(sds)))

        def at(parameters: FloatArray) -> float:
            return quantity(parameters[:size], np.exp(parameters[size:]))

        steps = 1e-4 * np.eye(len(point))
        slope = np.array([(at(point + step) - at(point - step)) / 2e-4 for step in steps])
        return at(point), math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))


def marginal_rate(linear: float, sd: float) -> float:
    """∫ logit⁻¹(linear + sd z) φ(z) dz: the rate over workers and images, where `linear` is that of a typical one.

    Source:
        Zeger, Liang & Albert (1988), Biometrics 44, 1049-1060, section 2; here by Gauss-Hermite with 61 nodes.
    """
    return float(_WEIGHTS @ special.expit(linear + sd * _NODES) / math.sqrt(2 * math.pi))


def fit_mixed_logistic(
    outcomes: npt.ArrayLike,
    fixed: npt.ArrayLike,
    groups: Mapping[str, npt.ArrayLike],
    names: Sequence[str] = (),
) -> MixedFit:
    """Fit coefficients and standard deviations by maximum (Laplace) likelihood.

    Where the data do not bear the model it is simplified step by step, and `ladder` says how: columns and groups that
    cannot be told apart are left out, so are groups without visible variance; coefficients that run away get a prior.

    Args:
        outcomes: Shape (n,), each in [0, 1]; 0.5 counts as half a yes.
        fixed: Shape (n, p): the design, intercept included.
        groups: Name -> one id per trial, shape (n,).
        names: Of the columns of `fixed`; numbered if empty.

    Raises:
        ValueError: Shapes differ, an outcome is outside [0, 1], the design is not finite, or there are no trials.

    Source:
        Model and approximation: Breslow & Clayton (1993), J. Am. Stat. Assoc. 88, equations 1-5; gradient: Kristensen
        et al. (2016), J. Stat. Softw. 70(5), equation 8. The ladder is ours.
    """
    y, x, columns = _checked(outcomes, fixed, names)
    ladder: list[str] = []
    x, columns = _independent(x, columns, ladder)
    kept = _fittable(groups, len(y), ladder)
    constant = bool(np.all(y == y[0]))
    if constant:
        ladder.append("Every outcome is the same: nothing can be estimated but that.")
        kept = {}
    vanished: dict[str, float] = {}
    prior, fit = np.zeros(len(columns)), None
    while True:
        model = LaplaceLikelihood(y, x, CrossedGroups.of(kept) if kept else None, prior)
        fit = maximum(model, ladder, begin=fit)
        errors = np.sqrt(np.abs(np.diag(fit.covariance)[: len(columns)]))
        far = (np.abs(fit.point[: len(columns)]) > SEPARATED) | (errors > UNKNOWN)
        gone = fit.vanishing
        if not prior.any() and (bool(far.any()) or constant):
            ladder.append(
                f"Separation by {', '.join(itertools.compress(columns, far)) or columns[0]}: normal priors with SD"
                f" {PRIOR_SD:g} logits keep the coefficients finite."
            )
            prior, fit = np.full(len(columns), PRIOR_SD**-2), None
        elif gone or (kept and not fit.converged):
            name = min(gone or fit.standard_deviations, key=fit.standard_deviations.__getitem__)
            why = (
                "no variance beyond chance (SD 0)"
                if gone
                else "the fit did not converge with it (not fitted)"
            )
            ladder.append(f"{name} left out: {why}.")
            kept = {one: ids for one, ids in kept.items() if one != name}
            vanished |= {name: 0.0} if gone else {}
        else:
            return _as_fit(fit, columns, vanished, tuple(ladder), converged=fit.converged and not constant)


def _as_fit(
    fit: Maximum,
    columns: tuple[str, ...],
    vanished: Mapping[str, float],
    ladder: tuple[str, ...],
    *,
    converged: bool,
) -> MixedFit:
    model, size = fit.model, len(columns)
    effects: dict[str, Effects] = {}
    if model.groups is not None and model.factor is not None:
        errors = np.sqrt(model.factor.inverse_diagonal)
        for name, levels, part in zip(
            model.groups.names, model.groups.levels, model.groups.slices, strict=True
        ):
            effects[name] = Effects(levels, model.effects[part], errors[part])
    return MixedFit(
        names=columns,
        coefficients=fit.point[:size],
        standard_errors=np.sqrt(np.maximum(np.diag(fit.covariance)[:size], 0.0)),
        standard_deviations={**fit.standard_deviations, **vanished},
        covariance=fit.covariance,
        effects=effects,
        log_likelihood=-fit.value,
        converged=converged,
        ladder=ladder,
    )


def _checked(
    outcomes: npt.ArrayLike, fixed: npt.ArrayLike, names: Sequence[str]
) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    y, x = np.asarray(outcomes, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    if y.ndim != 1 or not y.size:
        raise ValueError(f"outcomes must have one dimension and at least one trial, got shape {y.shape}")
    if not bool(np.all((y >= 0) & (y <= 1))):
        raise ValueError("outcomes must lie in [0, 1]; leave missing answers out")
    if x.ndim != 2 or len(x) != len(y) or not x.shape[1] or not bool(np.isfinite(x).all()):
        raise ValueError(f"fixed must be finite, of shape ({len(y)}, p), got shape {x.shape}")
    columns = tuple(names) or tuple(f"x{place}" for place in range(x.shape[1]))
    if len(columns) != x.shape[1]:
        raise ValueError(f"names must name the {x.shape[1]} columns of fixed, got {len(columns)}")
    return y, x, columns


def _independent(
    x: FloatArray, columns: tuple[str, ...], ladder: list[str]
) -> tuple[FloatArray, tuple[str, ...]]:
    """Without columns that are a sum of those before them."""
    kept: list[int] = []
    cross = x.T @ x
    for place in range(x.shape[1]):
        # What is left of the column after regression on those kept, in parts of its own length.
        inside = cross[np.ix_(kept, kept)]
        fitted = np.linalg.solve(inside, cross[kept, place]) if kept else np.zeros(0)
        left = cross[place, place] - float(cross[kept, place] @ fitted)
        if left > 1e-8 * max(cross[place, place], 1e-300) and cross[place, place] > 0:
            kept.append(place)
        else:
            ladder.append(f"{columns[place]} left out: the columns before it say the same.")
    if not kept:
        raise ValueError("fixed has no column that is not zero")
    return x[:, kept], tuple(columns[place] for place in kept)


def _fittable(
    groups: Mapping[str, npt.ArrayLike], trials: int, ladder: list[str]
) -> dict[str, npt.NDArray[np.generic]]:
    """The groups whose variance the trials can show."""
    kept: dict[str, npt.NDArray[np.generic]] = {}
    coded: dict[str, npt.NDArray[np.int64]] = {}
    counts: dict[str, int] = {}
    for name, ids in groups.items():
        array = np.asarray(ids)
        if array.shape != (trials,):
            raise ValueError(f"groups[{name!r}] must have shape ({trials},), got {array.shape}")
        levels, codes = np.unique(array, return_inverse=True)
        count = len(levels)
        twin = next(
            (
                one
                for one, other in coded.items()
                if counts[one] == count and len(np.unique(other * count + codes)) == count
            ),
            None,
        )
        if count < 2:
            ladder.append(f"{name} left out: fewer than two (not fitted).")
        elif count == trials:
            ladder.append(f"{name} left out: one trial each (not fitted).")
        elif twin:
            ladder.append(f"{name} left out: the same as {twin} (not fitted).")
        else:
            kept[name], coded[name], counts[name] = array, codes.astype(np.int64), count
    while sum(counts.values()) - max(counts.values(), default=0) > MOST_LEVELS:
        name = max(list(counts)[1:], key=lambda one: counts[one])
        ladder.append(
            f"{name} left out: {counts[name]} levels beside the other groups' are too many (not fitted)."
        )
        del kept[name], counts[name]
    return kept
