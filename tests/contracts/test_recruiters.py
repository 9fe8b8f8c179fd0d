"""What every way to recruit promises."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.datastructures import MultiDict

from studies.design import PanelLink, Recruitment
from studies.errors import UserError
from tests.made_up_study import make_study
from webapp.config import server_config
from webapp.hosting import HostedStudy, host, prepare
from webapp.recruitment import RECRUITERS, EntryRefused, Preview, Recruiter, Visitor, WayBack, recruiter_of

BASE = "https://study.example.org"
SETTINGS = {
    "panel": {
        "panel": PanelLink(
            worker="workerId",
            submission="assignmentId",
            keep=("hitId",),
            completion="https://panel.example/done?code={code}&who={submission}",
        )
    }
}
"""Where the defaults would test little."""

LONG, NUL, LONE, WIDE = "x" * 100_000, "a\0b", "a\ud800b", "名" * 200


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostedStudy]:
    hosted = host(server_config(make_study(tmp_path_factory.mktemp("recruiters") / "small"), "live"))
    prepare(hosted)
    yield hosted
    hosted.database.close()


@pytest.fixture(params=RECRUITERS)
def recruiter(
    request: pytest.FixtureRequest, hosted: HostedStudy, monkeypatch: pytest.MonkeyPatch
) -> Recruiter:
    """Each one, ready to be asked; a panel's API would be found on a port where nobody listens."""
    monkeypatch.setenv("EVALKIT_PROLIFIC_API", "http://127.0.0.1:9/")
    monkeypatch.setenv("EVALKIT_PROLIFIC_TOKEN", "no token of anybody")
    made = recruiter_of(Recruitment(name=request.param, **SETTINGS.get(request.param, {})))
    made.connect(hosted)
    return made


def ask(recruiter: Recruiter, query: list[tuple[str, str]]) -> Visitor | Preview | EntryRefused | None:
    try:
        return recruiter.visitor(MultiDict(query))
    except EntryRefused as refused:
        return refused


def link(recruiter: Recruiter) -> list[tuple[str, str]]:
    """The parameters of the participant link, as they stand in it."""
    return parse_qsl(urlsplit(recruiter.participant_link(BASE)).query, strict_parsing=True)


@pytest.mark.parametrize("name", RECRUITERS)
def test_a_recruiter_is_registered_under_its_modules_name(name: str) -> None:
    assert RECRUITERS[name].name == name == Path(inspect.getfile(RECRUITERS[name])).stem


def test_a_link_without_parameters_names_nobody(recruiter: Recruiter) -> None:
    assert ask(recruiter, []) is None
    assert ask(recruiter, [("utm_source", "mail")]) is None


def test_the_participant_link_leads_to_the_server_and_names_each_parameter_once(recruiter: Recruiter) -> None:
    assert recruiter.participant_link(BASE).startswith(f"{BASE}/?")
    names = [name for name, _ in link(recruiter)]
    assert names
    assert len(set(names)) == len(names)


def test_the_participant_link_with_everything_filled_in_names_somebody_or_is_refused_with_a_reason(
    recruiter: Recruiter,
) -> None:
    answer = ask(recruiter, [(name, f"filled{number}") for number, (name, _) in enumerate(link(recruiter))])
    assert isinstance(answer, (Visitor, EntryRefused))
    assert isinstance(answer, Visitor) or (answer.code and answer.message)


@pytest.mark.parametrize(
    "odd", [LONG, NUL, LONE, WIDE, "", " ", "\n", "{code}", "../..", "<script>", "'--", "%00"]
)
def test_odd_values_never_crash_and_nothing_unprintable_gets_in(recruiter: Recruiter, odd: str) -> None:
    names = [name for name, _ in link(recruiter)]
    queries = [[(name, odd) for name in names]]
    queries += [[(name, odd if name == one else "fine") for name in names] for one in names]
    queries += [[(one, odd)] for one in names]
    for query in queries:
        answer = ask(recruiter, query)
        if isinstance(answer, Visitor):
            for text in (answer.worker_id, answer.submission, *answer.kept.values()):
                assert len(text) <= 200
                assert text.isprintable()
            assert answer.worker_id
        else:
            assert answer is None or isinstance(answer, EntryRefused)


def test_of_a_repeated_parameter_one_value_counts(recruiter: Recruiter) -> None:
    names = [name for name, _ in link(recruiter)]
    first, second = [(name, "first") for name in names], [(name, "second") for name in names]
    answer = ask(recruiter, first + second)
    if isinstance(answer, Visitor):
        assert {answer.worker_id, *answer.kept.values()} == {"first"}
    assert type(answer) is type(ask(recruiter, first))


def test_once_the_ids_are_dropped_there_is_a_code_and_perhaps_a_way_back(recruiter: Recruiter) -> None:
    way_back = recruiter.way_back(None, "ABCD2345")
    assert way_back is None or (isinstance(way_back, WayBack) and urlsplit(way_back.url).scheme == "https")
    if not recruiter.keeps_id:
        assert recruiter.way_back(Visitor("somebody"), "ABCD2345") == way_back


def test_the_raw_id_of_a_visitor_is_in_no_text_that_a_log_might_hold() -> None:
    visitor = Visitor("RAW-WORKER", "RAW-SUBMISSION", {"hitId": "RAW-KEPT"}, "RAW-INVITE")
    assert "RAW" not in repr(visitor) + str(visitor)


def test_a_recruiter_that_does_not_exist_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"name = 'panell': no such recruiter\. Did you mean 'panel'\?"):
        recruiter_of(Recruitment(name="panell"))


@pytest.mark.parametrize("name", RECRUITERS)
def test_a_simulation_comes_by_plain_links_whatever_the_panel(name: str) -> None:
    settings = Recruitment(name=name, invites_only=True, **SETTINGS.get(name, {}))
    assert ask(recruiter_of(settings, "simulated"), [("worker_id", "w1")]) == Visitor("w1")
