"""The payment table: raw ids stand there and nowhere else, encrypted, from the consent to the close."""

import dataclasses
import logging
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests.webapp.coming import CSRF, Comer, recruit
from tests.webapp.conftest import Hosting
from tests.webapp.people import arrive, dump, hashed, row_counts
from webapp import admin, export, payments, sessions
from webapp.hosting import HostedStudy
from webapp.identity import payment_key
from webapp.recruitment import Visitor
from webapp.tables import MoneyActRow, PaymentRow, SessionRow

RAW, SUBMISSION, KEPT = "RAW-WORKER-7Q", "RAW-SUBMISSION-8Q", "RAW-KEPT-9Q"
LINK = f"/?who={RAW}&visit={SUBMISSION}&page={KEPT}"
PANEL = {
    "name": "panel",
    "panel": {
        "worker": "who",
        "submission": "visit",
        "keep": ["page"],
        "completion": "https://portal.example/{page}?{submission}",
    },
}


@pytest.fixture
def folder(folder: Path) -> Path:
    recruit(folder, recruitment=PANEL)
    return folder


def the_row(hosted: HostedStudy) -> PaymentRow:
    with hosted.database.read() as db:
        (row,) = payments.payments_of(hosted, db)
        return row


def test_a_session_and_what_paying_it_needs_are_kept_together(hosted: HostedStudy) -> None:
    Comer(hosted).begin(LINK)
    row = the_row(hosted)
    (session,) = export.sessions(hosted)
    assert (row.session_id, row.worker) == (session.session, hashed(hosted, RAW))
    assert payments.visitor_of(hosted, session.session) == Visitor(RAW, SUBMISSION, {"page": KEPT})
    with hosted.database.read() as db:
        found = payments.find_submission(hosted, db, SUBMISSION)
        assert found is not None
        assert found.id == row.id
        assert payments.find_submission(hosted, db, RAW) is None
        assert payments.find_submission(hosted, db, "") is None
        assert db.get_one(SessionRow, session.session).recruiter == "panel"


def test_raw_ids_are_in_no_other_table_file_page_cookie_or_log(
    hosted: HostedStudy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    comer = Comer(hosted)
    assert comer.come(LINK) == "/consent"
    before = comer.cookie_in_clear()
    comer.agree()
    comer.come(LINK)
    export.export(hosted)
    hosted.database.scrub()
    pages = "".join(reply.text + str(reply.headers) for reply in comer.seen)
    files = [path.read_bytes() for path in hosted.config.folder.parent.rglob("*") if path.is_file()]
    for raw in (RAW, SUBMISSION, KEPT):
        assert raw not in before + comer.cookie_in_clear() + pages + caplog.text + dump(hosted)
        assert not [
            content for content in files if raw.encode() in content and b"[recruitment" not in content
        ]


def test_of_who_never_consented_no_raw_id_is_stored_even_encrypted(hosted: HostedStudy) -> None:
    comer = Comer(hosted)
    assert comer.come(LINK) == "/consent"
    assert row_counts(hosted)["payments"] == 0
    assert row_counts(hosted)["arrivals"] == 1


def test_who_declines_keeps_no_id_even_in_the_own_cookie(hosted: HostedStudy) -> None:
    comer = Comer(hosted)
    comer.come(LINK)
    token = CSRF.search(comer.get("/consent").text)
    assert token is not None
    assert "visitor" in comer.cookie_in_clear()
    comer.client.post("/stop", data={"csrf_token": token[1]})
    assert "visitor" not in comer.cookie_in_clear()
    assert comer.agree().location == "/"  # a change of mind begins with the link
    assert row_counts(hosted)["sessions"] == row_counts(hosted)["payments"] == 0


def test_a_claim_that_is_refused_keeps_no_payment_row(hosted: HostedStudy) -> None:
    comer = Comer(hosted)
    comer.come(LINK)
    for number in range(6):
        arrive(hosted, f"filler-{number}")
        sessions.claim(hosted, hashed(hosted, f"filler-{number}"), None, "1")
    assert comer.agree().status_code == 403
    assert row_counts(hosted)["payments"] == 0


def test_a_session_whose_payment_row_cannot_be_kept_does_not_begin(
    hosted: HostedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise sessions.Refusal(500, "disk", "no room")

    comer = Comer(hosted)
    comer.come(LINK)
    monkeypatch.setattr(payments, "remember", fail)
    assert comer.agree().status_code == 500
    assert row_counts(hosted)["sessions"] == 0


def test_direct_links_keep_no_ids(hosting: Hosting, folder: Path) -> None:
    recruit(folder, recruitment={"name": "direct"})
    hosted = hosting()
    Comer(hosted).begin(f"/?worker_id={RAW}")
    assert row_counts(hosted)["payments"] == 0


def test_what_is_kept_can_only_be_read_with_the_key(hosted: HostedStudy) -> None:
    Comer(hosted).begin(LINK)
    row = the_row(hosted)
    assert RAW.encode() in Fernet(payment_key(hosted.config.secret_key)).decrypt(row.encrypted)
    other = dataclasses.replace(hosted, config=dataclasses.replace(hosted.config, secret_key="k" * 64))
    assert payments.visitor_of(other, str(row.session_id)) is None
    assert payments.unseal(hosted, row.encrypted[:-4]) is None
    assert payments.unseal(hosted, None) is None


def test_who_consents_after_the_key_was_changed_opens_the_link_again_instead_of_going_unpaid(
    hosted: HostedStudy,
) -> None:
    comer = Comer(hosted)
    comer.come(LINK)
    with comer.client.session_transaction() as cookie:
        cookie["visitor"] = payments.seal(
            dataclasses.replace(hosted, config=dataclasses.replace(hosted.config, secret_key="k" * 64)),
            Visitor(RAW),
        )
    assert comer.agree().location == "/"
    assert row_counts(hosted)["sessions"] == 0


def test_closing_a_study_drops_ids_and_digests_and_leaves_the_books(hosted: HostedStudy) -> None:
    comer = Comer(hosted).begin(LINK)
    session = str(the_row(hosted).session_id)
    sessions.release(hosted, session, "stopped", "test")
    with hosted.database.write() as db:
        row = payments.payments_of(hosted, db)[0]
        db.add(
            MoneyActRow(
                study="small",
                data="live",
                payment_id=row.id,
                act="approve",
                amount_cents=150,
                state="done",
                at=1,
            )
        )
    assert admin.set_state(hosted, "closed", "command line")
    row = the_row(hosted)
    assert (row.encrypted, row.submission_digest, row.worker) == ("", "", hashed(hosted, RAW))
    assert payments.visitor_of(hosted, session) is None
    with hosted.database.write() as db:
        assert payments.drop_ids(hosted, db) == 0
        assert db.scalars(select(MoneyActRow.amount_cents)).all() == [150]
    assert comer.come("/?who=somebody&visit=1&page=2") == "The study is over"


def test_dropping_the_ids_of_one_kind_of_data_leaves_the_others(hosting: Hosting) -> None:
    live, preview = hosting("live"), hosting("preview")
    for each in (live, preview):
        Comer(each).begin(LINK)
    with preview.database.write() as db:
        assert payments.drop_ids(preview, db) == 1
    assert the_row(live).encrypted
    assert not the_row(preview).encrypted


def test_a_worker_who_is_erased_from_the_table_takes_what_was_done_to_pay_along(hosted: HostedStudy) -> None:
    Comer(hosted).begin(LINK)
    Comer(hosted).begin("/?who=other&visit=1&page=2")
    with hosted.database.write() as db:
        for row in payments.payments_of(hosted, db):
            db.add(
                MoneyActRow(study="small", data="live", payment_id=row.id, act="bonus", state="planned", at=1)
            )
    with hosted.database.write() as db:
        payments.erase(hosted, db, hashed(hosted, RAW))
        payments.erase(hosted, db, hashed(hosted, RAW))
    assert the_row(hosted).worker == hashed(hosted, "other")
    assert row_counts(hosted)["money_acts"] == 1
