"""Estimates of the protocols that show one image: real images belong to no training run, and checks take turns."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit.analyses.base import Context, cluster_ids
from evalkit.analyses.error_rate import run as error_rate
from evalkit.analyses.modal_exposure import run as modal_exposure
from evalkit.responses import ResponseTable
from evalkit.results import Estimate, Provenance
from studies.design import Study, parse_study
from studies.records import REAL

CONTEXT = Context(Provenance())


def make_design(name: str, *, runs: int = 1, target: str = "this generator", **tables: Any) -> Study:
    tree = {
        "study": {"id": "made-up"},
        "protocol": {"name": name, "practice": 2, "scored": 8},
        "analysis": {"target": target},
        "reference": {"images": "real"},
        "conditions": {"alpha": {"images": [f"alpha/{run}" for run in range(runs)]}},
        **tables,
    }
    return parse_study(tree, "made-up")


def make_table(rows: list[dict[str, Any]]) -> ResponseTable:
    """Trials of finished sessions; what a row does not say is usual."""
    usual = {
        "condition": "alpha",
        "condition_1": "alpha",
        "run": 0.0,
        "image_2": "",
        "condition_2": "",
        "counted": True,
        "finished": True,
        "excluded": "",
        "attempt": 0,
        "real_source_id": "",
    }
    trials = pd.DataFrame([usual | row for row in rows])
    trials["worker"] = trials["session"]
    empty = pd.DataFrame()
    return ResponseTable(trials, empty, empty, "between", "one_image")


def by_key(results: list[Any]) -> dict[str, Estimate]:
    return {one.key: one for one in results if not one.key.endswith("_of_session")}


@pytest.fixture
def judged() -> list[dict[str, Any]]:
    """12 workers, 8 trials: fakes of two runs are misjudged in 50 %, real images in 10 % of the trials."""
    rng, rows = np.random.default_rng(1), []
    for worker, number in itertools.product(range(12), range(8)):
        real, image = number % 2 == 0, (worker + number) % 16
        rows.append(
            {
                "session": f"w{worker}",
                "source_id": f"i{image}",
                "image": f"{'real' if real else 'alpha'}-{image}",
                "condition_1": REAL if real else "alpha",
                "run": 0.0 if real else float(number // 2 % 2),
                "outcome": float(rng.random() >= (0.1 if real else 0.5)),
            }
        )
    return rows


def test_errors_on_real_images_have_an_interval_that_knows_of_no_training_runs(
    judged: list[dict[str, Any]],
) -> None:
    study = make_design("yes_no", runs=2, target="this loss")
    reals = by_key(error_rate(make_table(judged), study, CONTEXT))["error_rate_on_reals"]
    assert reals.interval is not None
    assert reals.n["runs"] == 0
    assert "runs" not in reals.method
    assert not any("training run" in note for note in reals.notes)


def test_the_difference_between_real_and_fake_does_not_pass_for_one_between_training_runs(
    judged: list[dict[str, Any]],
) -> None:
    study = make_design("yes_no", runs=2, target="this loss")
    trials = make_table(judged).trials
    runs = cluster_ids(trials, study)["runs"]
    for _, one in trials.groupby(runs):
        assert (one["condition_1"] == REAL).mean() == 0.5
    assert by_key(error_rate(make_table(judged), study, CONTEXT))["error_rate"].n["runs"] == 2


def test_reversals_follow_the_staircases_across_a_check_that_took_a_turn() -> None:
    study = make_design("timed_staircase", checks={"share": 0.125})
    # Turns 0 .. 8; the check took turn 2, so the first staircase has 0, 4, 6, 8 and the second one 1, 3, 5, 7.
    exposure = [500, 400, None, 410, 470, 420, 440, 430, 410]
    right = [True, False, None, False, True, False, True, False, False]
    rows = [
        {
            "session": "w0",
            "source_id": f"i{turn}",
            "image": f"i{turn}",
            "trial_index": 2 + turn,
            "outcome": float(right[turn] or 0),
            "planned_ms_1": exposure[turn],
        }
        for turn in range(9)
        if right[turn] is not None
    ]
    found = by_key(modal_exposure(make_table(rows), study, CONTEXT))
    assert found["reversal_exposure"].value == 410  # the first staircase turned round once, the second never


def test_a_stand_in_takes_its_turn_after_all_planned_trials() -> None:
    study = make_design("timed_staircase")
    exposure = [500, 400, 470, 410, 440, 420, 410, 430]
    right = [True, False, True, False, True, False, True, None]
    rows = [
        {
            "session": "w0",
            "source_id": f"i{turn}",
            "image": f"i{turn}",
            "trial_index": 2 + turn,
            "outcome": float(right[turn] or 0),
            "planned_ms_1": exposure[turn],
            "counted": right[turn] is not None,
        }
        for turn in range(8)
    ]
    # Sent ninth, so it belongs to the first staircase, though the trial it stands in for was the second one's.
    rows.append({**rows[7], "attempt": 1, "outcome": 0.0, "planned_ms_1": 380, "counted": True})
    found = by_key(modal_exposure(make_table(rows), study, CONTEXT))
    assert found["reversal_exposure"].value == 380
