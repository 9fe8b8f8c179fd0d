"""Whatever people do and in whatever order: quotas are exact, no place has two holders, and nobody is stuck."""

import collections
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from studies.records import Trial
from tests.made_up_study import make_study
from tests.webapp.people import Clock, Person, hashed, refusal
from webapp import sessions
from webapp.config import ServerConfig, load_secret_key
from webapp.hosting import HostedStudy, discard, host, prepare
from webapp.tables import PlaceRow, SessionRow, StudyRow

QUOTA = 2
CHOICE = st.integers(0, 1_000)


class Crowd(RuleBasedStateMachine):
    """People who arrive, answer, leave, come back and are sent away, in any order."""

    def __init__(self, hosted: HostedStudy, clock: Clock) -> None:
        super().__init__()
        self.hosted, self.clock = hosted, clock
        self.people: list[Person] = []
        self.over: dict[str, str] = {}
        with hosted.database.write() as db:
            discard(db, hosted.study.id, hosted.data)
        prepare(hosted)

    def _one(self, which: int) -> Person:
        return self.people[which % len(self.people)]

    def _set_state(self, state: str) -> None:
        with self.hosted.database.write() as db:
            db.get_one(StudyRow, (self.hosted.study.id, self.hosted.data)).state = state

    def _arrive(self) -> Person | None:
        name = f"w{len(self.people)}-{self.clock.now}"
        welcome, arrival = sessions.arrive(self.hosted, hashed(self.hosted, name), None)
        if welcome != "consent":
            return None
        admission = sessions.claim(self.hosted, hashed(self.hosted, name), arrival, "1")
        person = Person(self.hosted, name, admission.session, admission.token)
        person.reload()
        self.people.append(person)
        return person

    @rule()
    def somebody_arrives(self) -> None:
        self._arrive()

    @precondition(lambda self: self.people)
    @rule(which=CHOICE, trials=st.integers(1, 3))
    def somebody_answers(self, which: int, trials: int) -> None:
        person = self._one(which)
        if person.row.state == "active":
            person.walk(trials)
            return
        if person.orders:  # the page does not know yet; then it asks where the session stands, and goes on
            assert refusal(person.begun)[1] in ("expired", "stopped")
        if person.reload()["trials"]:
            person.walk(trials)

    @precondition(lambda self: self.people)
    @rule(which=CHOICE)
    def somebody_comes_back(self, which: int) -> None:
        self._one(which).reload()

    @precondition(lambda self: self.people)
    @rule(which=CHOICE)
    def somebody_only_reads(self, which: int) -> None:
        person = self._one(which)
        assert sessions.alive(self.hosted, person.token, person.page) == person.row.state

    @precondition(lambda self: self.people)
    @rule(which=CHOICE)
    def somebody_stops(self, which: int) -> None:
        sessions.stop(self.hosted, self._one(which).token)

    @precondition(lambda self: self.people)
    @rule(which=CHOICE, state=st.sampled_from(("stopped", "expired")))
    def the_panel_gives_a_place_away(self, which: int, state: str) -> None:
        sessions.release(self.hosted, self._one(which).session, state, "panel")  # type: ignore[arg-type]

    @rule(minutes=st.sampled_from((1, 20, 31)))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(minutes)

    @rule(state=st.sampled_from(("open", "open", "paused")))
    def the_researcher_decides(self, state: str) -> None:
        self._set_state(state)

    def _rows(self) -> list[tuple[SessionRow, PlaceRow]]:
        here = (SessionRow.study == self.hosted.study.id, SessionRow.data == self.hosted.data)
        with self.hosted.database.read() as db:
            query = select(SessionRow, PlaceRow).join(PlaceRow).where(*here)
            return [(row, place) for row, place in db.execute(query)]

    @invariant()
    def no_place_has_two_holders_and_no_quota_overflows(self) -> None:
        rows = self._rows()
        held = collections.Counter(row.place_id for row, _ in rows if row.state in ("active", "finished"))
        assert not held or max(held.values()) == 1
        assert all(count <= QUOTA for count in self._finished(rows).values())

    @invariant()
    def what_was_finished_or_stopped_stays_so(self) -> None:
        now = {row.id: row.state for row, _ in self._rows()}
        assert all(now[session] == state for session, state in self.over.items())
        self.over |= {session: state for session, state in now.items() if state in ("finished", "stopped")}

    @staticmethod
    def _finished(rows: list[tuple[SessionRow, PlaceRow]]) -> dict[str, int]:
        return collections.Counter(place.condition for row, place in rows if row.state == "finished")

    def teardown(self) -> None:
        """When people keep coming and nobody disturbs them, every quota is filled, exactly."""
        self._set_state("open")
        self.clock.advance(31)
        for _ in range(2 * QUOTA):
            person = self._arrive()
            if person is not None:
                assert person.walk().stage == "finished"
        assert self._arrive() is None
        rows = self._rows()
        assert self._finished(rows) == {"alpha": QUOTA, "beta": QUOTA}
        assert {row.state for row, _ in rows} <= {"finished", "stopped", "expired"}
        lists: dict[int, list[list[object]]] = {}
        for person in self.people:
            lists.setdefault(person.place.place_index, []).append([_shown(trial) for trial in person.sent()])
        for same in lists.values():
            whole = max(same, key=len)
            assert all(one == whole[: len(one)] for one in same)


def _shown(trial: Trial) -> object:
    """What a trial shows, but for the algorithm: the same for equal k."""
    return trial.phase, trial.target, [(slot.source_id, slot.side) for slot in trial.slots]


@pytest.fixture(scope="module")
def tiny_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 algorithms x 2 places, 1 + 2 trials and an attention check; nothing to replace a void trial."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    return make_study(
        folder,
        study={"participants_per_condition": QUOTA},
        protocol={"practice": 1, "scored": 2, "reserve": 0},
        checks={"share": 0.5},
    )


def test_whatever_people_do_quotas_stay_exact_and_nobody_is_stuck(
    tiny_study: Path, database_url: str
) -> None:
    clock = Clock()
    hosted = host(ServerConfig(tiny_study, "simulated", load_secret_key(tiny_study), database_url), clock)
    prepare(hosted)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis
        lambda: Crowd(hosted, clock),
        settings=settings(
            max_examples=5, stateful_step_count=20, deadline=None, derandomize=True, database=None
        ),
    )
    hosted.database.close()
