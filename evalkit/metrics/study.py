"""What a study's metrics are computed from: its image sets, reduced to its inputs, and [metrics] of study.toml."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.metrics import METRICS
from evalkit.metrics.label_maps import BUILT_IN
from evalkit.metrics.labelling import Labelling, open_labelling
from evalkit.metrics.pictures import PictureSet, picture_set
from evalkit.metrics.scoring import Candidate, chosen
from evalkit.metrics.segmenters import IDS, PALETTE
from evalkit.results import FAKE_FILES, REAL_FILES, Score
from studies.design import Study, load_study
from studies.errors import UserError
from studies.records import REAL
from studies.stimuli import Source, collect

if TYPE_CHECKING:
    from evalkit.metrics.segmenters import Segmenter


@dataclass(frozen=True)
class StudySets:
    """A study, ready for scoring."""

    study: Study
    reals: PictureSet
    """The reference, reduced to the inputs of the conditions."""
    candidates: tuple[Candidate, ...]
    """Every condition, run by run."""
    labels: PictureSet | None
    """Label maps of the inputs, where study.toml names some."""
    segmenter: "Segmenter | None"
    warnings: tuple[str, ...]
    """What may be wrong with the image sets."""


def study_sets(folder: Path, typed: Labelling | None = None, *, names: Sequence[str] = ()) -> StudySets:
    """Open everything that study.toml names; the images are hashed, not decoded.

    Args:
        folder: The study folder.
        typed: Label maps, classes and segmenter that take the place of those of study.toml.
        names: Metrics or quantities that take the place of those of study.toml. Its label maps are opened only if one
            of them needs some.

    Raises:
        UserError: study.toml or an image set cannot be used, or [metrics] names metrics, labels, classes or a segmenter
            that are not there.
    """
    study = load_study(folder)
    needs_labels = _needs_labels(study, names, folder)
    (reference, *fakes), warnings = collect(study, folder.resolve())
    candidates = tuple(_candidate(source, study.runs) for source in fakes)
    told = typed or Labelling()
    if needs_labels:
        told = _settled(study, folder.resolve(), told)
    labels, segmenter = open_labelling(told, candidates[0].fakes.source_ids)
    reals = picture_set(reference.images)
    return StudySets(study, reals, candidates, labels, segmenter, warnings)


def with_files(score: Score, sets: StudySets) -> Score:
    """The score with the target of its study and the digests of the files behind its sets.

    The report tells by them that a bundle was built from the same images, also where it resized them.
    """
    fakes = next((one.fakes for one in sets.candidates if _is_of(score, one)), sets.reals)
    digests = {**score.provenance.digests, REAL_FILES: sets.reals.key, FAKE_FILES: fakes.key}
    target = sets.study.analysis.target
    return dataclasses.replace(
        score, provenance=dataclasses.replace(score.provenance, digests=digests, target=target)
    )


def _is_of(score: Score, candidate: Candidate) -> bool:
    return score.condition != REAL and (score.condition, score.run) == (candidate.condition, candidate.run)


def _candidate(source: Source, runs: int) -> Candidate:
    fakes = picture_set(source.images)
    return Candidate(source.condition, source.run if runs > 1 else None, fakes)


def _needs_labels(study: Study, names: Sequence[str], folder: Path) -> bool:
    """Whether a metric that was asked for needs label maps; without names, whether any does.

    Raises:
        UserError: study.toml names a metric that is none.
    """
    try:
        told = chosen(names or study.metrics.names)
    except UserError as error:
        raise UserError(f"{folder / 'study.toml'}: [metrics] names: {error}") from None
    return any(METRICS[name].labelled for name in told or METRICS)


def _settled(study: Study, folder: Path, typed: Labelling) -> Labelling:
    """What was typed, else what study.toml says, whose paths are relative to the study's folder."""
    told = study.metrics

    def here(path: str | None, *words: str) -> str | None:
        return path if path is None or path in words else str(folder / Path(path).expanduser())

    return Labelling(
        typed.labels or here(told.labels),
        typed.classes or here(told.classes, *BUILT_IN),
        typed.segmenter or here(told.segmenter, PALETTE, IDS),
    )
