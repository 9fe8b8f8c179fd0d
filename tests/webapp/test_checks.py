"""Attention checks on the server: alike for the page, graded apart, and in no rate."""

from pathlib import Path
from typing import Any

import pytest

from evalkit.analyses import analyze
from evalkit.responses import ResponseTable, build_table
from evalkit.results import Estimate, read_results
from studies.records import CHECK, NOT_GENERATED, Trial
from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import Person
from webapp import admin, export
from webapp.hosting import HostedStudy
from webapp.planning import planning_figures

PRACTICE, SCORED, CHECKS = 2, 4, 2


def with_checks(folder: Path, **settings: Any) -> Path:
    return make_named_study(folder, inputs=40, **{"checks": {"share": 0.5}, **settings})


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite only: nothing here differs between databases."""
    return f"sqlite:///{tmp_path / 'database.sqlite'}"


@pytest.fixture(scope="module")
def checked_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_checks(tmp_path_factory.mktemp("checked") / "checked", exclusions={"max_failed_checks": 1})


@pytest.fixture
def hosted(hosting: Hosting, checked_study: Path) -> HostedStudy:
    """2 algorithms x 3 places, 2 + 4 trials and 2 checks among the scored ones."""
    return hosting("simulated", where=checked_study)


def right(trial: Trial) -> str:
    return "first" if trial.target == 1 else "second"


def wrong(trial: Trial) -> str:
    return "second" if trial.target == 1 else "first"


def walk(person: Person, *, fail_checks: int = 0, fooled: bool = True) -> Person:
    """Answers every scored trial wrongly (or rightly), and so many checks too."""
    while person.orders:
        trial = person.truth(person.ids[0])
        mistaken = fooled
        if trial.phase == "check":
            mistaken, fail_checks = fail_checks > 0, fail_checks - 1
        person.answer(wrong(trial) if mistaken else right(trial))
    return person


def table(hosted: HostedStudy) -> ResponseTable:
    rows = export.responses(hosted), export.sessions(hosted), export.arrivals(hosted)
    return build_table(*rows, hosted.study)


def test_the_page_cannot_tell_a_check_from_a_scored_trial(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(PRACTICE)
    shapes, numbers, phases = set(), [], []
    while person.orders:
        order = person.orders[0]
        phases.append(person.truth(order["id"]).phase)
        numbers.append((order["phase"], order["number"], order["of"]))
        assert person.stage == "scored"
        kinds = [(frame["kind"], frame.get("ms")) for frame in order["schedule"]]
        lengths = {len(person.image(address)) for address in order["images"].values()}
        shapes.add((tuple(order), tuple(kinds), tuple(order["images"]), frozenset(lengths)))
        reply = person.answer()
        assert set(reply) == {"stage", "position", "trials"}
        assert "check" not in repr(reply)
    assert sorted(phases) == ["check"] * CHECKS + ["scored"] * SCORED
    assert numbers == [("scored", number, SCORED + CHECKS) for number in range(1, SCORED + CHECKS + 1)]
    assert len(shapes) == 1


def test_checks_are_graded_and_stand_in_no_fool_rate(hosted: HostedStudy) -> None:
    walk(Person.begin(hosted, "w1"), fail_checks=1, fooled=False)
    walk(Person.begin(hosted, "w2"), fooled=True)
    rows = export.responses(hosted)
    checks = [row for row in rows if row.phase == "check"]
    assert len(checks) == 2 * CHECKS
    assert [row.outcome for row in checks].count(0.0) == 1
    for row in checks:
        assert row.condition in ("alpha", "beta")
        assert row.run is None
        assert CHECK in (row.condition_1, row.condition_2)
    found = table(hosted)
    assert len(found.trials) == 2 * SCORED
    assert sorted(found.primary.groupby("session")["fooled"].mean()) == [0.0, 1.0]
    for status in admin.condition_statuses(hosted):
        assert (status.answers, status.missing) == (SCORED, 0)


def test_a_session_that_fails_more_checks_than_allowed_is_excluded_with_its_reason(
    hosted: HostedStudy,
) -> None:
    people = [walk(Person.begin(hosted, f"w{failed}"), fail_checks=failed) for failed in range(3)]
    sessions = table(hosted).sessions.set_index("session")
    assert [sessions.loc[person.session, "failed_checks"] for person in people] == [0, 1, 2]
    assert [sessions.loc[person.session, "excluded"] for person in people] == [
        "",
        "",
        "more than 1 failed attention checks",
    ]


def test_by_default_nobody_is_excluded_for_checks_and_all_of_them_are_counted(
    hosting: Hosting, tmp_path: Path
) -> None:
    hosted = hosting("simulated", where=with_checks(tmp_path / "free"))
    walk(Person.begin(hosted, "w1"), fail_checks=2)
    walk(Person.begin(hosted, "w2"), fail_checks=1)
    assert set(table(hosted).sessions["excluded"]) == {""}
    export.export(hosted)
    results = read_results(analyze(hosted.config.folder, "simulated"))
    counted = {
        key: sum(one.value or 0 for one in results if isinstance(one, Estimate) and one.key == key)
        for key in ("checks", "checks_failed", "sessions_analysed", "trials")
    }
    assert counted == {"checks": 4, "checks_failed": 3, "sessions_analysed": 2, "trials": 2 * SCORED}
    figures = planning_figures(
        hosted.study, *(read(hosted) for read in (export.responses, export.sessions)), []
    )
    assert (figures.checks_answered, figures.failed_checks_share) == (4, 0.75)


def test_two_broken_rules_are_both_named(hosted: HostedStudy) -> None:
    strict = hosted.study.exclusions.model_copy(update={"max_void_trials": 0})
    person = Person.begin(hosted, "w1").walk(PRACTICE)
    while person.truth(person.ids[0]).phase == "check":
        person.answer(wrong(person.truth(person.ids[0])))
    person.spoil()
    walk(person, fail_checks=2)
    study = hosted.study.model_copy(update={"exclusions": strict})
    rows = export.responses(hosted), export.sessions(hosted), export.arrivals(hosted)
    (reason,) = build_table(*rows, study).sessions["excluded"]
    assert reason == "more than 0 void scored trials; more than 1 failed attention checks"


def test_a_void_check_is_not_replaced_and_neither_passed_nor_failed(hosted: HostedStudy) -> None:
    person, spoilt = Person.begin(hosted, "w1").walk(PRACTICE), 0
    while person.orders:
        if person.truth(person.ids[0]).phase == "check" and not spoilt:
            person.spoil()
            spoilt += 1
        else:
            person.answer(right(person.truth(person.ids[0])))
    assert person.stage == "finished"
    sent = person.sent()
    assert len(sent) == PRACTICE + SCORED + CHECKS
    assert {trial.attempt for trial in sent} == {0}
    row = table(hosted).sessions.iloc[0]
    assert (row["checks"], row["failed_checks"], row["void_trials"]) == (1, 0, 0)


def test_checks_of_mixed_sessions_belong_to_no_algorithm(hosting: Hosting, tmp_path: Path) -> None:
    folder = with_checks(tmp_path / "within", study={"design": "within"})
    hosted = hosting("simulated", where=folder)
    walk(Person.begin(hosted, "w1"))
    rows = export.responses(hosted)
    assert {row.condition for row in rows if row.phase == "check"} == {""}
    assert len(table(hosted).trials) == SCORED


def test_a_protocol_with_one_image_shows_the_obvious_fake_alone(hosting: Hosting, tmp_path: Path) -> None:
    folder = with_checks(tmp_path / "one", protocol={"name": "yes_no"}, analysis={"planned": ["error_rate"]})
    hosted = hosting("simulated", where=folder)
    person = Person.begin(hosted, "w1")
    while person.orders:
        trial = person.truth(person.ids[0])
        if trial.phase == "check":
            assert [slot.condition for slot in trial.slots] == [CHECK]
        person.answer("fake")
    checks = [row for row in export.responses(hosted) if row.phase == "check"]
    assert [row.outcome for row in checks] == [1.0] * CHECKS
    scored = [row for row in export.responses(hosted) if row.phase == "scored"]
    assert all(CHECK not in (row.condition_1, row.condition_2) for row in scored)


def test_no_scored_trial_ever_shows_an_obvious_fake(hosted: HostedStudy) -> None:
    for number in range(6):
        person = Person.begin(hosted, f"w{number}")
        for trial in (*person.plan.trials, *person.plan.reserve):
            fakes = {slot.condition for slot in trial.slots} - {"real"}
            assert (fakes == {CHECK}) == (trial.phase == "check")
            assert fakes <= {CHECK, "alpha", "beta"}
            assert fakes.isdisjoint(set(NOT_GENERATED) - {CHECK})


def test_a_void_check_disturbs_no_session(hosting: Hosting, tmp_path: Path) -> None:
    folder = with_checks(tmp_path / "void", exclusions={"max_void_trials": 1})
    hosted = hosting("simulated", where=folder)
    for spoilt, flags in (("check", ""), ("scored", "disturbed")):
        person = Person.begin(hosted, spoilt).walk(PRACTICE)
        while person.truth(person.ids[0]).phase != spoilt:
            person.answer(right(person.truth(person.ids[0])))
        person.spoil()
        (told,) = (row.flags for row in export.sessions(hosted) if row.session == person.session)
        assert told == flags
