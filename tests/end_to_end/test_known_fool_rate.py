"""A whole simulated study whose truth is known: the numbers at its end must say what went in at its start."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.analyses import analyze
from evalkit.cli.numbers import run_analysis
from evalkit.cli.study_simulate import run_simulation
from studies.errors import UserError
from studies.records import Response, Session, read_csv
from tests.made_up_study import make_study

RATES = {"alpha": 0.2, "beta": 0.45}
PEOPLE, SCORED = 20, 20


@dataclasses.dataclass(frozen=True)
class Finished:
    """A study that simulated people went through."""

    folder: Path
    outcomes: list[str]
    responses: list[Response]
    sessions: list[Session]
    estimates: list[dict[str, Any]]

    def estimate(self, key: str, condition: str) -> dict[str, Any]:
        (record,) = [r for r in self.estimates if (r["key"], r["condition"]) == (key, condition)]
        return record


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = make_study(
        tmp_path_factory.mktemp("known") / "small",
        inputs=50,
        study={"participants_per_condition": PEOPLE},
        protocol={"practice": 4, "scored": SCORED, "reserve": 1},
    )
    rates = tuple(f"{name}={rate}" for name, rate in RATES.items())
    outcomes = run_simulation(folder, None, "known", rates, 3, replace=False)
    path = run_analysis(folder, None)  # finds the simulated data by itself, for lack of others
    assert path == folder / "simulated" / "estimates.jsonl"
    return Finished(
        folder,
        outcomes,
        read_csv(folder / "simulated" / "responses.csv", Response),
        read_csv(folder / "simulated" / "sessions.csv", Session),
        [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()],
    )


def test_everybody_finishes_and_every_answer_is_there(study: Finished) -> None:
    assert study.outcomes == ["finished"] * 2 * PEOPLE
    assert [row.state for row in study.sessions] == ["finished"] * 2 * PEOPLE
    assert len(study.responses) == 2 * PEOPLE * (4 + SCORED)
    assert {row.choice for row in study.responses} == {"first", "second"}


@pytest.mark.parametrize("condition", sorted(RATES))
def test_the_interval_of_each_algorithm_contains_its_known_rate_and_is_not_absurdly_wide(
    study: Finished, condition: str
) -> None:
    for key in ("fool_rate", "fool_rate_worker_bootstrap"):
        record = study.estimate(key, condition)
        interval = record["interval"]
        assert interval["low"] < RATES[condition] < interval["high"], key
        # 400 answers: 4 x the standard error of independent ones is 0.08 and 0.10
        assert 0.03 < interval["high"] - interval["low"] < 0.16, key
        assert interval["confidence_level"] == 0.95
        assert record["n"]["trials"] == PEOPLE * SCORED
        mine = [r for r in study.responses if r.condition == condition and r.phase == "scored"]
        assert record["value"] == pytest.approx(sum(r.fooled or 0.0 for r in mine) / len(mine))


def test_the_difference_contains_the_known_difference(study: Finished) -> None:
    record = study.estimate("fool_rate_difference", "alpha")
    assert record["versus"] == "beta"
    known = RATES["alpha"] - RATES["beta"]
    assert record["interval"]["low"] < known < record["interval"]["high"] < 0
    assert record["interval"]["high"] - record["interval"]["low"] < 0.22


def test_every_estimate_says_that_no_person_answered(study: Finished) -> None:
    assert len(study.estimates) > 20
    for record in study.estimates:
        assert record["provenance"]["data"] == "simulated", record["key"]
        assert record["provenance"]["observer"] == "known", record["key"]
    assert {row.data for row in study.responses} == {"simulated"}
    assert {row.observer for row in study.sessions} == {"known"}
    assert not (study.folder / "live").exists()
    assert not (study.folder / "frozen.json").exists()


def test_the_kth_lists_of_both_algorithms_are_equal(study: Finished) -> None:
    lists: dict[tuple[str, int], list[object]] = {}
    for session in study.sessions:
        rows = sorted(
            (row for row in study.responses if row.session == session.session),
            key=lambda row: row.trial_index,
        )
        lists[session.condition, session.place_index] = [
            (row.phase, row.source_id_1, row.source_id_2, row.side_1, row.side_2, row.fake_slot, row.target)
            for row in rows
        ]
    assert len(lists) == 2 * PEOPLE
    for index in range(PEOPLE):
        assert lists["alpha", index] == lists["beta", index]
    assert lists["alpha", 0] != lists["alpha", 1]


def test_each_image_is_scored_equally_often_first_and_second_left_and_right(study: Finished) -> None:
    for condition in RATES:
        rows = [row for row in study.responses if row.condition == condition and row.phase == "scored"]
        views: dict[str, list[Response]] = {}
        for row in rows:
            views.setdefault(row.image_1 if row.fake_first else row.image_2, []).append(row)
        counts = {len(shown) for shown in views.values()}
        assert counts == {PEOPLE * SCORED // 50}
        for shown in views.values():
            assert abs(sum(1 if row.fake_first else -1 for row in shown)) <= 1
            assert abs(sum(1 if row.fake_side == "left" else -1 for row in shown)) <= 1


def test_no_session_sees_an_image_twice(study: Finished) -> None:
    for session in study.sessions:
        rows = [row for row in study.responses if row.session == session.session]
        images = [image for row in rows for image in (row.image_1, row.image_2)]
        assert len(images) == len(set(images)) == 2 * (4 + SCORED)


def test_the_same_files_give_the_same_estimates(study: Finished) -> None:
    path = study.folder / "simulated" / "estimates.jsonl"
    before = path.read_bytes()
    analyze(study.folder, "simulated")
    assert path.read_bytes() == before


def test_simulated_data_are_not_replaced_unasked(study: Finished) -> None:
    with pytest.raises(UserError) as error:
        run_simulation(study.folder, None, "known", (), 3, replace=False)
    assert str(error.value) == (
        f"{study.folder}: {2 * PEOPLE} simulated sessions are there already. --replace discards them."
    )


def test_the_same_seed_gives_the_same_answers(tmp_path: Path) -> None:
    """Who gets which place does not depend on which of the simultaneous participants is quicker."""

    def simulated(name: str) -> list[tuple[object, ...]]:
        folder = make_study(tmp_path / name, protocol={"scored": 2})
        run_simulation(folder, None, "seeing", (), 7, replace=False)
        run_analysis(folder, "simulated")
        rows = read_csv(folder / "simulated" / "responses.csv", Response)
        return [(row.condition, row.image_1, row.image_2, row.choice, row.rt_ms) for row in rows]

    assert simulated("one") == simulated("two")
