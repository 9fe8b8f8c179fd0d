"""Reference numbers for the mixed logistic model, by two programs that share no code with ours.

Reads crossed_trials.csv (made up: 40 workers x 30 trials, 25 images, two algorithms), writes mixed_logistic.json:
- gpboost 1.8.0: maximum of the same Laplace likelihood (coefficients, standard deviations, log-likelihood). Its standard
  errors are known to be too small and are not taken.
- bambi 0.17.2: posterior mean and SD, 4 x 2000 draws, priors normal(0, 1.5) and half-normal(1).

Run by hand, in an environment of its own: pip install gpboost==1.8.0 bambi==0.17.2 "matplotlib<3.11"; python mixed_logistic.py
"""

import json
from pathlib import Path

import bambi
import gpboost
import numpy as np
import pandas as pd

HERE = Path(__file__).parent
NAMES = ("algorithm_0", "algorithm_1", "fake_left")


def main() -> None:
    trials = pd.read_csv(HERE / "crossed_trials.csv")
    found = {"gpboost": by_gpboost(trials), "bambi": by_bambi(trials)}
    (HERE / "mixed_logistic.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def by_gpboost(trials: pd.DataFrame) -> dict[str, object]:
    design = np.column_stack(
        [np.ones(len(trials)), trials["algorithm"], trials["fake_left"] - 0.5]  # it wants an intercept
    ).astype(float)
    model = gpboost.GPModel(
        group_data=trials[["worker", "source"]].to_numpy(),
        likelihood="bernoulli_logit",
        matrix_inversion_method="cholesky",  # its default draws the determinant at random
    )
    model.fit(
        y=trials["fooled"].to_numpy(dtype=float),
        X=design,
        params={"optimizer_cov": "nelder_mead", "maxit": 5000, "delta_rel_conv": 1e-12},
    )
    variances = np.asarray(model.get_cov_pars()).ravel()
    intercept, second, fake_left = np.asarray(model.get_coef()).ravel().tolist()
    coefficients = (intercept, intercept + second, fake_left)
    return {
        "coefficients": dict(zip(NAMES, coefficients, strict=True)),
        "standard_deviations": {
            "workers": float(variances[0] ** 0.5),
            "source_images": float(variances[1] ** 0.5),
        },
        "log_likelihood": -float(model.get_current_neg_log_likelihood()),
    }


def by_bambi(trials: pd.DataFrame) -> dict[str, object]:
    data = trials.assign(
        algorithm_0=(trials["algorithm"] == 0) * 1.0,
        algorithm_1=(trials["algorithm"] == 1) * 1.0,
        fake_left=trials["fake_left"] - 0.5,
    )
    wide = bambi.Prior("Normal", mu=0, sigma=1.5)
    spread = bambi.Prior("Normal", mu=0, sigma=bambi.Prior("HalfNormal", sigma=1))
    model = bambi.Model(
        "fooled ~ 0 + algorithm_0 + algorithm_1 + fake_left + (1|worker) + (1|source)",
        data,
        family="bernoulli",
        priors={**dict.fromkeys(NAMES, wide), "1|worker": spread, "1|source": spread},
    )
    posterior = model.fit(
        draws=2000, tune=1000, chains=4, cores=1, random_seed=1, progressbar=False
    ).posterior
    sds = {"workers": "1|worker_sigma", "source_images": "1|source_sigma"}
    return {
        "coefficients": {name: float(posterior[name].mean()) for name in NAMES},
        "standard_errors": {name: float(posterior[name].std()) for name in NAMES},
        "standard_deviations": {name: float(posterior[key].mean()) for name, key in sds.items()},
        "standard_deviations_sd": {name: float(posterior[key].std()) for name, key in sds.items()},
    }


if __name__ == "__main__":
    main()
