"""The analyses a study can plan. A new one is a module here, with a function `run`, plus one line in ANALYSES."""

from pathlib import Path

from evalkit.analyses import (
    error_rate,
    exposure,
    flow,
    fool_rate,
    image_rates,
    input_match_share,
    modal_exposure,
    pairwise_differences,
    preference_share,
)
from evalkit.analyses.base import Analysis, Context
from evalkit.analyses.folder import analyze_folder
from studies.records import DataKind

ANALYSES: dict[str, Analysis] = {
    "flow": flow.run,
    "fool_rate": fool_rate.run,
    "pairwise_differences": pairwise_differences.run,
    "error_rate": error_rate.run,
    "modal_exposure": modal_exposure.run,
    "preference_share": preference_share.run,
    "input_match_share": input_match_share.run,
    "image_rates": image_rates.run,
    "exposure": exposure.run,
}
ALWAYS = ("flow", "image_rates", "exposure")
"""Descriptive ones that every report needs; they run whatever the study planned."""


def analyze(study_folder: Path, data: DataKind) -> Path:
    """Run a study's planned analyses on one kind of data.

    Reads `<study_folder>/study.toml` and `<study_folder>/<data>/{responses,sessions,arrivals}.csv`, replaces
    `<study_folder>/<data>/estimates.jsonl` and returns its path. The same files give the same bytes.

    Raises:
        UserError: A file is missing or malformed, rows contradict each other or the study, or a planned analysis
            does not exist.
    """
    return analyze_folder(study_folder, data, ANALYSES, ALWAYS)


__all__ = ["ALWAYS", "ANALYSES", "Analysis", "Context", "analyze"]
