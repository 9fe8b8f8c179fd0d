"""Each protocol from made-up images to its report, with observers whose rate is known."""

import csv
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evalkit.cli.numbers import run_analysis
from evalkit.cli.study_simulate import run_simulation
from evalkit.report import write_report
from studies.protocols import PROTOCOLS
from studies.records import REAL, Response, read_csv
from tests.made_up_study import make_study

PEOPLE, SCORED = 6, 10


class Finished:
    """A study that simulated people went through."""

    def __init__(self, folder: Path, observer: str, rates: tuple[str, ...]) -> None:
        self.folder = folder
        self.outcomes = run_simulation(folder, None, observer, rates, 3, replace=False)
        estimates = run_analysis(folder, None).read_text(encoding="utf-8").splitlines()
        self.responses = read_csv(folder / "simulated" / "responses.csv", Response)
        self.scored = [row for row in self.responses if row.phase == "scored"]
        self.estimates = [json.loads(line) for line in estimates]
        self.page = (
            write_report(folder, "simulated").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
        )

    def table(self, name: str) -> list[dict[str, str]]:
        path = self.folder / "simulated" / "tables" / f"{name}.csv"
        with path.open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))

    def estimate(self, key: str, condition: str, versus: str = "") -> dict[str, Any]:
        (found,) = [
            r for r in self.estimates if (r["key"], r["condition"], r["versus"]) == (key, condition, versus)
        ]
        return found


def make(folder: Path, name: str, *, inputs: int = 40, people: int = PEOPLE, **protocol: Any) -> Path:
    return make_study(
        folder,
        inputs=inputs,
        study={
            "participants_per_condition": people,
            "design": "within" if name == "preference" else "between",
        },
        reference={"inputs": "images/inputs"},
        protocol={"name": name, "practice": 2, "scored": SCORED, "reserve": 2, **protocol},
    )


def run(folder: Path, name: str, *rates: str, **protocol: Any) -> Finished:
    return Finished(make(folder / "small", name, **protocol), "known", rates)


def contains(estimate: dict[str, Any], truth: float) -> bool:
    return bool(estimate["interval"]["low"] < truth < estimate["interval"]["high"])


@pytest.mark.parametrize("name", PROTOCOLS)
def test_seeing_observers_go_through_every_protocol_and_its_report_says_that_they_are_none(
    tmp_path: Path, name: str
) -> None:
    study = Finished(make(tmp_path / "small", name, inputs=16, people=2, scored=4), "seeing", ())
    assert set(study.outcomes) == {"finished"}
    assert all(row.outcome in (0.0, 1.0) for row in study.responses)
    assert "SIMULATED (observer: seeing)" in study.page
    fooling = "fool_rate" in PROTOCOLS[name].analyses
    about_fooling = ("labeled real", "fool rate", "taken for real", "fooling")
    assert any(words in study.page.lower() for words in about_fooling) == fooling
    assert any(row["key"] == "fool_rate" for row in study.estimates) == fooling


def test_yes_no_reports_the_errors_on_fakes_and_reals_apart_and_together(tmp_path: Path) -> None:
    study = run(tmp_path, "yes_no", "alpha=0.2", "beta=0.6", "real=0.3", scored=20)
    assert study.outcomes == ["finished"] * 2 * PEOPLE
    halves = Counter((row.session, row.condition_1 == REAL) for row in study.scored)
    assert set(halves.values()) == {10}
    assert {row.choice for row in study.responses} == {"real", "fake"}
    assert {(row.side_1, row.planned_ms_1, row.image_2, row.target) for row in study.scored} == {
        ("centre", None, "", None)
    }
    assert not any("exposure" in row.flags for row in study.responses)
    for condition, rate in {"alpha": 0.2, "beta": 0.6}.items():
        fakes, reals = (study.estimate(f"error_rate_on_{kind}", condition) for kind in ("fakes", "reals"))
        together = study.estimate("error_rate", condition)
        assert contains(fakes, rate)
        assert contains(reals, 0.3)
        assert contains(together, (rate + 0.3) / 2)
        assert together["value"] == pytest.approx((fakes["value"] + reals["value"]) / 2)
        assert study.estimate("fool_rate", condition)["value"] == fakes["value"]
        assert (
            f"misjudged {100 * together['value']:.1f} % of the images in {condition}’s sessions" in study.page
        )
        mine = [row for row in study.scored if row.condition == condition]
        (row,) = [row for row in study.table("main") if row["condition"] == condition]
        assert int(row["trials"]) == len(mine) // 2, "those that showed a fake"
        assert together["value"] == pytest.approx(sum(row.outcome == 0 for row in mine) / len(mine))


def test_a_timed_staircase_finds_the_time_that_observers_need(tmp_path: Path) -> None:
    study = run(tmp_path, "timed_staircase", "alpha=0.3", "beta=0.3", "real=0.3", scored=38, inputs=42)
    assert study.outcomes == ["finished"] * 2 * PEOPLE
    for session in {row.session for row in study.scored}:
        rows = [row for row in study.scored if row.session == session]
        for chain in (rows[::2], rows[1::2]):
            assert chain[0].planned_ms_1 == 500
            for before, after in itertools.pairwise(chain):
                assert before.planned_ms_1 is not None
                step = -30 if before.outcome == 1 else 10
                assert after.planned_ms_1 == max(100, before.planned_ms_1 + step)
        assert all((row.outcome == 1) == ((row.planned_ms_1 or 0) >= 300) for row in rows)
    for condition in ("alpha", "beta"):
        modal = study.estimate("modal_exposure", condition)
        # 30 down and 10 up around 300: the staircases go round 270, 280, 290, 300
        assert 270 <= modal["value"] <= 300
        assert modal["n"] == {"workers": PEOPLE, "trials": PEOPLE * 38}
        reversals = study.estimate("reversal_exposure", condition)["value"]
        assert 270 <= reversals <= 300
        assert "scored trials without, but for the exposure, which follows the answers;" in study.page
        assert f"met most often was {modal['value']:.1f} ms" in study.page
        each = [row for row in study.estimates if row["key"] == "modal_exposure_of_session"]
        assert len(each) == 2 * PEOPLE


def test_a_preference_is_a_share_of_pairs_and_never_a_fool_rate(tmp_path: Path) -> None:
    study = run(tmp_path, "preference", "alpha=0.7", shown_before="input", criterion="closer", scored=20)
    assert study.outcomes == ["finished"] * PEOPLE
    share = study.estimate("preference_share", "alpha", "beta")
    assert contains(share, 0.7)
    assert share["n"]["trials"] == PEOPLE * 20
    first = [row for row in study.scored if {row.condition_1, row.condition_2} == {"alpha", "beta"}]
    assert len(first) == len(study.scored)
    chosen = [row.condition_1 if row.choice == "first" else row.condition_2 for row in study.scored]
    assert share["value"] == pytest.approx(chosen.count("alpha") / len(chosen))
    assert all((row.condition_0, row.source_id_0) == ("input", row.source_id_1) for row in study.scored)
    assert all(row.source_id_1 == row.source_id_2 for row in study.scored)
    assert f"preferred alpha’s image to beta’s in {100 * share['value']:.1f} %" in study.page
    assert {row.question for row in study.scored} == {"closer"}


def test_input_matching_is_compared_with_chance(tmp_path: Path) -> None:
    study = run(tmp_path, "input_match", "alpha=0.1", "beta=0.5", scored=14, inputs=36)
    assert study.outcomes == ["finished"] * 2 * PEOPLE
    for condition, right in {"alpha": 0.9, "beta": 0.5}.items():
        share = study.estimate("input_match_share", condition)
        assert contains(share, right)
        assert f"of {condition} that belongs to the input in {100 * share['value']:.1f} %" in study.page
    for row in study.scored:
        sources = [row.source_id_1, row.source_id_2]
        assert row.condition_0 == "input"
        assert row.target is not None
        assert sources[row.target - 1] == row.source_id_0
        assert sources[0] != sources[1]
        assert row.condition_1 == row.condition_2 == row.condition
    for session in {row.session for row in study.responses}:
        shown = [
            s for row in study.responses if row.session == session for s in (row.source_id_1, row.source_id_2)
        ]
        assert len(shown) == len(set(shown))
