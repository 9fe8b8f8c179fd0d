"""What researchers do to a running study, on both databases; the figures; the password."""

import dataclasses
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from studies.errors import UserError
from studies.records import AdminAct, Response, read_csv
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, Person, refusal
from webapp import admin, export, forget, sessions
from webapp.admin import password
from webapp.admin.figures import SAME_SIDE_RUN, figures, spread
from webapp.hosting import HostedStudy
from webapp.recruitment import Visitor
from webapp.tables import MoneyActRow, StudyRow

# Pause, resume, close


def test_a_paused_study_admits_nobody_new_and_an_open_one_does_again(hosted: HostedStudy) -> None:
    inside = Person.begin(hosted, "early")
    assert admin.set_state(hosted, "paused", "command line", "lunch")
    assert refusal(sessions.claim, hosted, "w" * 32, None, "1-test")[1] == "paused"
    inside.walk()
    assert inside.row.state == "finished"
    assert admin.set_state(hosted, "open", "dashboard")
    assert not admin.set_state(hosted, "open", "dashboard")  # nothing to change, nothing to note
    Person.begin(hosted, "late")
    assert [(act.who, act.act, act.detail) for act in admin.acts(hosted)] == [
        ("dashboard", "resume", ""),
        ("command line", "pause", "lunch"),
    ]


def test_closing_erases_the_raw_ids_and_is_for_good(hosted: HostedStudy) -> None:
    from webapp import payments

    person = Person.begin(hosted, "w1").walk()
    with hosted.database.write() as db:
        payments.remember(hosted, db, person.row, Visitor("w1"))
    before = admin.running(hosted)
    assert (before.ids, before.unpaid, before.complete) == (1, 1, False)
    admin.set_state(hosted, "closed", "command line")
    after = admin.running(hosted)
    assert (after.ids, after.state, after.complete) == (0, "closed", True)
    assert payments.visitor_of(hosted, person.session) is None
    assert admin.acts(hosted)[0].detail == "1 raw worker ids dropped."
    for state in ("open", "paused"):
        with pytest.raises(UserError, match="A closed study is not reopened"):
            admin.set_state(hosted, state, "dashboard")


def test_who_only_had_a_bonus_still_counts_as_unpaid(hosted: HostedStudy, clock: Clock) -> None:
    from webapp import payments

    person = Person.begin(hosted, "w1").walk()
    for act, unpaid in (("bonus", 1), ("approve", 0)):
        with hosted.database.write() as db:
            if act == "bonus":
                payments.remember(hosted, db, person.row, Visitor("w1"))
            [row] = payments.payments_of(hosted, db)
            here = {"study": row.study, "data": row.data, "payment_id": row.id, "at": clock()}
            db.add(MoneyActRow(act=act, amount_cents=50, state="done", **here))
        traces = forget.find(hosted, "w1")
        assert traces is not None
        assert (admin.running(hosted).unpaid, traces.owed) == (unpaid, bool(unpaid))


def test_closing_takes_the_ids_out_of_the_sqlite_file_too(hosted: HostedStudy) -> None:
    from webapp import payments

    if not hosted.config.database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL's files are its own; VACUUM gives the space back")
    person = Person.begin(hosted, "w1").walk()
    with hosted.database.write() as db:
        payments.remember(hosted, db, person.row, Visitor("w1"))
        sealed = payments.payments_of(hosted, db)[0].encrypted
    admin.set_state(hosted, "closed", "command line")
    path = Path(str(hosted.database.engine.url.database))
    for part in (path, path.with_name(f"{path.name}-wal")):
        assert sealed.encode() not in (part.read_bytes() if part.exists() else b"")


def test_a_study_is_not_closed_over_the_heads_of_people_in_the_middle(
    hosted: HostedStudy, clock: Clock
) -> None:
    Person.begin(hosted, "w1")
    with pytest.raises(UserError, match=r"1 session\(s\) are in the middle"):
        admin.set_state(hosted, "closed", "dashboard")
    assert admin.running(hosted).state == "open"
    clock.advance(31)  # their lease ran out
    assert admin.set_state(hosted, "closed", "dashboard")


def test_the_audit_log_is_exported(hosted: HostedStudy) -> None:
    admin.record_act(hosted, "dashboard", "export", "The data were exported.")
    path, _rows = export.export(hosted)
    [row] = read_csv(path.with_name("admin_acts.csv"), AdminAct)
    assert (row.study, row.data, row.who, row.act) == ("small", "live", "dashboard", "export")


# When fool rates may be shown


def test_fool_rates_are_hidden_until_all_places_are_finished(hosted: HostedStudy) -> None:
    for number in range(6):
        assert not admin.running(hosted).revealed
        Person.begin(hosted, f"w{number}").walk()
    assert admin.running(hosted).revealed


def test_a_chosen_moment_shows_them_and_an_early_one_is_recorded(hosted: HostedStudy, clock: Clock) -> None:
    admin.choose_reveal(hosted, clock() + 60_000, "dashboard")
    assert not admin.running(hosted).revealed
    clock.advance(1)
    assert admin.running(hosted).revealed
    assert admin.acts(hosted)[0].act == "choose reveal"
    admin.choose_reveal(hosted, None, "dashboard")
    assert not admin.running(hosted).revealed
    Person.begin(hosted, "w1")
    admin.choose_reveal(hosted, clock(), "dashboard")
    assert admin.running(hosted).revealed
    assert admin.acts(hosted)[0].act == "reveal early"
    assert "after the first session" in admin.acts(hosted)[0].detail


@pytest.mark.parametrize("data", ["preview", "simulated", "pilot"])
def test_rehearsals_and_pilots_hide_nothing(hosting: Hosting, data: str) -> None:
    assert admin.running(hosting(data)).revealed


# Costs


def test_costs_count_finished_sessions_with_the_fee(hosted: HostedStudy, clock: Clock) -> None:
    settings = hosted.study.recruitment.model_copy(
        update={"reward_cents": 100, "fee_share": 0.5, "minimum_cents_per_hour": 700}
    )
    paying = dataclasses.replace(hosted, study=hosted.study.model_copy(update={"recruitment": settings}))
    first = Person.begin(paying, "w1")
    clock.advance(8)
    first.walk()
    Person.begin(paying, "w2")
    found = admin.costs(paying)
    assert (found.so_far_cents, found.in_the_end_cents) == (150, 900)
    assert (found.median_minutes, found.cents_per_hour, found.too_little) == (8.0, 750.0, False)


# Figures


def rows(hosted: HostedStudy, answers: int = 4) -> list[Response]:
    Person.begin(hosted, "w1").walk(2 + answers)
    return [row for row in export.responses(hosted) if row.phase == "scored"]


def test_values_on_an_edge_belong_to_the_bar_above() -> None:
    found = spread([-1, 0, 4.9, 5, 10, 11], [0, 5, 10])
    assert found is not None
    assert [(bar.low, bar.high, bar.count) for bar in found.bins] == [
        (None, 0, 1),
        (0, 5, 2),
        (5, 10, 1),
        (10, None, 2),
    ]
    assert spread([], [0, 1]) is None


def test_flags_name_what_is_odd_about_a_session(hosted: HostedStudy) -> None:
    [row, *_others] = rows(hosted)

    def made(count: int, **changes: object) -> list[Response]:
        return [dataclasses.replace(row, **changes) for _ in range(count)]

    odd = {
        "voids": made(6, void_reason="hidden", choice="", outcome=None),
        "fast": made(3, rt_ms=150.0) + made(20, rt_ms=900.0, side_1="left", side_2="right"),
        "same": made(SAME_SIDE_RUN, choice="first", side_1="left"),
        "same button": made(SAME_SIDE_RUN, choice="real", side_1="centre", side_2=""),
        "checks": made(1, phase="check", outcome=0.0) + made(1, phase="check", outcome=1.0),
        "exposure": made(5, flags="exposure"),
        "slow": made(1, flags="slow"),
        "fine": made(14, choice="first", side_1="left"),
    }
    everything = [dataclasses.replace(item, session=name) for name, items in odd.items() for item in items]
    found = figures(everything, 10, 5)
    assert found.flags["voids"] == ("6 void trials, limit 5",)
    assert "3 answers under 200 ms" in found.flags["fast"]
    assert found.flags["same"] == (f"{SAME_SIDE_RUN} times the same side in a row",)
    assert found.flags["same button"] == found.flags["same"]
    assert found.flags["checks"] == ("1 of 2 checks failed",)
    assert found.flags["exposure"] == ("5 trials shown too long or too short",)
    assert found.flags["slow"] == ("1 trials left open for long",)
    assert "fine" not in found.flags
    assert found.checks is not None
    assert (found.checks.count, found.checks.n) == (1, 2)
    assert found.voids == {"hidden": 6}


def test_side_and_order_are_told_apart(hosted: HostedStudy) -> None:
    [row, *_others] = rows(hosted)
    left_first = dataclasses.replace(row, choice="first", side_1="left", side_2="right")
    left_second = dataclasses.replace(row, choice="second", side_1="right", side_2="left")
    found = figures([left_first, left_second, left_second, left_second], 10, None)
    assert found.left is not None
    assert found.first is not None
    assert (found.left.share, found.first.share) == (1.0, 0.25)
    assert (found.left.chance, found.left.lopsided, found.first.lopsided) == (0.5, False, False)
    assert figures([left_first] * 101, 10, None).left.lopsided  # type: ignore[union-attr]


def test_views_count_scored_trials_that_count(hosted: HostedStudy) -> None:
    everything = rows(hosted)
    void = dataclasses.replace(everything[0], void_reason="hidden")
    found = figures([*everything[1:], void], 16, None).views
    assert found is not None
    assert sum(bar.count for bar in found.bins) == found.images == 6
    assert (found.least, found.median, found.most, found.unseen) == (1, 1, 1, 10)


# The password


def test_a_password_is_kept_as_a_hash_that_only_its_owner_can_read(hosted: HostedStudy) -> None:
    path = password.store_password(hosted.config.folder, "correct horse")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("scrypt:")
    assert "correct horse" not in path.read_text()
    assert password.is_right(hosted, "correct horse")
    assert not password.is_right(hosted, "correct horse ")


def test_without_a_password_nobody_gets_in(hosted: HostedStudy) -> None:
    assert not password.has_password(hosted.config.folder)
    assert not password.is_right(hosted, "")
    assert password.mark(hosted) == ""


def test_the_environment_counts_before_the_file(hosted: HostedStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    password.store_password(hosted.config.folder, "from the file")
    before = password.mark(hosted)
    monkeypatch.setenv(password.VARIABLE, "from the environment")
    assert password.is_right(hosted, "from the environment")
    assert not password.is_right(hosted, "from the file")
    assert password.mark(hosted) != before
    monkeypatch.setenv(password.VARIABLE, "short")
    with pytest.raises(UserError, match="at least 8 characters"):
        password.has_password(hosted.config.folder)


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 8 characters"):
        password.store_password(tmp_path, "1234567")
    assert not list(tmp_path.iterdir())


def test_passwords_that_are_made_up_differ() -> None:
    made = {password.new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(each) == 23 for each in made)


def test_tries_to_sign_in_are_counted_over_all_server_processes(
    hosting: Hosting, hosted: HostedStudy, clock: Clock
) -> None:
    other = hosting()  # another process's connections to the same database
    asked = [password.may_try(server) for server in (hosted, other) * 4]
    assert asked == [True] * 5 + [False] * 3
    assert password.failed_sign_ins(hosted) == 5
    clock.advance(1.1)
    assert password.may_try(other)


def test_a_flood_of_tries_to_sign_in_does_not_wait_for_anybody_who_writes(
    hosting: Hosting, hosted: HostedStudy
) -> None:
    """Else a flood would take turns with the participants' answers."""
    other = hosting()
    assert [password.may_try(hosted) for _ in range(5)] == [True] * 5
    with ThreadPoolExecutor(1) as pool, other.database.write() as db:  # the lock goes first, also on failure
        db.get_one(StudyRow, (hosted.study.id, hosted.data), with_for_update=True)
        assert pool.submit(password.may_try, hosted).result(timeout=5) is False
