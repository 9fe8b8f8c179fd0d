"""The trials of each condition, as the arrays that rates and differences look at."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import IntArray, as_clusters, cluster_ids
from evalkit.results import Result
from evalkit.stats.clustering import Clusters, FloatArray
from studies.design import Study


@dataclass(frozen=True)
class Trials:
    """The trials of one condition in which a fake could be taken for real; every array has shape (n,)."""

    condition: str
    outcomes: FloatArray
    """1 fooled, 0 not, 0.5 unsure."""
    workers: IntArray
    """Equal numbers are the same worker in every condition; so for images and sources."""
    images: IntArray
    sources: IntArray
    runs: FloatArray
    """Training run of the fake."""
    clusters: Clusters
    """As `cluster_ids` says for the study's target."""

    def __len__(self) -> int:
        return len(self.outcomes)


def by_condition(trials: pd.DataFrame, study: Study) -> dict[str, Trials]:
    """Trials of fakes by condition, in the order of study.toml; conditions without any are there too."""
    clusters = as_clusters(cluster_ids(trials, study))  # once for all: a shared image has one number
    codes = {name: _codes(trials[name]) for name in ("worker", "image", "source_id")}
    fooled, runs = (trials[name].to_numpy(dtype=np.float64) for name in ("fooled", "run"))
    places, names = pd.factorize(trials["condition"])
    numbers = {str(name): number for number, name in enumerate(names)}
    found = {}
    for condition in study.conditions:
        mine = np.flatnonzero(places == numbers.get(condition, -1))
        found[condition] = Trials(
            condition,
            fooled[mine],
            codes["worker"][mine],
            codes["image"][mine],
            codes["source_id"][mine],
            runs[mine],
            {name: np.asarray(ids)[mine] for name, ids in clusters.items()},
        )
    return found


def sizes(found: Result, *trials: Trials) -> dict[str, int]:
    """The record's n, with what it does not say itself: workers, images (stimuli) and training runs."""
    return {
        "workers": _distinct([one.workers for one in trials]),
        "images": _distinct([one.images for one in trials]),
        "runs": sum(_distinct([one.runs]) for one in trials),
        **found.n,
    }


def _codes(column: "pd.Series[str]") -> IntArray:
    return pd.factorize(column)[0].astype(np.int64)


def _distinct(arrays: list[npt.NDArray[np.generic]]) -> int:
    return int(np.unique(np.concatenate(arrays)).size)
