"""What is repeated, what is not, and what is said: the client against real HTTP."""

import socket
import traceback
from pathlib import Path

import pytest

from studies.errors import UserError
from tests.webapp.fake_prolific import FakeProlific
from tests.webapp.on_prolific import api
from webapp.recruitment.prolific_api import (
    PanelError,
    PanelUnclear,
    PanelUnreachable,
    ProlificApi,
    api_base,
    api_from_environment,
)

STUDY = {
    "name": "Pictures",
    "external_study_url": "https://study.example.org",
    "completion_codes": [{"code": "A"}],
    "total_available_places": 3,
    "reward": 100,
}


@pytest.mark.parametrize("fault", ["drop before", "drop after", "500", "500 after", "429"])
def test_reading_is_repeated_after_any_fault_with_longer_and_longer_waits(
    prolific: FakeProlific, fault: str
) -> None:
    waits: list[float] = []
    prolific.fault("GET", "workspaces/", fault, times=3)  # type: ignore[arg-type]
    assert api(prolific, waits).get("workspaces/")["results"][0]["title"] == "Lab"
    least = [7, 7, 7] if fault == "429" else [0.5, 1, 2]  # 7 seconds is what the answer asks for
    assert len(waits) == 3
    assert all(wait >= at_least for wait, at_least in zip(waits, least, strict=True))
    assert all(wait <= max(7, 2 * at_least) for wait, at_least in zip(waits, least, strict=True))


@pytest.mark.parametrize("fault", ["drop before", "drop after", "500", "500 after"])
def test_creating_is_not_repeated_where_it_may_have_worked(prolific: FakeProlific, fault: str) -> None:
    prolific.fault("POST", "studies/", fault)  # type: ignore[arg-type]
    with pytest.raises(PanelUnclear, match="may or may not have been done"):
        api(prolific).post("studies/", STUDY)
    assert len(prolific.called("POST", "studies/")) == 1


def test_creating_is_repeated_where_it_was_refused_or_never_arrived(prolific: FakeProlific) -> None:
    prolific.fault("POST", "studies/", "429", times=2)
    api(prolific).post("studies/", STUDY)
    assert len(prolific.studies) == 1
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        waits: list[float] = []
        lonely = ProlificApi(
            f"http://127.0.0.1:{nobody.getsockname()[1]}/", "t", attempts=3, sleep=waits.append
        )
        with pytest.raises(PanelUnreachable, match="cannot be reached"):
            lonely.post("studies/", STUDY)
    assert len(waits) == 2


def test_giving_up_says_what_was_tried(prolific: FakeProlific) -> None:
    prolific.fault("GET", "workspaces/", "429", times=9)
    with pytest.raises(PanelUnreachable, match=r"GET workspaces/: .*\(429\), after 4 tries"):
        api(prolific, attempts=4).get("workspaces/")


def test_a_list_ends_where_no_next_page_is_named_and_never_asks_past_the_end(prolific: FakeProlific) -> None:
    study = api(prolific).post("studies/", STUDY)["id"]
    made = [prolific.add_submission(f"p{number}", study) for number in range(250)]
    listed = api(prolific).listed("submissions/", study=study, page=1, page_size=100)
    assert [each["id"] for each in listed] == made
    assert len(prolific.called("GET", "submissions/")) == 3
    with pytest.raises(PanelError, match=r"Invalid page. \(404\)"):
        api(prolific).get("submissions/", study=study, page=4, page_size=100)


def test_the_token_goes_to_the_api_only_wherever_a_next_page_points(prolific: FakeProlific) -> None:
    study = api(prolific).post("studies/", STUDY)["id"]
    for number in range(3):
        prolific.add_submission(f"p{number}", study)
    prolific.origin, true_origin = "http://127.0.0.1:9", prolific.origin  # in the links of its answers
    client = ProlificApi(f"{true_origin}/api/v1/", "token-of-the-test", sleep=lambda _s: None)
    assert len(list(client.listed("submissions/", study=study, page=1, page_size=2))) == 3


def test_an_error_is_one_line_in_the_panels_words_without_the_token(prolific: FakeProlific) -> None:
    with pytest.raises(PanelError) as refused:
        api(prolific).post("studies/", {**STUDY, "reward": 0})
    assert str(refused.value) == "Prolific, POST studies/: reward: This field is required. (400)"
    secret = ProlificApi(prolific.api, "a-secret-token", sleep=lambda _s: None)
    with pytest.raises(PanelError, match=r"Authentication credentials are wrong. \(401\)") as denied:
        secret.get("studies/")
    assert "a-secret-token" not in "".join(traceback.format_exception(denied.value))
    assert "a-secret-token" not in repr(secret)


def test_a_netrc_does_not_replace_the_token(
    prolific: FakeProlific, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert api(prolific).get("workspaces/")["results"]


def test_without_a_token_or_over_plain_http_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALKIT_PROLIFIC_TOKEN", raising=False)
    with pytest.raises(UserError, match="EVALKIT_PROLIFIC_TOKEN is not set"):
        api_from_environment()
    monkeypatch.setenv("EVALKIT_PROLIFIC_API", "http://api.example.org/")
    with pytest.raises(UserError, match="would travel in clear"):
        api_base()
    monkeypatch.delenv("EVALKIT_PROLIFIC_API")
    assert api_base() == "https://api.prolific.com/api/v1/"
