"""Draft, group, reports, publishing, places: made once, whatever goes wrong in between."""

from pathlib import Path
from typing import Any

import pytest

from studies.errors import UserError
from tests.webapp.conftest import Hosting
from tests.webapp.fake_prolific import TOKEN, WORKSPACE, FakeProlific
from tests.webapp.on_prolific import HOOK, URL, api, published, recruit
from tests.webapp.people import dump
from webapp.hosting import HostedStudy
from webapp.recruitment.launched import launched
from webapp.recruitment.prolific_api import PanelUnclear, ProlificApi
from webapp.recruitment.prolific_study import (
    Rehearsal,
    check_launch,
    fixed_code,
    internal_name,
    launch,
    more_places,
    transition,
)

GROUP = "evalkit earlier participants"


@pytest.fixture
def hosted(folder: Path, hosting: Hosting, prolific: FakeProlific) -> HostedStudy:
    recruit(folder, add_to_group=GROUP, exclude_studies=["old1", "old2"], exclude_groups=["grp1"])
    return hosting()


class Killed(BaseException):
    """The process dies here."""


def die(_seconds: float) -> None:
    """In place of the wait before a lost request is looked into: it was carried out, and nobody knows."""
    raise Killed


def count_made(prolific: FakeProlific) -> tuple[int, int, int, int]:
    """Studies, groups, secrets, subscriptions that work."""
    enabled = [row for row in prolific.subscriptions.values() if row["is_enabled"]]
    assert len(enabled) == len(prolific.subscriptions)
    return len(prolific.studies), len(prolific.groups), len(prolific.secrets), len(enabled)


def test_the_draft_says_all_that_the_study_says(hosted: HostedStudy, prolific: FakeProlific) -> None:
    study = launch(hosted, api(prolific), URL, 6)
    group = next(iter(prolific.groups))
    sent = prolific.called("POST", "studies/")[0]
    assert sent["internal_name"] == internal_name(hosted)
    assert sent["external_study_url"] == (
        f"{URL}/?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}&STUDY_ID={{{{%STUDY_ID%}}}}&SESSION_ID={{{{%SESSION_ID%}}}}"
    )
    assert sent["completion_codes"] == [
        {
            "code": fixed_code(hosted),
            "code_type": "COMPLETED",
            "actor": "participant",
            "actions": [
                {"action": "MANUALLY_REVIEW"},
                {"action": "ADD_TO_PARTICIPANT_GROUP", "participant_group": group},
            ],
        }
    ]
    assert sent["filters"] == [
        {"filter_id": "previous_studies_blocklist", "selected_values": ["old1", "old2"]},
        {"filter_id": "participant_group_blocklist", "selected_values": ["grp1"]},
    ]
    assert (sent["total_available_places"], sent["reward"], sent["estimated_completion_time"]) == (6, 150, 8)
    assert sent["submissions_config"] == {"max_submissions_per_participant": 1}
    assert "is_external_study_url_secure" not in sent
    assert {(row["event_type"], row["target_url"]) for row in prolific.subscriptions.values()} == {
        ("submission.status.change", URL + HOOK),
        ("study.status.change", URL + HOOK),
    }
    row = launched(hosted, "prolific")
    assert row is not None
    assert (row.external_id, row.state) == (study["id"], "UNPUBLISHED")
    assert prolific.secrets[0]["value"] not in dump(hosted)
    assert "token-of-the-test" not in dump(hosted)


STEPS = [
    ("GET", "workspaces/"),
    ("GET", "participant-groups/"),
    ("POST", "participant-groups/"),
    ("GET", "studies/"),
    ("POST", "studies/"),
    ("GET", "hooks/secrets/"),
    ("POST", "hooks/secrets/"),
    ("POST", "hooks/subscriptions/"),
    ("POST", r"hooks/subscriptions/\w+/"),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the panel fails, not the database
@pytest.mark.parametrize("fault", ["drop before", "drop after", "500 after"])
def test_a_connection_that_is_lost_at_any_step_makes_nothing_twice(
    folder: Path, hosting: Hosting, prolific: FakeProlific, fault: Any
) -> None:
    recruit(folder, add_to_group=GROUP)
    hosted = hosting()
    for step in STEPS:
        prolific.fault(*step, fault)
    study = launch(hosted, api(prolific), URL, 6)
    assert count_made(prolific) == (1, 1, 1, 2)
    assert launch(hosted, api(prolific), URL, 6)["id"] == study["id"]
    assert count_made(prolific) == (1, 1, 1, 2)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the panel fails, not the database
@pytest.mark.parametrize("step", STEPS)
def test_a_launch_that_died_after_any_step_is_completed_by_the_next_call(
    hosted: HostedStudy, prolific: FakeProlific, step: tuple[str, str]
) -> None:
    prolific.fault(*step, "drop after")
    with pytest.raises(Killed):
        launch(hosted, ProlificApi(prolific.api, TOKEN, sleep=die), URL, 6)
    launch(hosted, api(prolific), URL, 6)
    launch(hosted, api(prolific), URL, 6)
    if step == ("POST", "hooks/subscriptions/"):  # made without its handshake, so made anew
        assert count_made(prolific)[3] == 2
    assert count_made(prolific) == (1, 1, 1, 2)


def test_a_draft_that_was_deleted_there_is_made_anew(hosted: HostedStudy, prolific: FakeProlific) -> None:
    first = launch(hosted, api(prolific), URL, 6)["id"]
    prolific.studies.clear()
    second = launch(hosted, api(prolific), URL, 6)["id"]
    assert first != second
    row = launched(hosted, "prolific")
    assert row is not None
    assert row.external_id == second


def test_the_secret_of_a_workspace_is_used_and_never_replaced(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    prolific.secrets.append({"id": "s", "value": "of-another-study", "workspace_id": WORKSPACE})
    launch(hosted, api(prolific), URL, 6)
    assert [row["value"] for row in prolific.secrets] == ["of-another-study"]
    assert (
        prolific.report(URL.replace(URL, prolific.origin), "x", "y").status_code == 401
    )  # the fake is no endpoint


def test_on_this_machine_no_reports_are_asked_for(hosted: HostedStudy, prolific: FakeProlific) -> None:
    launch(hosted, api(prolific), "http://127.0.0.1:8000", 6)
    assert not prolific.subscriptions


def test_an_account_with_several_workspaces_must_name_one(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    prolific.workspaces.append({"id": "w2", "title": "Other lab"})
    with pytest.raises(
        UserError, match=r"workspace: the account has several \(Lab = workspace1, Other lab = w2\)"
    ):
        launch(hosted, api(prolific), URL, 6)


def test_a_rehearsal_shows_the_requests_that_are_then_sent(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    before, rehearsal = dump(hosted), Rehearsal()
    launch(hosted, rehearsal, URL, 6, keep=lambda **_detail: None)
    assert dump(hosted) == before
    assert not prolific.requests
    launch(hosted, api(prolific), URL, 6)
    made_up = {"workspace": WORKSPACE, "group": next(iter(prolific.groups))}

    def settled(body: Any) -> Any:
        text = repr(body)
        for name, value in made_up.items():
            text = text.replace(f"<id of the {name}>", value)
        return text

    shown = [(method, path.split("?")[0], settled(body)) for method, path, body in rehearsal.requests]
    sent = [(method, path.split("?")[0], repr(body)) for method, path, body in prolific.requests]

    def without_ids(calls: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        kept = []
        for method, path, body in calls:
            confirms = method == "POST" and path.startswith("hooks/subscriptions/") and path.count("/") == 3
            kept.append(
                (method, "hooks/subscriptions/ID/", "handshake") if confirms else (method, path, body)
            )
        return kept

    assert without_ids(shown) == without_ids(sent)


def test_publish_pause_resume_and_stop_change_what_can_be_changed_and_repeat_nothing(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    client = api(prolific)
    with pytest.raises(UserError, match="not on Prolific yet"):
        transition(hosted, client, "PUBLISH")
    study = str(launch(hosted, client, URL, 6)["id"])
    with pytest.raises(UserError, match="the study is UNPUBLISHED; to pause it, it must be ACTIVE"):
        transition(hosted, client, "PAUSE")
    path = f"studies/{study}/transition/"
    for action, state in (
        ("PUBLISH", "ACTIVE"),
        ("PAUSE", "PAUSED"),
        ("START", "ACTIVE"),
        ("STOP", "AWAITING REVIEW"),
    ):
        prolific.fault("POST", path, "drop after")  # done, but the answer is lost
        assert transition(hosted, client, action) == (False, state)
        assert transition(hosted, client, action) == (False, state)
    assert [body["action"] for body in prolific.called("POST", path)] == ["PUBLISH", "PAUSE", "START", "STOP"]
    prolific.studies[study]["status"] = "ACTIVE"
    prolific.fault("POST", path, "drop before", times=2)
    assert transition(hosted, client, "PAUSE") == (True, "PAUSED")
    prolific.fault("POST", path, "drop before", times=9)
    with pytest.raises(PanelUnclear):
        transition(hosted, client, "START")


def test_places_are_only_added(hosted: HostedStudy, prolific: FakeProlific) -> None:
    study = published(hosted, prolific)
    with pytest.raises(UserError, match="--places 5: Prolific has 6 and only takes more"):
        more_places(hosted, api(prolific), 5)
    assert more_places(hosted, api(prolific), 9) == (6, 9)
    assert more_places(hosted, api(prolific), 9) == (9, 9)
    assert prolific.called("PATCH", f"studies/{study}/") == [{"total_available_places": 9}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # nothing is stored
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://study.example.org", "must begin with https://"),
        ("study.example.org", "write the server's public address"),
        ("https://study.example.org/?a=1", "write the server's public address"),
    ],
)
def test_an_address_that_people_cannot_use_safely_is_refused(
    hosted: HostedStudy, url: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_launch(hosted, url)


def test_pay_below_the_studys_minimum_and_missing_ethics_are_refused(folder: Path, hosting: Hosting) -> None:
    recruit(folder)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    for old, new, message in (
        ("reward_cents = 150", "reward_cents = 100", r"7\.50 GBP an hour, below .* = 800. Pay at least 107"),
        ("reward_cents = 150", "reward_cents = 0", "say what a finished session is paid"),
        ('approval = "IRB 1"', 'approval = "TO BE FILLED IN"', r"\[ethics\] approval must be filled in"),
        ('name = "prolific"', 'name = "direct"', 'write name = "prolific" first'),
    ):
        assert old in text
        (folder / "study.toml").write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(UserError, match=message):
            check_launch(hosting(), URL)
