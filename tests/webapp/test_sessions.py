"""Who gets a place, who comes back to it, and who gets it next."""

import collections
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from studies.design import load_study
from studies.errors import UserError
from studies.stimuli import build_bundle
from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import Clock, Person, arrive, dump, hashed, refusal, row_counts, states
from webapp import export, freeze, sessions
from webapp.hosting import HostedStudy
from webapp.tables import SessionRow, StudyRow

PLACES = 6


def fill(hosted: HostedStudy, count: int = PLACES) -> list[Person]:
    return [Person.begin(hosted, f"filler-{number}") for number in range(count)]


def test_places_are_handed_out_in_blocks_so_that_conditions_stay_balanced(hosted: HostedStudy) -> None:
    places = [person.place for person in fill(hosted)]
    for block in range(3):
        pair = places[2 * block : 2 * block + 2]
        assert {place.condition for place in pair} == {"alpha", "beta"}
        assert [place.place_index for place in pair] == [block, block]


def test_the_kth_places_of_all_conditions_show_the_same_inputs_in_the_same_order(hosted: HostedStudy) -> None:
    def without_condition(person: Person) -> list[object]:
        plan = person.plan
        return [
            (trial.phase, trial.target, [(slot.source_id, slot.side, slot.run) for slot in trial.slots])
            for trial in (*plan.trials, *plan.reserve)
        ]

    people = fill(hosted)
    for one, other in zip(people[::2], people[1::2], strict=True):
        assert one.place.condition != other.place.condition
        assert without_condition(one) == without_condition(other)


@pytest.mark.parametrize("second", ["live", "pilot"])
def test_a_worker_has_one_session_over_live_and_pilot_data(hosting: Hosting, second: str) -> None:
    first, later = hosting("pilot" if second == "live" else "live"), hosting(second)
    Person.begin(first, "w1")
    before = row_counts(later)["sessions"]
    assert arrive(later, "w1") == "returning"
    claim = (sessions.claim, later, hashed(later, "w1"), None, "1")
    assert refusal(*claim) == (403, "returning", "You have already taken part.")
    assert row_counts(later)["sessions"] == before


def test_a_rehearsal_counts_for_nobody(hosting: Hosting) -> None:
    for data in ("simulated", "preview", "live"):
        Person.begin(hosting(data), "w1")
    assert arrive(hosting("pilot"), "w1") == "returning"


def test_studies_that_name_one_scope_share_one_session_per_worker(hosting: Hosting, tmp_path: Path) -> None:
    one, two = (
        make_named_study(tmp_path / name, study={"id": name, "scope": "both"}) for name in ("one", "two")
    )
    (two / "secret.key").write_bytes((one / "secret.key").read_bytes())
    Person.begin(hosting(where=one), "w1")
    later = hosting(where=two)
    assert arrive(later, "w1") == "returning"
    assert arrive(later, "w2") == "consent"


def test_a_returning_worker_without_the_cookie_is_refused_and_nothing_is_claimed(hosted: HostedStudy) -> None:
    Person.begin(hosted, "w1").walk(1)
    before = row_counts(hosted)
    assert arrive(hosted, "w1") == "returning"
    assert arrive(hosted, "w1", "a token that was never given out") == "returning"
    after = row_counts(hosted)
    assert after.pop("arrivals") == before.pop("arrivals") + 2
    assert after == before


def test_another_workers_cookie_does_not_open_a_session(hosted: HostedStudy) -> None:
    Person.begin(hosted, "w1")
    other = Person.begin(hosted, "w2")
    assert arrive(hosted, "w1", other.token) == "returning"


def test_a_returning_worker_with_the_cookie_goes_on_where_it_was(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    before = person.ids
    assert arrive(hosted, "w1", person.token) == "resumed"
    assert person.reload()["stage"] == "scored"
    assert person.ids == before


def test_who_comes_when_all_is_full_is_refused_and_may_come_again(hosted: HostedStudy) -> None:
    people = fill(hosted)
    before = row_counts(hosted)["sessions"]
    assert arrive(hosted, "late") == "full"
    claim = (sessions.claim, hosted, hashed(hosted, "late"), None, "1")
    assert refusal(*claim) == (403, "full", "All places are taken at the moment.")
    assert row_counts(hosted)["sessions"] == before
    sessions.stop(hosted, people[2].token)
    late = Person.begin(hosted, "late")
    assert late.row.place_id == people[2].row.place_id


def test_stop_gives_the_place_with_its_list_to_the_next_arrival(hosted: HostedStudy) -> None:
    first = Person.begin(hosted, "w1")
    first.walk(3)
    sessions.stop(hosted, first.token)
    heir = Person.begin(hosted, "w2").walk()
    assert heir.row.place_id == first.row.place_id
    shown = first.sent()
    assert heir.sent()[: len(shown)] == shown  # same inputs, order, sides, partners, run
    assert (first.row.state, heir.row.state) == ("stopped", "finished")


def test_what_was_answered_before_a_stop_stays(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    sessions.stop(hosted, person.token)
    assert len(export.responses(hosted)) == 3
    assert person.reload() == {"stage": "stopped", "position": None, "trials": []}
    trial = row_counts(hosted)["trials"]
    assert refusal(person.begun, trial) == (409, "stopped", "This session is over.")
    assert arrive(hosted, "w1") == "returning"


def test_a_comment_is_kept_without_what_a_database_cannot_hold(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk()
    sessions.comment(hosted, person.token, " a\0b ☂ ")
    assert person.row.comment == "ab ☂"


def test_a_stop_after_the_end_takes_nothing_back(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk()
    sessions.stop(hosted, person.token)
    assert person.row.state == "finished"


def test_a_lease_that_ran_out_gives_the_place_away(hosted: HostedStudy, clock: Clock) -> None:
    people = fill(hosted)
    clock.advance(29)
    assert arrive(hosted, "late") == "full"
    people[0].walk(1)  # a sign of life renews the lease
    clock.advance(2)
    late = Person.begin(hosted, "late")
    assert late.row.place_id == people[1].row.place_id
    assert people[0].row.state == "active"
    assert people[1].row.state == "expired"


def test_who_returns_after_the_lease_resumes_while_the_place_is_free(
    hosted: HostedStudy, clock: Clock
) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    clock.advance(31)
    assert arrive(hosted, "somebody else") == "consent"  # looks for a place, which ends the old lease
    assert person.row.state == "expired"
    assert refusal(person.begun) == (409, "expired", "This session is over.")
    person.reload()
    assert person.row.state == "active"
    assert person.walk().stage == "finished"


def test_who_returns_after_the_place_went_to_somebody_else_is_told_so(
    hosted: HostedStudy, clock: Clock
) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    clock.advance(31)
    heir = Person.begin(hosted, "w2")
    assert heir.row.place_id == person.row.place_id
    assert person.reload() == {"stage": "expired", "position": None, "trials": []}
    assert person.row.state == "expired"
    assert heir.walk().stage == "finished"
    assert person.reload()["stage"] == "expired"


def test_a_lease_that_ran_out_unnoticed_is_renewed_by_its_owner(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(600)
    assert person.walk().stage == "finished"


def test_the_quota_counts_finished_sessions(hosted: HostedStudy, clock: Clock) -> None:
    for round_ in range(3):  # everybody leaves: the quota is as free as before
        for number in range(PLACES):
            sessions.stop(hosted, Person.begin(hosted, f"leaver-{round_}-{number}").token)
    for number in range(PLACES):
        assert Person.begin(hosted, f"stayer-{number}").walk().stage == "finished"
    clock.advance(10_000)
    assert arrive(hosted, "late") == "full"
    finished = [row for row in export.sessions(hosted) if row.state == "finished"]
    assert collections.Counter(row.condition for row in finished) == {"alpha": 3, "beta": 3}
    assert states(hosted) == {"stopped": 3 * PLACES, "finished": PLACES}


def test_a_place_has_at_most_one_holder_in_the_database_itself(hosted: HostedStudy) -> None:
    from sqlalchemy.exc import IntegrityError

    person = Person.begin(hosted, "w1")
    row = person.row
    values = {column.name: getattr(row, column.name) for column in SessionRow.__table__.columns}
    double = SessionRow(**values | {"id": "other", "worker": "other", "token": "other"})
    with pytest.raises(IntegrityError), hosted.database.write() as db:
        db.add(double)
    stopped = SessionRow(**values | {"id": "third", "worker": "third", "token": "third", "state": "stopped"})
    with hosted.database.write() as db:
        db.add(stopped)
    assert states(hosted) == {"active": 1, "stopped": 1}


def test_every_arrival_is_kept_with_what_became_of_it(hosted: HostedStudy) -> None:
    people = fill(hosted, 5)
    arrive(hosted, "looked only")
    arrive(hosted, "filler-0")
    arrive(hosted, "filler-1", people[1].token)
    Person.begin(hosted, "the last")
    arrive(hosted, "too late")
    kept = export.arrivals(hosted)
    outcomes = [row.outcome for row in kept]
    assert outcomes == ["admitted"] * 5 + ["consent", "returning", "resumed", "admitted", "full"]
    assert [bool(row.condition) for row in kept] == [outcome == "admitted" for outcome in outcomes]
    assert kept[6].worker == hashed(hosted, "filler-0")


def test_an_arrival_that_finds_the_last_place_gone_at_consent_is_kept_as_full(hosted: HostedStudy) -> None:
    fill(hosted, 5)
    welcome, arrival = sessions.arrive(hosted, hashed(hosted, "slow"), None)
    assert welcome == "consent"
    Person.begin(hosted, "quick")
    claim = (sessions.claim, hosted, hashed(hosted, "slow"), arrival, "1")
    assert refusal(*claim)[1] == "full"
    assert [row.outcome for row in export.arrivals(hosted)][5:] == ["full", "admitted"]


def test_an_arrival_that_consents_twice_is_kept_as_returning(hosted: HostedStudy) -> None:
    worker = hashed(hosted, "w1")
    arrivals = [sessions.arrive(hosted, worker, None)[1] for _ in range(2)]
    sessions.claim(hosted, worker, arrivals[0], "1")
    assert refusal(sessions.claim, hosted, worker, arrivals[1], "1")[1] == "returning"
    assert [row.outcome for row in export.arrivals(hosted)] == ["admitted", "returning"]


def test_a_claim_repeated_with_the_same_token_finds_the_session_of_the_first(hosted: HostedStudy) -> None:
    worker, token = hashed(hosted, "w1"), sessions.new_token()
    fill(hosted, PLACES - 1)
    first = sessions.claim(hosted, worker, None, "1", token)
    assert sessions.claim(hosted, worker, None, "1", token) == first
    assert row_counts(hosted)["sessions"] == PLACES
    stolen = (sessions.claim, hosted, hashed(hosted, "w2"), None, "1", token)
    assert refusal(*stolen)[1] in ("full", "returning")


def test_the_first_live_session_freezes_the_study(hosted: HostedStudy, clock: Clock) -> None:
    path = hosted.config.folder / freeze.FROZEN
    assert arrive(hosted, "only looks") == "consent"
    assert not path.exists()
    Person.begin(hosted, "w1")
    written = path.read_bytes()
    record = json.loads(written)
    assert record == {"at": freeze.iso(clock.now), **freeze.record(hosted.study, hosted.bundle)}
    assert record["at"] == freeze.iso(clock.now)
    clock.advance(1)
    Person.begin(hosted, "w2")
    assert path.read_bytes() == written


@pytest.mark.parametrize("data", ["pilot", "simulated", "preview"])
def test_only_live_data_freeze_a_study(hosting: Hosting, data: str, folder: Path) -> None:
    hosted = hosting(data)
    Person.begin(hosted, "w1").walk()
    sessions.keep_freeze(hosted)
    assert not (folder / freeze.FROZEN).exists()


def test_a_freeze_is_mended_if_the_process_died_before_the_file_was_written(
    hosting: Hosting, clock: Clock, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    hosted, first = hosting(), clock.now
    with monkeypatch.context() as patch:
        patch.setattr(freeze, "write_frozen", die)
        with pytest.raises(KeyboardInterrupt):
            Person.begin(hosted, "w1")
    assert states(hosted) == {"active": 1}
    assert not (folder / freeze.FROZEN).exists()
    clock.advance(5)
    path = folder / "study.toml"
    path.write_text(path.read_text(encoding="utf-8").replace("IRB 1", "IRB 2"), encoding="utf-8")
    changed = hosting()
    sessions.keep_freeze(changed)  # as `serve` does
    assert json.loads((folder / freeze.FROZEN).read_text(encoding="utf-8"))["at"] == freeze.iso(first)
    freeze.check(folder, hosted.study, hosted.bundle)
    with pytest.raises(UserError, match=r"live session: ethics\.approval: 'IRB 1' -> 'IRB 2'\. Change"):
        freeze.check(folder, changed.study, changed.bundle)
    with hosted.database.read() as db:
        assert db.get_one(StudyRow, ("small", "live")).begun_at == first


def test_only_keyed_hashes_of_worker_ids_are_kept_anywhere(hosted: HostedStudy) -> None:
    worker_id = "A3XQZ-very-personal-worker-77"
    person = Person.begin(hosted, worker_id).walk()
    sessions.comment(hosted, person.token, "nice")
    arrive(hosted, worker_id)
    export.export(hosted)
    hosted.database.close()  # so that SQLite's journal is written back
    unkeyed = [hashlib.new(name, worker_id.encode()).hexdigest() for name in ("md5", "sha1", "sha256")]
    everything = [dump(hosted).encode()]
    everything += [path.read_bytes() for path in hosted.config.folder.parent.rglob("*") if path.is_file()]
    for content in everything:
        for secret in (worker_id, "very-personal", person.token, *(digest[:16] for digest in unkeyed)):
            assert secret.encode() not in content
    assert hashed(hosted, worker_id) in dump(hosted)


def test_the_hash_of_a_worker_depends_on_the_key(hosting: Hosting) -> None:
    one = hosting()
    other = dataclasses.replace(one, config=dataclasses.replace(one.config, secret_key="k" * 64))
    assert hashed(one, " w1 ") == hashed(one, "w1")
    assert hashed(one, "w1") != hashed(other, "w1")


def test_a_database_keeps_a_study_apart_from_another_of_the_same_name(hosting: Hosting) -> None:
    hosting()
    with pytest.raises(
        UserError, match=r"already holds a study 'small' made with another secret key\. Bring that"
    ):
        hosting(secret_key="k" * 64)


def test_places_are_drawn_anew_for_a_changed_study_only_while_nobody_holds_one(
    hosting: Hosting, folder: Path
) -> None:
    hosting()
    settings = (folder / "study.toml").read_text(encoding="utf-8")
    changed = settings.replace("participants_per_condition = 3", "participants_per_condition = 5")
    (folder / "study.toml").write_text(changed, encoding="utf-8")
    fresh = hosting()
    assert row_counts(fresh)["places"] == 10
    Person.begin(fresh, "w1")
    (folder / "study.toml").write_text(settings, encoding="utf-8")
    with pytest.raises(UserError, match="the design or the images changed after the first live session"):
        hosting()
    assert row_counts(fresh)["places"] == 10


def test_who_stops_after_the_lease_ran_out_is_not_put_back_into_the_study(
    hosting: Hosting, clock: Clock
) -> None:
    hosted = hosting()
    late = Person.begin(hosted, "w1")
    clock.advance(31)
    Person.begin(hosted, "w2")
    sessions.stop(hosted, late.token)
    assert late.reload()["stage"] == "stopped"
    assert states(hosted) == {"stopped": 1, "active": 1}


def test_other_images_under_the_same_names_do_not_go_on_with_the_old_places(
    hosting: Hosting, folder: Path
) -> None:
    Person.begin(hosting("pilot"), "w1")
    for path in (folder / "images" / "alpha").glob("*.png"):
        with Image.open(path) as image:
            ImageOps.invert(image).save(path)
    build_bundle(load_study(folder), folder)
    with pytest.raises(UserError, match="the design or the images changed after the first pilot session"):
        hosting("pilot")


def test_a_preview_begins_anew_when_most_of_its_places_were_used(hosting: Hosting) -> None:
    hosted = hosting("preview")
    for number in range(4):
        Person.begin(hosted, f"w{number}").walk()
    assert states(hosting("preview")) == {}


def test_a_worker_process_started_anew_keeps_the_study_it_was_given(hosting: Hosting, folder: Path) -> None:
    hosted = hosting()
    text = (folder / "study.toml").read_text(encoding="utf-8")
    (folder / "study.toml").write_text(
        text.replace("exposure_ms = 1000", "exposure_ms = 300"), encoding="utf-8"
    )
    again = hosted.reconnected()
    try:
        shown = [
            frame["ms"]
            for frame in Person.begin(again, "w1").orders[0]["schedule"]
            if frame["kind"] == "images"
        ]
    finally:
        again.database.close()
    assert shown == [1000, 1000]
