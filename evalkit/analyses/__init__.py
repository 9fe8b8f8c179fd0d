"""The analyses a study can plan. A new one is a module here, with a function `run`, plus one line in ANALYSES."""

from collections.abc import Callable, Sequence
from pathlib import Path

from evalkit.analyses import (
    accuracy,
    agreement,
    attrition,
    equivalence,
    error_rate,
    exposure,
    flow,
    fool_rate,
    image_rates,
    input_match_share,
    learning,
    mixed_model,
    modal_exposure,
    pairwise_differences,
    people_and_metrics,
    preference_share,
    ranks,
    response_quality,
    signal_detection,
    stopping,
    worker_rates,
)
from evalkit.analyses.base import Analysis, Context
from evalkit.analyses.folder import analyze_folder
from studies.records import DataKind

ANALYSES: dict[str, Analysis] = {
    "flow": flow.run,
    "fool_rate": fool_rate.run,
    "pairwise_differences": pairwise_differences.run,
    "equivalence": equivalence.run,
    "mixed_model": mixed_model.run,
    "signal_detection": signal_detection.run,
    "agreement": agreement.run,
    "ranks": ranks.run,
    "error_rate": error_rate.run,
    "modal_exposure": modal_exposure.run,
    "preference_share": preference_share.run,
    "input_match_share": input_match_share.run,
    "image_rates": image_rates.run,
    "exposure": exposure.run,
    "accuracy": accuracy.run,
    "worker_rates": worker_rates.run,
    "response_quality": response_quality.run,
    "attrition": attrition.run,
    "learning": learning.run,
    "stopping": stopping.run,
    "people_and_metrics": people_and_metrics.run,
}
ALWAYS = (
    "flow",
    "ranks",
    "image_rates",
    "exposure",
    "signal_detection",
    "agreement",
    "response_quality",
    "attrition",
    "learning",
    "stopping",
)
"""Descriptive ones that every report needs; they run whatever the study planned."""


def analyze(
    study_folder: Path,
    data: DataKind,
    also: Sequence[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Run a study's planned analyses on one kind of data; those of `also`, which it did not plan, are marked so.

    Reads `<study_folder>/study.toml` and `<study_folder>/<data>/{responses,sessions,arrivals}.csv`, replaces
    `<study_folder>/<data>/estimates.jsonl` and returns its path. The same files give the same bytes.
    `progress` is told how many analyses are done, of how many, and which is next.

    Raises:
        UserError: A file is missing or malformed, rows contradict each other or the study, or an analysis does not
            exist.
    """
    return analyze_folder(study_folder, data, ANALYSES, ALWAYS, also, progress)


__all__ = ["ALWAYS", "ANALYSES", "Analysis", "Context", "analyze"]
