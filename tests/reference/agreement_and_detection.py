"""Reference numbers for Krippendorff's alpha and signal detection, by other people's programs.

Reads crossed_trials.csv, writes agreement_and_detection.json:
- krippendorff 0.9.0: alpha of the answers of each algorithm about each source image, all values and a third of them.
- statsmodels 0.15.0: probit regression of "left" on the side of the fake (DeCarlo 1998, Psychol. Methods 3, 186-205), whose
  coefficients are z(H) and z(F), with standard errors clustered by worker.

Run by hand, in an environment of its own: pip install krippendorff==0.9.0 statsmodels==0.15.0; python agreement_and_detection.py
"""

import json
from pathlib import Path

import krippendorff
import numpy as np
import pandas as pd
import statsmodels.api as sm

HERE = Path(__file__).parent


def main() -> None:
    trials = pd.read_csv(HERE / "crossed_trials.csv")
    found = {
        "krippendorff": {
            "all": [alpha(trials[trials["algorithm"] == k]) for k in (0, 1)],
            "every third row": [alpha(trials[trials["algorithm"] == k].iloc[::3]) for k in (0, 1)],
        },
        "probit": probit(trials),
    }
    (HERE / "agreement_and_detection.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def alpha(trials: pd.DataFrame) -> float:
    counts = pd.crosstab(trials["source"], trials["fooled"]).to_numpy()
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def probit(trials: pd.DataFrame) -> dict[str, float]:
    left = np.where(trials["fooled"] == 1, 1 - trials["fake_left"], trials["fake_left"])
    design = np.column_stack([trials["fake_left"] == 1, trials["fake_left"] == 0]).astype(float)
    fit = sm.GLM(left, design, family=sm.families.Binomial(sm.families.links.Probit())).fit(
        cov_type="cluster", cov_kwds={"groups": trials["worker"].to_numpy(), "use_correction": False}
    )
    hit, false_alarm = fit.params
    covariance = fit.cov_params()
    return {
        "d_prime": float((hit - false_alarm) / 2**0.5),
        "d_prime_se": float((covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]) ** 0.5 / 2**0.5),
        "criterion": float(-(hit + false_alarm) / 2),
        "criterion_se": float((covariance[0, 0] + covariance[1, 1] + 2 * covariance[0, 1]) ** 0.5 / 2),
    }


if __name__ == "__main__":
    main()
