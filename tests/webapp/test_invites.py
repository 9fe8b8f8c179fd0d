"""Single-use links: one person each, exactly once, and nobody else."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.webapp.coming import CSRF, Comer, headings, recruit
from tests.webapp.conftest import Hosting
from tests.webapp.people import Clock, arrive, dump, row_counts, states
from webapp import export, identity, invites, sessions
from webapp.app import create_app
from webapp.hosting import HostedStudy

USED = "This link has been used"


@pytest.fixture
def folder(folder: Path) -> Path:
    recruit(folder, recruitment={"invites_only": True})
    return folder


def link(hosted: HostedStudy) -> str:
    (code,) = invites.create(hosted, 1)
    return f"/?invite={code}"


def used(hosted: HostedStudy) -> int:
    return sum(batch.used for batch in invites.batches(hosted))


def test_a_link_begins_one_session_and_the_next_person_with_it_meets_a_kind_page(hosted: HostedStudy) -> None:
    shared = link(hosted)
    Comer(hosted).begin(shared)
    assert used(hosted) == 1
    other = Comer(hosted)
    assert other.come(shared) == USED
    assert "study@lab.example" in other.seen[-1].text
    assert row_counts(hosted)["sessions"] == 1


def test_a_link_that_was_opened_and_not_consented_to_stays_usable_for_anybody(hosted: HostedStudy) -> None:
    shared, early = link(hosted), Comer(hosted)
    for _ in range(3):
        assert early.come(shared) == "/consent"
    assert used(hosted) == 0
    Comer(hosted).begin(shared)
    reply = early.agree()
    assert (reply.status_code, headings(reply)[0]) == (403, USED)
    assert [row.outcome for row in export.arrivals(hosted)][:4] == [
        "consent",
        "consent",
        "returning",
        "admitted",
    ]


def test_who_declined_and_changes_the_mind_comes_by_the_link_again_and_spends_it(hosted: HostedStudy) -> None:
    shared, person = link(hosted), Comer(hosted)
    person.come(shared)
    token = CSRF.search(person.get("/consent").text)
    assert token is not None
    person.client.post("/stop", data={"csrf_token": token[1]})
    assert person.agree().location == "/"
    assert (used(hosted), row_counts(hosted)["sessions"]) == (0, 0)
    person.begin(shared)
    assert used(hosted) == 1


def test_who_began_with_a_link_comes_back_by_it_in_the_same_browser(hosted: HostedStudy) -> None:
    shared = link(hosted)
    person = Comer(hosted).begin(shared)
    assert person.come(shared) == "/session"
    assert person.come("/") == "/session"
    code = person.finish().text
    assert person.get(shared, follow_redirects=True).text == code


def test_without_a_link_or_with_a_link_that_nobody_made_there_is_a_kind_page_and_no_row(
    hosted: HostedStudy,
) -> None:
    wrong = f"/?invite={'0' * 32}"
    assert Comer(hosted).come("/") == "You need a personal link"
    assert Comer(hosted).come("/?worker_id=w1") == "You need a personal link"
    assert Comer(hosted).come(wrong) == "We do not know this link"
    assert Comer(hosted).come(link(hosted)[:-1]) == "We do not know this link"
    assert row_counts(hosted)["arrivals"] == 0
    assert Comer(hosted).get(wrong).status_code == 403


def test_links_work_beside_free_ones_where_both_are_allowed(hosting: Hosting, folder: Path) -> None:
    recruit(folder, recruitment={"invites_only": False})
    hosted = hosting()
    Comer(hosted).begin(link(hosted))
    Comer(hosted).begin("/?worker_id=w1")
    assert states(hosted) == {"active": 2}


def test_a_link_of_the_pilot_does_not_open_the_study(hosting: Hosting) -> None:
    live, pilot = hosting("live"), hosting("pilot")
    assert Comer(live).come(link(pilot)) == "We do not know this link"


def test_fifty_claims_at_once_with_one_link_give_one_session(hosted: HostedStudy) -> None:
    shared, app = link(hosted), create_app(hosted)
    crowd = [Comer(hosted, app.test_client()) for _ in range(50)]
    for comer in crowd:
        assert comer.come(shared) == "/consent"
    gun = threading.Barrier(len(crowd))

    def agree(comer: Comer) -> int:
        gun.wait(60)
        return comer.agree().status_code

    with ThreadPoolExecutor(len(crowd)) as pool:
        codes = list(pool.map(agree, crowd))
    assert sorted(codes) == [303] + [403] * 49
    assert row_counts(hosted)["sessions"] == used(hosted) == 1


def test_even_two_workers_cannot_spend_one_link(hosted: HostedStudy) -> None:
    (code,) = invites.create(hosted, 1)

    def claim(worker_id: str) -> str:
        worker = identity.worker_hash(hosted.config.secret_key, worker_id)
        spent = []
        admission = sessions.claim(
            hosted,
            worker,
            None,
            "1",
            admitted=lambda db, row: spent.append(invites.use(hosted, db, code, row.id)),
        )
        assert admission.session
        return str(spent)

    assert [claim("w1"), claim("w2")] == ["[True]", "[False]"]
    assert used(hosted) == 1


def test_a_refused_claim_spends_nothing(hosted: HostedStudy) -> None:
    shared = link(hosted)
    late = Comer(hosted)
    assert late.come(shared) == "/consent"
    for number in range(6):
        arrive(hosted, f"filler-{number}")
        sessions.claim(hosted, identity.worker_hash(hosted.config.secret_key, f"filler-{number}"), None, "1")
    assert headings(late.agree())[0] == "All places are taken"
    assert used(hosted) == 0


def test_codes_are_long_random_and_kept_only_as_keyed_digests(hosted: HostedStudy, clock: Clock) -> None:
    codes = invites.create(hosted, 100)
    assert len({*codes}) == 100
    assert all(len(bytes.fromhex(code)) == 16 for code in codes)
    Comer(hosted).begin(f"/?invite={codes[0]}")
    kept = dump(hosted)
    assert not [code for code in codes if code in kept]
    clock.advance(5)
    invites.create(hosted, 7)
    assert [(batch.made, batch.used) for batch in invites.batches(hosted)] == [(100, 1), (7, 0)]


def test_the_cookie_between_link_and_consent_does_not_show_the_code(hosted: HostedStudy) -> None:
    (code,) = invites.create(hosted, 1)
    comer = Comer(hosted)
    comer.come(f"/?invite={code}")
    assert "worker" in comer.cookie_in_clear()
    assert code not in comer.cookie_in_clear()
    assert code not in "".join(reply.text for reply in comer.seen)


def test_links_survive_a_change_of_the_study_before_its_first_session(hosting: Hosting, folder: Path) -> None:
    shared = link(hosting())
    recruit(folder, study={"participants_per_condition": 5})
    Comer(hosting()).begin(shared)
