"""A pilot's fool rate and variance components, for `evalkit power`."""

from pathlib import Path

import numpy as np
import pandas as pd

from evalkit.cli.messages import say, warn
from studies.design import load_study
from studies.errors import UserError
from studies.records import DATA_KINDS, IMPORTED

ENOUGH_WORKERS, ENOUGH_IMAGES = 8, 20
"""Below these a pilot's standard deviations are little more than noise."""


def read_pilot(folder: Path) -> tuple[float, dict[str, float]]:
    """Pooled fool rate, and SDs in logits under the names of `evalkit.stats.power.Spread` as far as they can be seen.

    Raises:
        UserError: The folder holds no responses, or none that could have fooled anybody.
    """
    from evalkit.analyses.base import of_fakes
    from evalkit.responses import read_table

    study = load_study(folder)
    kinds = [
        kind
        for kind in ("pilot", "live", IMPORTED, *DATA_KINDS)
        if (folder / kind / "responses.csv").is_file()
    ]
    if not kinds:
        raise UserError(
            f"{folder}: no responses to plan with (no pilot/responses.csv or the like); `evalkit study export {folder}`"
            " writes them."
        )
    trials = of_fakes(read_table(folder / kinds[0], study, kinds[0]).primary)
    if trials.empty or trials["fooled"].nunique() < 2:
        raise UserError(
            f"{folder / kinds[0]}: nothing to plan with: no answer about one fake alone or beside a real image, or all of them the same."
        )
    workers, images = trials["worker"].nunique(), trials["source_id"].nunique()
    rate, found = float(trials["fooled"].mean()), _fitted(trials)
    told = ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in found.items())
    say(f"From {kinds[0]} data of {folder}: fool rate {100 * rate:.1f} %; SDs in logits: {told}.")
    if kinds[0] not in ("pilot", "live", IMPORTED):
        warn(f"these are {kinds[0].upper()} data.")
    if workers < ENOUGH_WORKERS or images < ENOUGH_IMAGES:
        warn(
            f"a pilot of {workers} workers and {images} images says little about their spread; try other SDs as well."
        )
    return rate, found


def _fitted(trials: pd.DataFrame) -> dict[str, float]:
    """SDs from a mixed logistic model with crossed groups; the algorithms' own images where there are several."""
    from evalkit.stats.mixed_logistic import fit_mixed_logistic

    conditions = sorted(trials["condition"].unique())
    fixed = np.column_stack([(trials["condition"] == name).to_numpy(dtype=float) for name in conditions])
    groups = {"workers": trials["worker"], "images": trials["source_id"]}
    if len(conditions) > 1:
        groups["own_images"] = trials["condition"] + "/" + trials["source_id"]
    if trials[["condition", "run"]].drop_duplicates().shape[0] > len(conditions):
        groups["runs"] = trials["condition"] + "/" + trials["run"].astype(str)
    fit = fit_mixed_logistic(
        trials["fooled"].to_numpy(dtype=float),
        fixed,
        {name: pd.factorize(ids)[0] for name, ids in groups.items()},
        names=conditions,
    )
    found = {name: float(fit.standard_deviations[name]) for name in groups if name in fit.standard_deviations}
    own = found.pop("own_images", None)
    if own is not None and "images" in found:
        found |= {"images": float(np.hypot(found["images"], own)), "own_images": own}
    return found
