"""Who may enter from Prolific, and how they get back: the whole application, with the panel over real HTTP."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient

from studies.errors import UserError
from tests.webapp.conftest import Hosting
from tests.webapp.fake_prolific import WORKSPACE, FakeProlific
from tests.webapp.on_prolific import api, published, recruit
from tests.webapp.people import row_counts
from webapp.app import create_app
from webapp.hosting import HostedStudy
from webapp.recruitment import recruiter_of
from webapp.recruitment.prolific_study import fixed_code
from webapp.recruitment.signed_entry import SigningKeys
from webapp.tables import SessionRow

HOST = "study.example.org"


@pytest.fixture
def hosted(folder: Path, hosting: Hosting, prolific: FakeProlific) -> HostedStudy:
    recruit(folder)
    return hosting()


@pytest.fixture
def signed(folder: Path, hosting: Hosting, prolific: FakeProlific) -> HostedStudy:
    recruit(folder, entry="signed", workspace=WORKSPACE)
    return hosting()


def browser(hosted: HostedStudy) -> FlaskClient:
    app = create_app(hosted)
    app.config["WTF_CSRF_ENABLED"] = False
    return app.test_client()


def admitted(hosted: HostedStudy, query: dict[str, str], client: FlaskClient | None = None) -> bool:
    """Whether a link leads to the consent."""
    reply = (client or browser(hosted)).get("/", query_string=query)
    assert reply.status_code in (303, 403), reply.status
    if reply.status_code == 403:
        assert "Traceback" not in reply.text
        return False
    assert reply.location == "/consent", reply.location
    return True


def test_a_submission_that_is_under_way_is_admitted_and_paid_back_with_the_studys_one_code(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    submission = prolific.add_submission("participant1", study, "RESERVED")
    client = browser(hosted)
    assert admitted(hosted, prolific.link(submission), client)
    assert client.post("/consent", data={"agree": "yes"}).location == "/session"
    with hosted.database.write() as db:
        db.query(SessionRow).one().state = "finished"
    done, code = client.get("/done").text, fixed_code(hosted)
    assert code in done
    assert prolific.studies[study]["completion_codes"][0]["code"] == code
    reply = client.get("/back")
    assert (reply.status_code, reply.location) == (
        303,
        f"https://app.prolific.com/submissions/complete?cc={code}",
    )


def test_a_link_that_the_panel_does_not_confirm_is_refused_and_nothing_is_recorded(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    other_study = api(prolific).post("studies/", {**prolific.studies[study], "internal_name": "another"})[
        "id"
    ]
    mine, elsewhere = prolific.add_submission("me", study), prolific.add_submission("me", other_study)
    true = prolific.link(mine)
    forged = {
        "somebody else's id": {**true, "PROLIFIC_PID": "somebody"},
        "an unknown submission": {**true, "SESSION_ID": "0" * 24},
        "a path in place of an id": {**true, "SESSION_ID": "../studies"},
        "a submission of another study": {**prolific.link(elsewhere), "STUDY_ID": study},
        "another study's link": prolific.link(elsewhere),
        "no submission": {key: value for key, value in true.items() if key != "SESSION_ID"},
        "no study": {key: value for key, value in true.items() if key != "STUDY_ID"},
        "nobody": {},
    }
    before = row_counts(hosted)
    for name, query in forged.items():
        assert not admitted(hosted, query), name
    for state in ("RETURNED", "TIMED-OUT", "AWAITING REVIEW", "APPROVED", "REJECTED", "SCREENED OUT"):
        prolific.set_state(mine, state)
        assert not admitted(hosted, true), state
    assert row_counts(hosted) == before
    prolific.set_state(mine, "ACTIVE")
    assert admitted(hosted, true)


def test_the_study_id_that_counts_is_the_launched_one_and_before_the_launch_nobody_enters(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    submission = prolific.add_submission("me", "study-of-nobody")
    assert not admitted(hosted, prolific.link(submission))
    assert not prolific.requests  # not even asked


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_while_the_panel_is_down_the_page_says_to_try_again(
    hosted: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(hosted, prolific)
    submission = prolific.add_submission("me", study)
    app = create_app(hosted)
    recruiter = app.extensions["evalkit_recruiter"]
    recruiter._api._sleep = lambda _seconds: None
    prolific.fault("GET", f"submissions/{submission}/", "500", times=3)
    reply = app.test_client().get("/", query_string=prolific.link(submission))
    assert (reply.status_code, "did not answer just now" in reply.text) == (403, True)
    assert app.test_client().get("/", query_string=prolific.link(submission)).location == "/consent"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_without_the_token_says_so_at_its_start(
    hosted: HostedStudy, prolific: FakeProlific, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALKIT_PROLIFIC_TOKEN")
    with pytest.raises(UserError, match="EVALKIT_PROLIFIC_TOKEN is not set"):
        create_app(hosted)


def test_a_signed_link_is_admitted_without_asking_about_the_submission(
    signed: HostedStudy, prolific: FakeProlific
) -> None:
    study = published(signed, prolific)
    assert prolific.studies[study]["is_external_study_url_secure"] is True
    for number, audience in enumerate((HOST, f"https://{HOST}", f"https://{HOST}/?PROLIFIC_PID=x")):
        submission = prolific.add_submission(f"p{number}", study)
        query = {**prolific.link(submission), "prolific_token": prolific.sign(submission, audience)}
        assert admitted(signed, query), audience
    assert not prolific.called("GET", r"submissions/\w+/")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_token_for_anything_else_is_refused(signed: HostedStudy, prolific: FakeProlific) -> None:
    study = published(signed, prolific)
    mine, yours = prolific.add_submission("me", study), prolific.add_submission("you", study)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    header, claims, signature = prolific.sign(mine, HOST).split(".")
    tokens: dict[str, Any] = {
        "of another participant": prolific.sign(yours, HOST),
        "of another site": prolific.sign(mine, "evil.example.org"),
        "of a site whose name begins alike": prolific.sign(mine, f"{HOST}.evil.example"),
        "expired": prolific.sign(mine, HOST, seconds=-60),
        "without an end": prolific.sign(mine, HOST, exp=None),
        "of another workspace": prolific.sign(mine, HOST, about={"workspace_id": "other"}),
        "of another study": prolific.sign(mine, HOST, about={"STUDY_ID": "other"}),
        "without claims": prolific.sign(mine, HOST, prolific="nonsense"),
        "signed by somebody else": prolific.sign(mine, HOST, key=stranger),
        "changed": f"{header}.{claims[:-4]}AAAA.{signature}",
        "unsigned": "eyJhbGciOiJub25lIn0." + claims + ".",
        "nonsense": "a.b.c",
        "absent": None,
    }
    client = browser(signed)
    for name, token in tokens.items():
        query = prolific.link(mine) | ({} if token is None else {"prolific_token": token})
        assert not admitted(signed, query, client), name
    assert admitted(signed, {**prolific.link(mine), "prolific_token": prolific.sign(mine, HOST)}, client)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_token_signed_with_the_public_key_as_a_password_is_refused(
    signed: HostedStudy, prolific: FakeProlific
) -> None:
    import base64
    import hashlib
    import hmac
    import json

    study = published(signed, prolific)
    mine = prolific.add_submission("me", study)
    claims = prolific.sign(mine, HOST).split(".")[1]
    public = json.dumps(prolific.keys()["keys"][0]).encode()
    header = (
        base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "key-1"}).encode()).decode().rstrip("=")
    )
    mac = hmac.new(public, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    forged = f"{header}.{claims}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert not admitted(signed, {**prolific.link(mine), "prolific_token": forged})


def test_keys_are_kept_for_a_day_and_an_unknown_one_is_asked_for_at_most_once_a_minute(
    prolific: FakeProlific,
) -> None:
    now = [0.0]
    keys = SigningKeys(lambda: prolific.keys()["keys"], clock=lambda: now[0])
    assert keys.key("key-1") is not None
    assert keys.key("key-1") is not None
    assert prolific.key_fetches == 1
    assert keys.key("unknown") is None  # right after: not asked again
    assert prolific.key_fetches == 1
    prolific.rotate_key()
    now[0] += 61
    assert keys.key("key-2") is not None
    for _ in range(10):
        assert keys.key("unknown") is None
    assert prolific.key_fetches == 2
    now[0] += 24 * 3600 + 1
    assert keys.key("key-2") is not None
    assert prolific.key_fetches == 3


def test_old_keys_serve_on_while_the_new_ones_cannot_be_had(prolific: FakeProlific) -> None:
    now, broken = [0.0], [False]

    def fetch() -> list[dict[str, Any]]:
        if broken[0]:
            raise ValueError("no JSON")
        return list(prolific.keys()["keys"])

    keys = SigningKeys(fetch, clock=lambda: now[0])
    broken[0] = True
    with pytest.raises(UserError, match="cannot be read: ValueError"):
        keys.key("key-1")
    with pytest.raises(UserError, match="a moment ago"):
        keys.key("key-1")
    broken[0], now[0] = False, 60.0
    assert keys.key("key-1") is not None
    broken[0], now[0] = True, 3 * 24 * 3600.0
    assert keys.key("key-1") is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_filters_that_are_no_json_are_refused(folder: Path, hosting: Hosting, prolific: FakeProlific) -> None:
    recruit(folder, filters=["{handedness}"])
    with pytest.raises(UserError, match=r"\[recruitment\] prolific.filters = '\{handedness\}'.*must be JSON"):
        recruiter_of(hosting().study.recruitment)
