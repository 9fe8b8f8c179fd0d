"""A study folder's responses -> its estimates.jsonl."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from evalkit.analyses.base import Analysis, Context, labelled
from evalkit.contradictions import similar_names
from evalkit.responses import ResponseTable, read_table
from evalkit.results import Estimate, Provenance, Result, write_results
from evalkit.scores import FILE as SCORES
from studies.design import Study, load_study
from studies.errors import UserError, did_you_mean
from studies.records import DataKind

INPUTS = ("responses.csv", "sessions.csv", "arrivals.csv")
WORKERS = "workers.csv"
"""Beside them where worker-level numbers were imported."""
PACKAGES = ("evalkit", "numpy", "scipy", "pandas")


def analyze_folder(
    study_folder: Path,
    data: DataKind,
    registry: Mapping[str, Analysis],
    always: Sequence[str],
    also: Sequence[str] = (),
    progress: Callable[[int, int, str], None] | None = None,
) -> Path:
    """Run the planned analyses, the ones that are always reported and, as unplanned, those of `also`.

    Replaces `<folder>/<data>/estimates.jsonl`.
    """
    study = load_study(study_folder)
    folder = study_folder / data
    plan = _plan(study, registry, always, also, study_folder)
    table = read_table(folder, study, data)
    context = Context(
        _provenance(study_folder, study, data, table, "people_and_metrics" in plan), folder=study_folder
    )
    results = labelled(_alike(table), "flow", "descriptive", context)
    for done, (name, status) in enumerate(plan.items()):
        if progress is not None:
            progress(done, len(plan), name)
        results += labelled(registry[name](table, study, context), name, status, context)
    write_results(folder / "estimates.jsonl", results)
    return folder / "estimates.jsonl"


def _alike(table: ResponseTable) -> list[Result]:
    """A record for each person who seems to have come under several names."""
    return [
        Estimate(
            key="workers_named_alike",
            value=float(len(names)),
            unit="count",
            method="worker ids that differ only in capitals or in the space around them",
            detail=" / ".join(map(repr, names)),
            notes=(
                "Counted as different people. If they are one, the intervals are too narrow: give them one name and analyse again.",
            ),
        )
        for names in similar_names(table.sessions["worker"].tolist())
    ]


def _plan(
    study: Study, registry: Mapping[str, Analysis], always: Sequence[str], also: Sequence[str], where: Path
) -> dict[str, str]:
    """Analysis -> planned | at import | descriptive | unplanned, in order."""
    asked = [(f"{where / 'study.toml'}: [analysis] planned", name) for name in study.analysis.planned]
    for origin, name in [*asked, *(("--also", name) for name in also)]:
        if name not in registry:
            raise UserError(f"{origin}: no analysis is called {name!r}.{did_you_mean(name, registry)}")
    if study.imported is not None and study.imported.of_workers:
        always = tuple(name for name in always if name == "flow")  # there are no trials to describe
    chosen = "planned" if study.imported is None else "at import"  # nobody planned them before the answers
    plan = dict.fromkeys(study.analysis.planned, chosen) | {
        name: "descriptive" for name in always if name not in study.analysis.planned
    }
    return plan | {name: "unplanned" for name in also if name not in plan}


def _provenance(
    study_folder: Path, study: Study, data: str, table: ResponseTable, reads_scores: bool
) -> Provenance:
    own = (WORKERS,) if (study_folder / data / WORKERS).is_file() else ()
    files = [study_folder / data / name for name in (*INPUTS, *own)]
    manifest = study_folder / "stimuli" / "manifest.json"
    digests = {path.name: _sha256(path) for path in files} | {"study settings": study.digest()}
    if manifest.is_file():
        digests["stimuli/manifest.json"] = _sha256(manifest)
    scores = study_folder / SCORES
    if reads_scores and scores.is_file():
        digests[SCORES] = _sha256(scores)
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Provenance(
        study=study.id,
        data=data,
        observer=table.observer,
        target=study.analysis.target,
        digests=digests,
        software={"python": platform.python_version(), **versions},
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
