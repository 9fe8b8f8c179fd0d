"""Fool rates and their differences from plain tables of answers, without a study around them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.results import Estimate, HypothesisTest
from evalkit.stats.difference_tests import clustered_test
from evalkit.stats.permutation import Permutation, permute_labels, permute_workers
from evalkit.stats.proportions import clustered_difference
from evalkit.stats.rate_methods import RATE_METHODS, Draws, rate_by
from evalkit.stats.resampling import FEWEST
from studies.errors import UserError, did_you_mean

Table = pd.DataFrame | Mapping[str, npt.ArrayLike]
"""A data frame, or arrays of equal length by name; one row per trial."""
Method = Literal["clustered", "worker_averaged", "workers", "pigeonhole", "worker_bootstrap", "amt2020"]


@dataclass(frozen=True)
class _Answers:
    """The answered rows of a table."""

    outcomes: npt.NDArray[np.float64]
    ids: Mapping[str, npt.NDArray[np.generic]]
    missing: int


def fool_rate(
    table: Table,
    method: Method = "clustered",
    *,
    fooled: str = "fooled",
    worker: str = "worker",
    image: str = "image",
    real_image: str | None = None,
    confidence_level: float = 0.95,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """The fool rate of one algorithm, with its interval.

    Args:
        table: A data frame, or arrays by name; one row per trial.
        method: `clustered`: pooled, multi-way clustered by worker and image (and real image), about this generator.
            `workers`: the same clustered by worker alone, about these images. `worker_averaged`: mean of the workers'
            own rates, about these images. `pigeonhole`: bootstrap of workers and images, about this generator.
            `worker_bootstrap`: bootstrap of workers, about these images. `amt2020`: mean ± SD of the nested bootstrap
            of AMT_Real_vs_Fake's `process_csv.py`, to compare with published numbers.
        fooled: Column with 1 where the fake was taken for real, 0 where not, 0.5 unsure, NaN missing. Missing answers
            are counted and never scored.
        worker: Column with who answered.
        image: Column with the image (or its source); not looked at by methods about these images.
        real_image: Column with the real partner, where fake and real come from different inputs.
        confidence_level: Between 0 and 1.
        n_resamples: Draws of a bootstrap, at least 100.
        seed: Of a bootstrap; the same seed gives the same interval.

    Returns:
        The estimate, in proportions; `n` counts trials, workers, images and missing answers.

    Raises:
        UserError: A column is not in the table, a value of `fooled` is no number between 0 and 1, or there is no such
            method.

    >>> answers = {"fooled": [1, 0, 0, 1, 0, None], "worker": list("aabbcc"), "image": list("xyxyxy")}
    >>> found = fool_rate(answers)
    >>> found.value, found.n["missing"]
    (0.4, 1)
    >>> fool_rate(answers, method="amt2020", n_resamples=1000).seed
    0

    Source:
        `evalkit.stats.rate_methods.RATE_METHODS`, where each method names its own.
    """
    if method not in RATE_METHODS:
        raise UserError(f"no method is called {method!r}.{did_you_mean(method, RATE_METHODS)}")
    recipe = RATE_METHODS[method]
    images = {} if recipe.workers_only else {"source_images": image}
    partners = {"real_images": real_image} if real_image and not recipe.workers_only else {}
    answers = _answers(table, fooled, {"workers": worker, **images, **partners})
    if recipe.is_random and n_resamples < FEWEST:
        raise UserError(f"n_resamples = {n_resamples}: at least {FEWEST} are needed for an interval.")
    draws = Draws(np.random.default_rng(seed), n_resamples)
    found = rate_by(method, answers.outcomes, answers.ids, confidence_level, draws)
    return dataclasses.replace(
        found,
        key="fool_rate",
        n={**found.n, "missing": answers.missing},
        seed=seed if recipe.is_random else None,
    )


def fool_rate_difference(
    first: Table,
    second: Table,
    *,
    fooled: str = "fooled",
    worker: str = "worker",
    image: str = "image",
    real_image: str | None = None,
    confidence_level: float = 0.95,
) -> Estimate:
    """The fool rate of one algorithm minus that of another, with its clustered interval.

    Equal ids in both tables are the same worker or the same image: give the input's name in `image` where both
    algorithms translated the same inputs, and workers of different sessions different names.

    Args:
        first: Answers to one algorithm's images, as for `fool_rate`.
        second: Answers to the other's.
        fooled: As for `fool_rate`; so are the other columns.
        worker: Column with who answered.
        image: Column with the input of the image.
        real_image: Column with the real partner.
        confidence_level: Between 0 and 1.

    Returns:
        The estimate, in proportions: 0.05 is five percentage points in favour of the first.

    Raises:
        UserError: As `fool_rate`.

    >>> one = {"fooled": [1, 1, 0, 1], "worker": list("aabb"), "image": list("xyxy")}
    >>> two = {"fooled": [0, 1, 0, 0], "worker": list("ccdd"), "image": list("xyxy")}
    >>> fool_rate_difference(one, two).value
    0.5

    Source:
        `evalkit.stats.proportions.clustered_difference`.
    """
    names = {"workers": worker, "source_images": image} | ({"real_images": real_image} if real_image else {})
    one, two = _answers(first, fooled, names), _answers(second, fooled, names)
    found = clustered_difference((one.outcomes, two.outcomes), (one.ids, two.ids), confidence_level)
    missing = one.missing + two.missing
    return dataclasses.replace(found, key="fool_rate_difference", n={**found.n, "missing": missing})


def fool_rate_test(
    first: Table,
    second: Table,
    method: Literal["clustered", "permutation"] = "clustered",
    *,
    fooled: str = "fooled",
    worker: str = "worker",
    image: str = "image",
    real_image: str | None = None,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> HypothesisTest:
    """Test that two algorithms fool equally often.

    Args:
        first: As for `fool_rate_difference`; so are the columns.
        second: Answers to the other algorithm's images.
        method: `clustered`: by the clustered difference, about these generators. `permutation`: whole workers are
            dealt anew, or labels swapped within workers where the same people saw both; about these images.
        fooled: Column with the outcome.
        worker: Column with who answered.
        image: Column with the input of the image.
        real_image: Column with the real partner.
        n_resamples: Permutations.
        seed: Of the permutations.

    Raises:
        UserError: As `fool_rate`, or some but not all workers are in both tables and a permutation is asked for.

    >>> one = {"fooled": [1, 1, 1, 1] * 5, "worker": list("abcde") * 4, "image": list("xyzuv") * 4}
    >>> two = {"fooled": [0, 1, 0, 0] * 5, "worker": list("fghij") * 4, "image": list("xyzuv") * 4}
    >>> fool_rate_test(one, two, "permutation", n_resamples=999).p_value < 0.02
    True

    Source:
        `evalkit.stats.difference_tests`, `evalkit.stats.permutation`.
    """
    names = {"workers": worker, "source_images": image} | ({"real_images": real_image} if real_image else {})
    one, two = _answers(first, fooled, names), _answers(second, fooled, names)
    if method == "clustered":
        found = clustered_test((one.outcomes, two.outcomes), (one.ids, two.ids))
    elif method == "permutation":
        found = _permuted(one, two, np.random.default_rng(seed), n_resamples).as_test()
        found = dataclasses.replace(found, seed=seed)
    else:
        raise UserError(f"no method is called {method!r}. Allowed: clustered, permutation.")
    n = {"trials": one.outcomes.size + two.outcomes.size, "missing": one.missing + two.missing}
    return dataclasses.replace(found, n={**found.n, **n})


def _permuted(one: _Answers, two: _Answers, rng: np.random.Generator, n_resamples: int) -> Permutation:
    workers = one.ids["workers"], two.ids["workers"]
    if not np.intersect1d(*workers).size:
        return permute_workers((one.outcomes, two.outcomes), workers, rng, n_resamples=n_resamples)
    if set(workers[0]) != set(workers[1]):
        raise UserError(
            "some workers are in both tables and some in one only; a permutation needs all or none. Leave out those who"
            " saw one algorithm, or use method='clustered'."
        )
    return permute_labels(
        np.concatenate((one.outcomes, two.outcomes)),
        np.repeat([True, False], [one.outcomes.size, two.outcomes.size]),
        np.concatenate(workers),
        np.concatenate((one.ids["source_images"], two.ids["source_images"])),
        rng,
        n_resamples=n_resamples,
    )


def _answers(table: Table, fooled: str, names: Mapping[str, str]) -> _Answers:
    frame = pd.DataFrame(dict(table.items()))
    for name in (fooled, *names.values()):
        if name not in frame.columns:
            raise UserError(f"the table has no column {name!r}.{did_you_mean(name, map(str, frame.columns))}")
    outcomes = pd.to_numeric(frame[fooled], errors="coerce").astype(float)
    wrong = frame.loc[(outcomes.isna() & frame[fooled].notna()) | (outcomes < 0) | (outcomes > 1), fooled]
    if len(wrong):
        raise UserError(
            f"column {fooled!r}, row {wrong.index[0]}: {str(wrong.iloc[0])!r} is no number between 0 and 1. Allowed: 1 fooled,"
            " 0 not, 0.5 unsure, NaN missing."
        )
    kept = outcomes.notna()
    ids = {dimension: frame.loc[kept, column].to_numpy() for dimension, column in names.items()}
    for dimension, column in names.items():
        if pd.isna(ids[dimension]).any():
            raise UserError(
                f"column {column!r}: an answered row has no value there. Name it, or leave the row out."
            )
    return _Answers(np.asarray(outcomes[kept], dtype=np.float64), ids, int((~kept).sum()))
