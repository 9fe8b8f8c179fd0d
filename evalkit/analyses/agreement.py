"""How far workers agree about images (Krippendorff's α), and how repeatable the images' rates are (split-half)."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from evalkit.analyses.base import Context, of_fakes, with_sizes
from evalkit.responses import ResponseTable
from evalkit.results import Result
from evalkit.stats.agreement import intraclass_correlation, krippendorff_alpha, split_half_reliability
from studies.design import Study
from studies.records import REAL

BOTH = "Low α beside high split-half is usual: a single answer says little about an image, the mean of many says much."
EVERY = "fakes and reals"
"""`detail` where real images are among the units."""


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:
    """Per condition: α of the answers about the same image, split-half reliability of image rates, ICCs.

    With one image per trial twice: over the fakes, and (detail `fakes and reals`) over all images. Nothing where
    exposures follow the answers: people who saw an image for different times need not agree.
    """
    if study.protocol.adapts_exposure:
        return []
    results: list[Result] = []
    for condition, versus, detail, trials, answers in _parts(table, study):
        images, workers = trials["image"].to_numpy(dtype=str), trials["worker"].to_numpy(dtype=str)
        values = answers.to_numpy(dtype=np.float64)
        seed = context.seed("split_half_reliability", condition, versus, detail, str(study.study.seed))
        halves = split_half_reliability(values, images, workers, np.random.default_rng(seed))
        records = [
            krippendorff_alpha(values, images, workers, study.analysis.confidence_level),
            dataclasses.replace(halves, seed=seed),
            dataclasses.replace(intraclass_correlation(values, images), key="image_intraclass_correlation"),
            dataclasses.replace(intraclass_correlation(values, workers), key="worker_intraclass_correlation"),
        ]
        results += [
            dataclasses.replace(
                record,
                condition=condition,
                versus=versus,
                detail=detail,
                n=with_sizes(record, trials),
                notes=(*record.notes, BOTH) if record.key == "krippendorff_alpha" else record.notes,
            )
            for record in records
        ]
    return results


def _parts(
    table: ResponseTable, study: Study
) -> "Iterator[tuple[str, str, str, pd.DataFrame, pd.Series[float]]]":
    """Condition, versus, detail, trials and what was answered about each trial's image."""
    trials = table.primary
    if table.layout == "two_algorithms":
        for first, second in itertools.combinations(study.conditions, 2):
            both = table.about(table.about(trials, first), second)
            # The same pair of images is one unit, whichever of the two stands in `image`.
            yield first, second, "", both.assign(image=both["source_id"]), both["outcome"]
        return
    for condition in study.conditions:
        mine = table.about(trials, condition)
        if table.layout == "two_inputs":
            yield condition, "", "", mine, mine["outcome"]
            continue
        fakes = of_fakes(mine)
        yield condition, "", "", fakes, fakes["fooled"]
        if table.layout == "one_image":
            real = mine["condition_1"] == REAL
            yield condition, "", EVERY, mine, mine["outcome"].where(real, 1.0 - mine["outcome"])
