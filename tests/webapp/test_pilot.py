"""A pilot: so many sessions, apart from the study, without a freeze, and what it tells for planning."""

import collections
import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from evalkit.cli.study_data import status
from evalkit.cli.study_serve import serve
from studies.errors import UserError
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person, arrive, states
from webapp import export, sessions
from webapp.freeze import FROZEN
from webapp.hosting import HostedStudy
from webapp.planning import PlanningFigures, in_words, planning_figures
from webapp.tables import PlaceRow


@pytest.fixture
def database_url(folder: Path) -> str:
    """Where the commands look for it."""
    return f"sqlite:///{folder / 'study.sqlite'}"


def places(hosted: HostedStudy) -> list[tuple[str, int]]:
    with hosted.database.read() as db:
        query = select(PlaceRow.condition, PlaceRow.place_index)
        here = query.where(PlaceRow.study == hosted.study.id, PlaceRow.data == hosted.data)
        return [(condition, index) for condition, index in db.execute(here.order_by(PlaceRow.queue_position))]


def figures(hosted: HostedStudy) -> PlanningFigures:
    return planning_figures(
        hosted.study, export.responses(hosted), export.sessions(hosted), export.arrivals(hosted)
    )


def test_a_pilot_of_four_has_the_first_blocks_of_the_queue_and_ends_after_four_sessions(
    hosting: Hosting, folder: Path
) -> None:
    hosted = hosting("pilot", pilot_sessions=4)
    assert collections.Counter(places(hosted)) == {(name, k): 1 for name in ("alpha", "beta") for k in (0, 1)}
    for number in range(4):
        Person.begin(hosted, f"w{number}").walk()
    assert arrive(hosted, "late") == "full"
    assert not (folder / FROZEN).exists()
    live = hosting("live")
    assert len(places(live)) == 6
    assert arrive(live, "w0") == "returning"


def test_a_pilot_may_be_made_larger_and_smaller_but_loses_no_place_that_somebody_held(
    hosting: Hosting,
) -> None:
    first = hosting("pilot", pilot_sessions=3)
    Person.begin(first, "w1").walk()
    Person.begin(first, "w2")
    before = places(first)
    assert len(before) == 3
    larger = hosting("pilot", pilot_sessions=5)
    assert places(larger)[:3] == before
    assert len(places(larger)) == 5
    assert len(places(hosting("pilot"))) == 5  # without a number it goes on as it was
    assert places(hosting("pilot", pilot_sessions=1)) == before[:2]
    assert states(larger) == {"finished": 1, "active": 1}


def test_a_pilot_larger_than_the_study_has_all_its_places(hosting: Hosting) -> None:
    assert len(places(hosting("pilot", pilot_sessions=50))) == 6


def test_only_a_pilot_is_cut(hosting: Hosting) -> None:
    assert len(places(hosting("live", pilot_sessions=2))) == 6


def test_the_figures_of_a_pilot_are_those_of_its_sessions(hosting: Hosting, clock: Clock) -> None:
    hosted = hosting("pilot", pilot_sessions=5)
    assert figures(hosted) == PlanningFigures(0, 0, *[None] * 7, checks_answered=0, failed_checks_share=None)
    paid = hosted.study.recruitment.model_copy(update={"reward_cents": 100})
    hosted = dataclasses.replace(hosted, study=hosted.study.model_copy(update={"recruitment": paid}))
    for number, minutes in enumerate((4, 6, 9)):
        person = Person.begin(hosted, f"w{number}").walk(3)
        if number == 0:
            person.spoil()
        clock.advance(minutes)
        person.walk()
    sessions.stop(hosted, Person.begin(hosted, "leaves").token)
    Person.begin(hosted, "still there")
    arrive(hosted, "looks only")
    found = figures(hosted)
    assert (found.sessions_begun, found.sessions_finished, found.dropout_share) == (5, 3, 0.25)
    assert found.left_at_consent_share == pytest.approx(1 / 6)
    assert (found.median_minutes, found.longest_minutes) == (6.0, 9.0)
    assert found.reward_cents_per_hour == 1000.0
    assert found.void_share == pytest.approx(1 / 19)
    assert found.median_rt_ms == 640.0
    assert in_words(found, "GBP")[:2] == [
        "3 of 5 sessions finished",
        "Duration: median 6.0 min, longest 9.0 min, which is 10.00 GBP per hour",
    ]


def test_status_tells_planning_figures_and_no_fool_rate(hosting: Hosting, clock: Clock, folder: Path) -> None:
    person = Person.begin(hosting("pilot", pilot_sessions=2), "w1")
    clock.advance(5)
    person.walk()
    run = CliRunner().invoke(status, [str(folder), "--data", "pilot", "--json"], catch_exceptions=False)
    told = json.loads(run.output)
    assert told["planning"]["median_minutes"] == 5.0
    assert "rate" not in set(told) | set(told["planning"])
    assert sum(row["quota"] for row in told["conditions"]) == 2
    words = CliRunner().invoke(status, [str(folder), "--data", "pilot"], catch_exceptions=False).output
    assert "Duration: median 5.0 min" in words
    assert "fool" not in words


def test_a_pilot_of_a_study_that_collects_real_data_is_refused(hosting: Hosting, folder: Path) -> None:
    Person.begin(hosting("live"), "w1")
    with pytest.raises(UserError, match="whoever takes part in a pilot cannot take part again"):
        CliRunner().invoke(serve, [str(folder), "--pilot", "3"], catch_exceptions=False)


@pytest.mark.parametrize("typed", ["0", "ten", "small"])
def test_a_number_of_pilot_sessions_that_is_none_is_refused(folder: Path, typed: str) -> None:
    with pytest.raises(
        UserError, match=rf"--pilot {typed}: not a number of sessions\. Write the folder first"
    ):
        CliRunner().invoke(serve, [str(folder), "--pilot", typed], catch_exceptions=False)
