"""Money: everybody who is due is paid, once, whatever breaks in between."""

from pathlib import Path
from typing import Any

import pytest

from studies.errors import UserError
from tests.webapp.conftest import Hosting
from tests.webapp.fake_prolific import FakeProlific
from tests.webapp.on_prolific import acts, api, begin, finish, published, recruit
from tests.webapp.people import Clock, Person
from webapp import admin, payouts, sessions
from webapp.hosting import HostedStudy
from webapp.payouts import acts as money
from webapp.recruitment.prolific_study import fixed_code


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def hosted(folder: Path, hosting: Hosting, prolific: FakeProlific) -> HostedStudy:
    recruit(folder)
    return hosting()


def call(
    hosted: HostedStudy,
    prolific: FakeProlific,
    bonuses: dict[str, int] | None = None,
    screen_outs: dict[str, int] | None = None,
    also: tuple[str, ...] = (),
) -> payouts.Outcome:
    """What `evalkit study pay --yes` does."""
    client = api(prolific)
    synced = payouts.sync(hosted, client)
    payouts.settle(hosted, client, synced)
    due = payouts.due(hosted, synced, bonuses, screen_outs, also)
    return payouts.carry_out(hosted, client, due, payouts.bonus_draft(hosted, client, due.bonuses))


def lines(hosted: HostedStudy, prolific: FakeProlific) -> dict[str, str]:
    """Submission -> kind."""
    due = payouts.due(hosted, payouts.sync(hosted, api(prolific)))
    return {line.submission.id: line.kind for line in due.lines}


def test_who_finished_is_paid_and_nobody_is_ever_rejected(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    _session, good = finish(hosted, prolific, "good", study)
    half, half_there = begin(hosted, prolific, "half", study)
    half.walk(2)
    prolific.set_state(half_there, "AWAITING REVIEW")
    _active, active = begin(hosted, prolific, "active", study)
    gone, gone_there = begin(hosted, prolific, "gone", study)
    prolific.set_state(gone_there, "RETURNED")
    forgot, forgot_there = begin(hosted, prolific, "forgot", study)
    forgot.walk()
    prolific.set_state(forgot_there, "TIMED-OUT")
    never = prolific.add_submission("never", study, "AWAITING REVIEW")
    assert lines(hosted, prolific) == {
        good: "approve",
        half_there: "look",
        active: "waiting",
        gone_there: "left",
        forgot_there: "look",
        never: "look",
    }
    assert gone.row.state == "stopped"
    assert call(hosted, prolific).approved == 1
    assert prolific.paid == {good: [150]}
    assert lines(hosted, prolific)[good] == "paid"
    assert call(hosted, prolific).approved == 0
    assert call(hosted, prolific, also=(half.session[:8],)).approved == 1
    assert prolific.paid == {good: [150], half_there: [150]}
    assert {body["action"] for _m, path, body in prolific.requests if "/transition/" in path} == {
        "PUBLISH",
        "APPROVE",
    }
    with pytest.raises(UserError, match="never began here"):
        call(hosted, prolific, also=(never,))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the panel fails, not the database
@pytest.mark.parametrize("fault", ["drop before", "drop after", "500", "500 after", "429"])
@pytest.mark.parametrize(
    "path",
    [
        r"submissions/\w+/transition/",
        r"bulk-bonus-payments/\w+/pay/",
        "submissions/bonus-payments/",
        r"studies/\w+/screen-out-submissions/",
    ],
)
def test_a_fault_at_any_act_pays_nobody_twice_and_forgets_nobody(
    hosted: HostedStudy, prolific: FakeProlific, clock: Clock, path: str, fault: Any
) -> None:
    study = published(hosted, prolific)
    done = dict(finish(hosted, prolific, f"p{number}", study) for number in range(3))
    half, half_there = begin(hosted, prolific, "half", study)
    prolific.set_state(half_there, "AWAITING REVIEW")
    asked = (dict.fromkeys(done, 40), {half.session: 75})
    prolific.fault("POST", path, fault, times=1)
    call(hosted, prolific, *asked)
    for _ in range(2):
        clock.advance(61)
        synced = payouts.sync(hosted, api(prolific))
        unclear = [row for row in payouts.due(hosted, synced).unclear if row.act == "bonus"]
        if unclear and all(not prolific.submissions[name]["bonus_payments"] for name in done.values()):
            payouts.not_paid(hosted, synced, done)  # a person looked
        call(hosted, prolific, *asked)
    expected = {submission: [40, 150] for submission in done.values()} | {half_there: [75]}
    assert {name: sorted(cents) for name, cents in prolific.paid.items()} == expected
    assert {state for _act, _cents, state in acts(hosted)} == {"done"}


@pytest.mark.parametrize(
    ("moment", "database_url"),
    [(moment, "sqlite") for moment in range(13)] + [(moment, "postgresql") for moment in (2, 6, 11)],
    indirect=["database_url"],
)
def test_a_process_killed_between_any_two_steps_pays_nobody_twice_and_forgets_nobody(
    hosted: HostedStudy,
    prolific: FakeProlific,
    clock: Clock,
    moment: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It dies before each commit of the acts, one after the other; what was sent before that commit was carried out."""
    study = published(hosted, prolific)
    done = dict(finish(hosted, prolific, f"p{number}", study) for number in range(2))
    half, half_there = begin(hosted, prolific, "half", study)
    prolific.set_state(half_there, "AWAITING REVIEW")
    asked = (dict.fromkeys(done, 40), {half.session: 75})
    left = [moment]

    def dying(name: str) -> None:
        true = getattr(money, name)

        def step(*arguments: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise Killed
            return true(*arguments, **more)

        monkeypatch.setattr(money, name, step)

    for name in ("_plan", "_move", "_send_together"):
        dying(name)
    with pytest.raises(Killed):
        call(hosted, prolific, *asked)
    monkeypatch.undo()
    for _ in range(2):
        clock.advance(61)
        synced = payouts.sync(hosted, api(prolific))
        payouts.settle(hosted, api(prolific), synced)
        if any(row.act == "bonus" for row in payouts.due(hosted, synced).unclear):
            assert all(40 not in prolific.paid.get(name, []) for name in done.values())
            payouts.not_paid(hosted, synced, done)  # a person looked
        call(hosted, prolific, *asked)
    expected = {submission: [40, 150] for submission in done.values()} | {half_there: [75]}
    assert {name: sorted(cents) for name, cents in prolific.paid.items()} == expected


def test_a_bonus_whose_fate_is_unknown_is_never_sent_again_by_itself(
    hosted: HostedStudy, prolific: FakeProlific, clock: Clock
) -> None:
    study = published(hosted, prolific)
    session, submission = finish(hosted, prolific, "p", study)
    prolific.slow_bonuses = True  # paid, and not yet on the list
    prolific.fault("POST", r"bulk-bonus-payments/\w+/pay/", "drop after")
    outcome = call(hosted, prolific, {session: 40})
    assert outcome.problems is not None
    assert "may or may not have been done" in outcome.problems[0]
    for minutes in (1, 30, 600):
        clock.advance(minutes)
        call(hosted, prolific, {session: 40})
        call(hosted, prolific)
    assert sorted(prolific.paid[submission]) == [40, 150]
    assert ("bonus", 40, "sent") in acts(hosted)
    prolific.submissions[submission]["bonus_payments"].append(40)  # now it shows
    call(hosted, prolific)
    assert ("bonus", 40, "done") in acts(hosted)


def test_saying_that_a_bonus_never_arrived_is_refused_while_it_may_be_on_its_way(
    hosted: HostedStudy, prolific: FakeProlific, clock: Clock
) -> None:
    study = published(hosted, prolific)
    session, _submission = finish(hosted, prolific, "p", study)
    prolific.fault("POST", r"bulk-bonus-payments/\w+/pay/", "drop before")
    call(hosted, prolific, {session: 40})
    synced = payouts.sync(hosted, api(prolific))
    with pytest.raises(UserError, match="may still be on its way"):
        payouts.not_paid(hosted, synced, [session])
    with pytest.raises(UserError, match="no bonus of one session is unclear"):
        payouts.not_paid(hosted, synced, ["nobody00"])


def test_a_bonus_that_somebody_paid_on_prolific_is_not_paid_again(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    session, submission = finish(hosted, prolific, "p", study)
    prolific.submissions[submission]["bonus_payments"].append(40)
    call(hosted, prolific, {session: 40})
    assert prolific.paid == {submission: [150]}


def test_each_participant_gets_one_bonus_and_another_amount_is_refused(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    session, submission = finish(hosted, prolific, "p", study)
    for name in (session, session[:8], submission):
        call(hosted, prolific, {name: 40})
    assert sorted(prolific.paid[submission]) == [40, 150]
    with pytest.raises(UserError, match=f"session {session[:8]} was given 40 cents before"):
        call(hosted, prolific, {session: 50})


def test_two_payers_at_once_pay_once(hosted: HostedStudy, prolific: FakeProlific) -> None:
    study = published(hosted, prolific)
    done = dict(finish(hosted, prolific, f"p{number}", study) for number in range(3))
    client = api(prolific)
    synced = payouts.sync(hosted, client)
    due = payouts.due(hosted, synced, dict.fromkeys(done, 40))
    drafts = [payouts.bonus_draft(hosted, client, due.bonuses) for _ in range(2)]
    one, other = (payouts.carry_out(hosted, client, due, draft) for draft in drafts)
    assert (one.approved, one.bonuses, other.approved, other.bonuses) == (3, 3, 0, 0)
    assert {name: sorted(cents) for name, cents in prolific.paid.items()} == {
        submission: [40, 150] for submission in done.values()
    }


def test_an_approval_right_after_handing_in_is_tried_again(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    _session, submission = finish(hosted, prolific, "p", study)
    prolific.review_delay = 3
    assert call(hosted, prolific).approved == 1
    assert prolific.paid == {submission: [150]}


def test_without_funds_nobody_is_marked_as_paid_and_the_panels_words_are_shown(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    session, submission = finish(hosted, prolific, "p", study)
    prolific.funds_cents = 0
    outcome = call(hosted, prolific, {session: 40})
    assert (outcome.approved, outcome.bonuses) == (0, 0)
    assert outcome.problems is not None
    assert all("Not enough funds" in problem for problem in outcome.problems)
    assert {state for _act, _cents, state in acts(hosted)} == {"planned"}
    prolific.funds_cents = 1000
    call(hosted, prolific)  # the bonus is remembered without its file
    assert sorted(prolific.paid[submission]) == [40, 150]


def test_prolific_says_what_bonuses_cost_before_anything_is_paid(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    session, _submission = finish(hosted, prolific, "p", study)
    client = api(prolific)
    due = payouts.due(hosted, payouts.sync(hosted, client), {session: 90})
    (draft,) = payouts.bonus_draft(hosted, client, due.bonuses)
    assert draft.total_cents == 120  # the fake's fee is a third
    assert not prolific.paid
    assert prolific.called("POST", "submissions/bonus-payments/")[0]["csv_bonuses"].endswith(",0.90")


def test_who_finished_is_not_screened_out(hosted: HostedStudy, prolific: FakeProlific) -> None:
    study = published(hosted, prolific)
    session, _submission = finish(hosted, prolific, "p", study)
    with pytest.raises(UserError, match="finished the study here, and is paid in full"):
        call(hosted, prolific, None, {session: 10})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc,1.50", r"line 1: 'abc,1.50': write `session,cents`"),
        ("abc,0", "line 1: 0 cents: allowed are 1 to 100000"),
        ("abc,-5", "whole cents"),
        ("abc,5\nabc,6", "line 2: abc stands there twice"),
        ("abc", "write `session,cents`"),
        ("abc,999999", "allowed are 1 to"),
    ],
)
def test_a_file_of_amounts_with_a_slip_is_refused_by_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "bonus.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        payouts.read_amounts(path)


def test_a_closed_study_says_that_nobody_can_be_told_apart_and_pays_nobody(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    finish(hosted, prolific, "good", published(hosted, prolific))
    admin.set_state(hosted, "closed", "command line")
    code = fixed_code(hosted)
    with pytest.raises(UserError, match=f"the live study is closed.*approve on Prolific: its code {code}"):
        call(hosted, prolific)
    assert prolific.paid == {}


def test_a_file_of_amounts_may_have_a_heading_and_empty_lines(tmp_path: Path) -> None:
    path = tmp_path / "bonus.csv"
    path.write_text("session,cents\nabc, 50\n\ndef,7\n")
    assert payouts.read_amounts(path) == {"abc": 50, "def": 7}


def test_a_name_that_fits_nobody_or_several_is_refused(hosted: HostedStudy, prolific: FakeProlific) -> None:
    study = published(hosted, prolific)
    finish(hosted, prolific, "p", study)
    for name in ("nobody-at-all", "", "a"):
        with pytest.raises(UserError, match="no session or submission of this study"):
            call(hosted, prolific, {name: 5})


def test_a_pilot_is_paid_apart_from_the_study(hosting: Hosting, folder: Path, prolific: FakeProlific) -> None:
    recruit(folder)
    live, pilot = hosting(), hosting("pilot")
    studies = {data.data: published(data, prolific) for data in (live, pilot)}
    assert studies["live"] != studies["pilot"]
    _session, submission = finish(pilot, prolific, "p", studies["pilot"])
    assert call(live, prolific).approved == 0
    assert call(pilot, prolific).approved == 1
    assert prolific.paid == {submission: [150]}


def test_a_stopped_person_stays_unpaid_until_a_person_decides(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    person, submission = begin(hosted, prolific, "p", study)
    assert isinstance(person, Person)
    sessions.stop(hosted, person.token)
    prolific.set_state(submission, "AWAITING REVIEW")
    assert lines(hosted, prolific) == {submission: "look"}
    assert call(hosted, prolific).approved == 0
    assert not prolific.paid
