"""A study folder's responses -> its estimates.jsonl."""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from evalkit.analyses.base import Analysis, Context, labelled
from evalkit.responses import ResponseTable, read_table
from evalkit.results import Provenance, Result, write_results
from studies.design import Study, load_study
from studies.errors import UserError, did_you_mean
from studies.records import DataKind

INPUTS = ("responses.csv", "sessions.csv", "arrivals.csv")
PACKAGES = ("evalkit", "numpy", "scipy", "pandas")


def analyze_folder(
    study_folder: Path, data: DataKind, registry: Mapping[str, Analysis], always: Sequence[str]
) -> Path:
    """Run the planned analyses and the ones that are always reported; replace `<folder>/<data>/estimates.jsonl`."""
    study = load_study(study_folder)
    folder = study_folder / data
    plan = _plan(study, registry, always, study_folder)
    table = read_table(folder, study, data)
    context = Context(_provenance(study_folder, study, data, table))
    results: list[Result] = []
    for name, status in plan.items():
        results += labelled(registry[name](table, study, context), name, status, context)
    write_results(folder / "estimates.jsonl", results)
    return folder / "estimates.jsonl"


def _plan(
    study: Study, registry: Mapping[str, Analysis], always: Sequence[str], where: Path
) -> dict[str, str]:
    """Analysis -> planned | descriptive, in order."""
    for name in study.analysis.planned:
        if name not in registry:
            hint = did_you_mean(name, registry)
            raise UserError(
                f"{where / 'study.toml'}: [analysis] planned: no analysis is called {name!r}.{hint}"
            )
    return dict.fromkeys(study.analysis.planned, "planned") | {
        name: "descriptive" for name in always if name not in study.analysis.planned
    }


def _provenance(study_folder: Path, study: Study, data: str, table: ResponseTable) -> Provenance:
    files = [study_folder / data / name for name in INPUTS]
    manifest = study_folder / "stimuli" / "manifest.json"
    digests = {path.name: _sha256(path) for path in files} | {"study settings": study.digest()}
    if manifest.is_file():
        digests["stimuli/manifest.json"] = _sha256(manifest)
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
    return hashlib.sha256(path.read_bytes()).hexdigest()
