"""How long images really stood on the screen."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.analyses.base import Context
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Result
from studies.design import Study
from studies.records import ASSUMED_REFRESH_HZ, EXPOSURE_FRAMES

QUARTILES = (("min", 0.0), ("q25", 0.25), ("median", 0.5), ("q75", 0.75), ("max", 1.0))

FloatArray = npt.NDArray[np.float64]


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition, over both images of all counted trials: quantiles, and displays off by more than 1.5 frames."""
    results: list[Result] = []
    for condition in study.conditions:
        trials = table.about(table.primary, condition)
        shown, off = _displays(trials)
        n = {"displays": len(shown), "trials": len(trials)}
        notes = () if len(shown) else ("No exposure was recorded.",)
        for name, q in QUARTILES:
            value = float(np.quantile(shown, q)) if len(shown) else None
            results.append(_estimate(f"exposure_ms_{name}", value, "ms", condition, n, notes))
        outside = float((off > EXPOSURE_FRAMES).sum()) if len(shown) else None
        results.append(_estimate("exposures_outside", outside, "count", condition, n, notes))
    return results


def _displays(trials: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Exposure in ms, and its distance from the plan in frames, of every image whose exposure was recorded."""
    hz = trials["refresh_hz"].fillna(ASSUMED_REFRESH_HZ).to_numpy(dtype=float)
    shown = np.concatenate([trials[f"exposure_ms_{slot}"].to_numpy(dtype=float) for slot in (1, 2)])
    planned = np.concatenate([trials[f"planned_ms_{slot}"].to_numpy(dtype=float) for slot in (1, 2)])
    off = np.abs(shown - planned) * np.concatenate([hz, hz]) / 1000
    known = np.isfinite(shown) & np.isfinite(off)
    return shown[known], off[known]


def _estimate(
    key: str, value: float | None, unit: str, condition: str, n: dict[str, int], notes: tuple[str, ...]
) -> Estimate:
    method = "time on screen by the page's animation-frame clock, all images of counted trials"
    if key == "exposures_outside":
        method = f"displays more than {EXPOSURE_FRAMES} frames away from the planned time ({ASSUMED_REFRESH_HZ:.0f} Hz where unknown)"
    return Estimate(key=key, value=value, unit=unit, method=method, condition=condition, n=n, notes=notes)
