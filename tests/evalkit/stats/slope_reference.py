"""Writes slope_reference.json with statsmodels, which the project does not need otherwise.

python tests/evalkit/stats/slope_reference.py
"""

import json
from pathlib import Path

import numpy as np
import statsmodels
import statsmodels.api as sm


def main():
    rng = np.random.default_rng(21)
    lengths = rng.integers(6, 25, 15)
    worker = np.repeat(np.arange(15), lengths)
    position = np.concatenate([np.arange(length) for length in lengths])
    chance = np.clip(0.1 + 0.4 * rng.random(15)[worker] + 0.012 * position, 0, 1)
    outcome = (rng.random(len(worker)) < chance).astype(float)

    def centred(values):
        return values - (np.bincount(worker, weights=values) / lengths)[worker]

    # One regressor and no constant: the correction is G/(G-1) alone.
    fit = sm.OLS(centred(outcome), centred(position.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": worker, "use_correction": True}, use_t=True
    )
    numbers = {
        "made_by": f"statsmodels {statsmodels.__version__}",
        "outcomes": outcome.tolist(),
        "positions": position.tolist(),
        "workers": worker.tolist(),
        "slope": fit.params[0],
        "standard_error": fit.bse[0],
        "interval": fit.conf_int()[0].tolist(),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(numbers) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
