"""A grid around what a pilot shows."""

from pathlib import Path

from evalkit.analyses import ANALYSES, Context
from evalkit.analyses.base import of_fakes
from evalkit.rehearsal.assumptions import Range, around
from evalkit.rehearsal.certificate import observed
from evalkit.responses import read_table
from evalkit.results import Estimate, Provenance
from studies.design import load_study
from studies.errors import UserError
from studies.records import DATA_KINDS


def from_pilot(folder: Path) -> Range:
    """Rate and standard deviations of the pilot data in a study folder, each deviation with a low and a high value.

    Takes pilot data, or what there is. What the pilot cannot tell (training runs, where there is one) is as in the
    settings of that folder.

    Raises:
        UserError: There are no data, or the model finds nothing in them.
    """
    study = load_study(folder)
    kinds = [kind for kind in ("pilot", *DATA_KINDS) if (folder / kind / "responses.csv").is_file()]
    if not kinds:
        raise UserError(
            f"{folder}: no pilot data; `evalkit study export {folder} --data pilot` writes them to {folder / 'pilot'}."
        )
    table = read_table(folder / kinds[0], study, kinds[0])
    trials = of_fakes(table.primary)
    found = ANALYSES["mixed_model"](table, study, Context(Provenance(study=study.id))) if len(trials) else []
    seen = observed(one for one in found if isinstance(one, Estimate))
    if not {"workers", "source_images"} <= set(seen) or trials["fooled"].nunique() < 2:
        raise UserError(
            f"{folder / kinds[0]}: {len(trials)} trials tell nothing of how people and images differ. Gather more, or "
            "rehearse without --pilot: the grid of [rehearsal] in study.toml is taken then."
        )
    rate = float(trials["fooled"].mean())
    runs = (
        around(seen["runs"], study.runs * len(study.conditions)) if "runs" in seen else study.rehearsal.run_sd
    )
    return Range(
        worker_sd=around(seen["workers"], trials["worker"].nunique()),
        image_sd=around(seen["source_images"], trials["source_id"].nunique()),
        run_sd=runs,
        rate=min(max(rate, 0.01), 0.99),
        source=f"the {kinds[0]} data of {folder.name}",
    )
