"""What an analysis is: a named recipe from table and study to results."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.responses import ResponseTable, rows_where
from evalkit.results import Estimate, Provenance, Result
from evalkit.stats.proportions import clustered_rate
from studies.design import Study
from studies.records import REAL

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Context:
    """What an analysis is told beside table and study."""

    provenance: Provenance
    """Of the run; each analysis only adds its own name and status."""
    n_resamples: int = 10_000
    """Draws of each bootstrap."""
    folder: Path | None = None
    """The study folder, for what is read beside the responses (scores.jsonl); None where there is none."""

    def seed(self, *about: str) -> int:
        """A seed for one estimate, from its name and the study, so that no estimate depends on another's draws."""
        text = "\x1f".join((self.provenance.study, *about))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


Analysis = Callable[[ResponseTable, Study, Context], list[Result]]
"""`run(table, study, context) -> results`."""


def cluster_ids(trials: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The ways in which trials hang together under the study's target, one column of whole numbers each.

    Equal numbers mean the same worker, source image, real image or training run, also across conditions:
    "these images" -> workers; "this generator" -> also source images and, with `different` pairing, the real
    partners; "this loss" -> also training runs, whose small number then sets the degrees of freedom. Real images that
    are judged alone are no run's: among fakes they are dealt out evenly over the runs, so that the difference between
    real and fake does not pass for one between runs; by themselves they have no such column.

    Returns:
        One row per trial, same index; columns `workers`, `source_images`, `real_images`, `other_images` (the other input
        of two), `runs` as they apply.
    """
    names = {"workers": "worker"}
    if study.analysis.target != "these images":
        names["source_images"] = "source_id"
        partners = study.protocol.layout == "real_and_fake" and study.study.pairing == "different"
        if partners and bool((trials["real_source_id"] != "").any()):
            names["real_images"] = "real_source_id"
        if study.protocol.layout == "two_inputs":
            names["other_images"] = "other_source_id"
    ids = {name: _numbers_of(trials, column) for name, column in names.items()}
    if study.analysis.target == "this loss" and not _real_alone(trials).all():
        runs = _runs(trials, study).to_numpy(dtype=np.float64)
        named = np.unique(runs, return_inverse=True)[1]
        ids["runs"] = _numbers_of(trials, "condition") * (int(named.max(initial=0)) + 1) + named
    return pd.DataFrame(ids, index=trials.index)


def _numbers_of(trials: pd.DataFrame, column: str) -> IntArray:
    """A column of ids as whole numbers: those that the table has, else counted out here."""
    known = f"{column}_number"
    found = trials[known].to_numpy() if known in trials.columns else pd.factorize(trials[column])[0]
    return found.astype(np.int64)


def _real_alone(trials: pd.DataFrame) -> "pd.Series[bool]":
    """Which trials showed one real image and no other."""
    if "real_alone" in trials.columns:
        return trials["real_alone"]
    return (trials["condition_1"] == REAL) & (trials["image_2"] == "")


def _runs(trials: pd.DataFrame, study: Study) -> "pd.Series[float]":
    """The training run of each trial; real images that were shown alone take turns within their session."""
    real = _real_alone(trials)
    turns = trials[real].groupby("session").cumcount() % study.runs
    return trials["run"].where(~real, turns.reindex(trials.index)).astype(float)


def of_fakes(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials in which a fake could be taken for real."""
    return rows_where(trials, trials["fooled"].notna().to_numpy())


def clustered_share(
    key: str,
    outcomes: "pd.Series[float]",
    trials: pd.DataFrame,
    study: Study,
    condition: str,
    versus: str = "",
) -> Estimate:
    """The mean of outcomes in [0, 1], one per row of `trials`, with the interval clustered for the study's target."""
    clusters = as_clusters(cluster_ids(trials, study))
    estimate = clustered_rate(outcomes.to_numpy(dtype=float), clusters, study.analysis.confidence_level)
    return dataclasses.replace(
        estimate,
        key=key,
        condition=condition,
        versus=versus,
        n=with_sizes(estimate, trials),
        notes=(*estimate.notes, *(() if _real_alone(trials).all() and len(trials) else run_notes(study))),
    )


def as_clusters(ids: pd.DataFrame) -> Mapping[str, IntArray]:
    """The columns of `cluster_ids` as arrays for `evalkit.stats`."""
    return {str(name): ids[name].to_numpy(dtype=np.int64) for name in ids.columns}


def with_sizes(result: Result, trials: pd.DataFrame) -> dict[str, int]:
    """The result's n, with what it does not say itself: workers, images (stimuli) and runs."""
    generated = ~_real_alone(trials).to_numpy(dtype=np.bool_)
    made = np.stack([_numbers_of(trials, "condition"), trials["run"].fillna(-1).to_numpy(dtype=np.int64)])
    extra = {
        "workers": _distinct(_numbers_of(trials, "worker")),
        "images": _distinct(_numbers_of(trials, "image")),
        "runs": _distinct(made[0][generated] * (int(made[1].max(initial=0)) + 2) + made[1][generated]),
    }
    return {**extra, **result.n}


def _distinct(numbers: IntArray) -> int:
    return int(pd.Series(numbers).nunique())


def labelled(results: list[Result], name: str, status: str, context: Context) -> list[Result]:
    """The same results with their provenance: the run's, the analysis' name and its status.

    A record that names a target of its own (a permutation test is about these images whatever the study plans) keeps it.
    """
    provenance = dataclasses.replace(context.provenance, analysis=name, status=status)
    return [
        dataclasses.replace(
            result,
            provenance=dataclasses.replace(provenance, target=result.provenance.target or provenance.target),
        )
        for result in results
    ]


def run_notes(study: Study) -> tuple[str, ...]:
    """What a reader must know of the training runs behind a rate or a difference."""
    if study.imported is not None:
        return (
            "How many training runs the images come from is not known: nothing here separates the loss from the seed.",
        )
    if study.runs == 1:
        return (
            "One training run per algorithm: nothing here separates the loss from the seed it was trained with.",
        )
    if study.analysis.target == "this loss":
        return (
            (
                f"Clustered on training runs too: with {study.runs} runs per algorithm, it is the runs that set the interval's"
                " width."
            ),
        )
    return (f"{study.runs} training runs per algorithm are pooled; the interval does not cover other runs.",)
