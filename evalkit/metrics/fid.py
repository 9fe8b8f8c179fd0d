"""Fréchet Inception distance, with its uncertainty and without its bias."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from evalkit.metrics.base import Array, Options, Quantity, Statistics, Value
from evalkit.metrics.frechet import distance_of_moments, influences, moments
from evalkit.metrics.inception import InceptionMetric
from evalkit.results import Interval
from studies.errors import UserError

FEW = 2048
"""Below it a covariance of 2048 features has not even full rank."""
REFERENCE_TOOL = 50
"""Images that the test script of pytorch-CycleGAN-and-pix2pix makes unless told otherwise (num_test)."""
ENOUGH_FOR_INFINITY = 2
"""Images of each set per feature from which halves of the sets have covariances of full rank."""

METHOD = "Fréchet distance of pool3 features (pytorch-fid's network and resize), double precision"
SPREAD = (
    "FID ± z · standard error of the infinitesimal jackknife (the bootstrap over images of {sets}, to first order);"
    " covers the spread from one draw of images to another, not FID's upward bias at this N"
)
LINE = "line in 1/N through FID of both sets whole and of their random halves (four pairs of halves), read off at 1/N = 0"
LINE_FOR_STATISTICS = "line in 1/N through FID of all fakes and of their two random halves against the reals' statistics, read off at 1/N = 0"
INFINITY_SPREAD = "FID∞ ± z · standard error of FID by the infinitesimal jackknife over images of {sets}"


class Fid(InceptionMetric):
    """FID and its extrapolation to infinitely many images.

    FID of N images lies above that of infinitely many by about a constant over N, which depends on the images. With
    heavy-tailed features of d = 512 dimensions, variances falling as (k + 10)^-1.5 and traces of 229, where the truth
    was 5.2, FID was on average 221 at N = 50, 94 at N = 250, 54 at N = d, 31 at 2 d, 14 at 6 d; `fid_infinity` was 155,
    45, 15.6, 7.0 and 5.46. Up to N = d it is useless; at 2 d it is too high by 1 to 4 of its spreads, which its interval
    just covers (mostly: 67 to 100 % of 12 to 60 draws); from 4 d on the interval covered the truth in 97 % or more
    of 60 draws (d = 128).
    Therefore it is withheld below 2 d = 4096 images of the smaller set. KID has no such bias at any N.

    In the same simulations the standard error was 0.9 to 1.25 times the true spread at N = 23 d and more, 1.1 to 1.6 times
    at 12 d, up to 2.6 times below (a bootstrap's was as much too large up to N = d): intervals of small sets are too
    wide, not too narrow.
    """

    name = "fid"
    quantities = (
        Quantity("fid", "FID", "distance", higher_is_better=False, decimals=2),
        Quantity("fid_infinity", "FID∞", "distance", higher_is_better=False, decimals=2),
    )
    source = (
        "Heusel et al. (2017), arXiv:1706.08500, as in pytorch-fid 0.3.0;"
        " fid_infinity: Chong & Forsyth (2020), arXiv:1911.07023"
    )
    takes_statistics = True

    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """FID, and by sub-sampling FID∞.

        Raises:
            UserError: A set has fewer than 2 images, or the statistics are of other features.
        """
        reals, fakes = found["reals"], found["fakes"]
        _check(reals, fakes)
        known = influences(reals, fakes)
        reach = NormalDist().inv_cdf(0.5 + options.confidence_level / 2) * known.standard_error
        sets = "the fakes (those of the reals are not known)" if known.reals is None else "both sets"
        values = []
        if "fid" in keys:
            low, high = max(known.distance - reach, 0.0), known.distance + reach
            interval = Interval(low, high, options.confidence_level, SPREAD.format(sets=sets))
            notes = _notes(reals, fakes)
            values.append(Value("fid", known.distance, METHOD, interval, known.standard_error, notes=notes))
        if "fid_infinity" in keys:
            values.append(_infinity(reals, fakes, known.distance, known.standard_error, options))
        return values


def extrapolated(reals: Array | Statistics, fakes: Array, whole: float, rng: np.random.Generator) -> float:
    """Fréchet distance of infinitely many images, by a line in 1/N.

    Two sizes, the whole sets and their halves, since a line is known best from its ends: many sizes between, as in
    the paper, gave the same mean and two to three times the spread. Halves are disjoint, and each half of one set
    meets each half of the other.

    Args:
        reals: (n, d) features, n at least 4, or Statistics, whose bias stays.
        fakes: (m, d) features, m at least 4.
        whole: Their Fréchet distance.
        rng: Draws the halves.

    Returns:
        May fall below 0 by chance where the sets are alike.

    Source:
        Chong & Forsyth (2020), "Effectively unbiased FID and Inception Score", arXiv:1911.07023, section 3.
    """
    parts = iter([reals]) if isinstance(reals, Statistics) else _halves(reals, rng)
    of_reals = [moments(part) for part in parts]
    of_fakes = [moments(part) for part in _halves(fakes, rng)]
    halves = [distance_of_moments(first, second) for first in of_reals for second in of_fakes]
    return 2 * whole - float(np.mean(halves))


def _halves(features: Array, rng: np.random.Generator) -> Iterator[Array]:
    order = rng.permutation(len(features))
    middle = len(features) // 2
    yield features[order[:middle]]
    yield features[order[middle:]]


def _infinity(reals: Array | Statistics, fakes: Array, whole: float, error: float, options: Options) -> Value:
    only_statistics = isinstance(reals, Statistics)
    method = LINE_FOR_STATISTICS if only_statistics else LINE
    fewest, needed = _fewest(reals, fakes), ENOUGH_FOR_INFINITY * fakes.shape[1]
    if fewest < needed:
        why = f"FID∞ needs at least {needed} images in each set and there are {fewest}: below, it is still far too high."
        return Value("fid_infinity", None, method, notes=(why,))
    value = extrapolated(reals, fakes, whole, np.random.default_rng(options.seed))
    reach = NormalDist().inv_cdf(0.5 + options.confidence_level / 2) * error
    sets = "the fakes" if only_statistics else "both sets"
    interval = Interval(
        value - reach, value + reach, options.confidence_level, INFINITY_SPREAD.format(sets=sets)
    )
    notes = []
    if fewest < 2 * needed:
        notes.append(f"From {fewest} images FID∞ can still be too high by as much as its interval.")
    if only_statistics:
        notes.append(
            "The reals are statistics, not images: the part of FID's bias that comes from them remains."
        )
    return Value("fid_infinity", value, method, interval, error, notes=tuple(notes), seed=options.seed)


def _fewest(reals: Array | Statistics, fakes: Array) -> int:
    """Size of the smaller set, as far as it is known."""
    n = reals.n if isinstance(reals, Statistics) else len(reals)
    return len(fakes) if n is None else min(n, len(fakes))


def _notes(reals: Array | Statistics, fakes: Array) -> tuple[str, ...]:
    fewest = _fewest(reals, fakes)
    notes = []
    if fewest < FEW:
        notes.append(
            f"N = {fewest} is below {FEW}: FID is far above its value for many images;"
            " compare it only with FIDs of the same N."
        )
    if fewest <= REFERENCE_TOOL:
        notes.append(
            f"N = {fewest}: the reference tool's default of 50 images (its option num_test) is far too few for FID."
        )
    if isinstance(reals, Statistics) and reals.n is None:
        notes.append("The statistics file does not say how many real images it was made from.")
    return tuple(notes)


def _check(reals: Array | Statistics, fakes: Array) -> None:
    for name, features in (("reals", reals), ("fakes", fakes)):
        if not isinstance(features, Statistics) and len(features) < 2:
            raise UserError(
                f"FID needs at least 2 images in each set; the {name} are {len(features)}. Add images."
            )
    if isinstance(reals, Statistics) and reals.mean.size != fakes.shape[1]:
        raise UserError(
            f"The real statistics are of {reals.mean.size} features, not of the {fakes.shape[1]} of pool3."
            " Make them anew with --dims 2048 of pytorch-fid, or with --write-npz."
        )
