"""Erasing a person: everything goes, or what stays leads back to nobody."""

import dataclasses
import json
from pathlib import Path

import pytest
from sqlalchemy import select

from studies.errors import UserError
from tests.webapp.coming import CSRF, Comer, recruit
from tests.webapp.conftest import Hosting, make_named_study
from tests.webapp.people import arrive, dump, hashed, row_counts, states
from webapp import admin, export, forget, identity, invites, payments, sessions
from webapp.hosting import HostedStudy
from webapp.tables import AdminActRow, InviteRow, MoneyActRow, ResponseRow, SessionRow

RAW = "RAW-WORKER-7Q"
PANEL = {"name": "panel", "panel": {"worker": "who", "submission": "visit"}}
TABLES_OF_A_PERSON = (
    "sessions",
    "trials",
    "trial_events",
    "responses",
    "arrivals",
    "payments",
    "money_acts",
    "invites",
)


@pytest.fixture
def folder(folder: Path) -> Path:
    recruit(folder, recruitment=PANEL)
    return folder


def come(hosted: HostedStudy, worker: str, *, whole: bool = True) -> Comer:
    comer = Comer(hosted).begin(f"/?who={worker}&visit=visit-of-{worker}")
    if whole:
        comer.finish()
    return comer


def comment(comer: Comer, text: str) -> None:
    token = CSRF.search(comer.get("/finish").text)
    assert token is not None
    comer.client.post("/comment", data={"csrf_token": token[1], "comment": text})


def session_of(hosted: HostedStudy, worker: str) -> str:
    with hosted.database.read() as db:
        return db.scalars(select(SessionRow.id).where(SessionRow.worker == hashed(hosted, worker))).one()


def audit(hosted: HostedStudy) -> list[tuple[str, str, str]]:
    with hosted.database.read() as db:
        return [
            (row.who, row.act, row.detail) for row in db.scalars(select(AdminActRow).order_by(AdminActRow.id))
        ]


def test_removing_a_person_takes_all_rows_and_nobody_elses(hosted: HostedStudy) -> None:
    come(hosted, "other")
    others = row_counts(hosted)
    comment(come(hosted, RAW), "I am Ann")
    traces = forget.find(hosted, RAW)
    assert traces is not None
    assert (traces.state, traces.answers, traces.comment, traces.arrivals) == ("finished", 6, True, 1)
    assert str(traces) == "a session (finished, 6 answers, a comment), a payment row, 1 arrival"
    secrets = [hashed(hosted, RAW), session_of(hosted, RAW), "I am Ann"]
    assert forget.erase(hosted, RAW) == traces
    after = row_counts(hosted)
    assert {name: after[name] for name in TABLES_OF_A_PERSON} == {
        name: others[name] for name in TABLES_OF_A_PERSON
    }
    assert not [secret for secret in secrets if secret in dump(hosted)]
    assert len(export.responses(hosted)) == 6


def test_the_place_is_free_again_and_the_person_is_new(hosted: HostedStudy) -> None:
    for number in range(5):
        come(hosted, f"filler-{number}", whole=False)
    come(hosted, RAW)
    assert arrive(hosted, "late") == "full"
    forget.erase(hosted, RAW)
    assert arrive(hosted, "late") == "consent"
    assert come(hosted, RAW, whole=False).come(f"/?who={RAW}&visit=2") == "/session"
    assert states(hosted) == {"active": 6}


def test_erased_bytes_are_gone_from_the_sqlite_file(hosted: HostedStudy) -> None:
    if not hosted.config.database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL's files are its own; VACUUM gives the space back")
    comer = come(hosted, RAW)
    comment(comer, "a comment that nobody else would write")
    with hosted.database.read() as db:
        sealed = payments.payments_of(hosted, db)[0].encrypted
    forget.erase(hosted, RAW)
    path = Path(str(hosted.database.engine.url.database))
    for part in (path, path.with_name(path.name + "-wal")):
        content = part.read_bytes() if part.exists() else b""
        for secret in (sealed, "a comment that nobody", hashed(hosted, RAW)):
            assert secret.encode() not in content


def test_an_anonymised_person_keeps_answers_that_nothing_leads_to(hosting: Hosting, folder: Path) -> None:
    recruit(folder, ethics={"on_request": "anonymise"})
    hosted = hosting()
    come(hosted, "other")
    comer = come(hosted, RAW)
    comment(comer, "I am Ann")
    old = session_of(hosted, RAW)
    code = identity.completion_code(hosted.config.secret_key, old)
    before = export.responses(hosted)
    assert forget.erase(hosted, RAW) is not None
    after = export.responses(hosted)
    kept = [
        (row.trial_index, row.attempt, row.choice, row.outcome, row.image_1, row.image_2) for row in after
    ]
    assert sorted(kept) == sorted(
        (row.trial_index, row.attempt, row.choice, row.outcome, row.image_1, row.image_2) for row in before
    )
    for secret in (hashed(hosted, RAW), old, "I am Ann"):
        assert secret not in dump(hosted)
    rows = export.sessions(hosted)
    assert code not in [identity.completion_code(hosted.config.secret_key, row.session) for row in rows]
    assert {row.state for row in rows} == {"finished"}
    assert row_counts(hosted)["payments"] == 1
    assert {row.worker for row in export.arrivals(hosted)} == {row.worker for row in rows}
    assert comer.get("/done", follow_redirects=True).status_code == 403  # the old cookie opens nothing
    assert (
        comer.come(f"/?who={RAW}&visit=1") == "/consent"
    )  # nobody knows any more that it is the same person


def test_somebody_in_the_middle_who_is_anonymised_gives_the_place_back(
    hosting: Hosting, folder: Path
) -> None:
    recruit(folder, ethics={"on_request": "anonymise"})
    hosted = hosting()
    come(hosted, RAW, whole=False)
    forget.erase(hosted, RAW)
    assert states(hosted) == {"stopped": 1}


def test_forgetting_twice_changes_nothing_and_an_unknown_person_is_nothing(hosted: HostedStudy) -> None:
    come(hosted, RAW)
    assert forget.erase(hosted, RAW) is not None
    once = dump(hosted)
    assert forget.find(hosted, RAW) is None
    assert forget.erase(hosted, RAW) is None
    assert forget.erase(hosted, "nobody") is None
    assert dump(hosted) == once


def test_who_only_opened_the_link_is_forgotten_too(hosted: HostedStudy) -> None:
    Comer(hosted).come(f"/?who={RAW}&visit=1")
    assert str(forget.find(hosted, RAW)) == "1 arrival"
    forget.erase(hosted, RAW)
    assert row_counts(hosted)["arrivals"] == 0


def test_the_audit_log_says_that_somebody_was_erased_and_what_was_paid_but_not_who(
    hosted: HostedStudy,
) -> None:
    come(hosted, RAW)
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
    traces = forget.erase(hosted, RAW)
    assert traces is not None
    assert (traces.paid_cents, traces.owed) == (150, False)
    (entry,) = audit(hosted)
    assert entry == (
        "command line",
        "forget",
        "A person was erased on request: 6 answers removed; recorded as paid: 150 cents.",
    )
    assert [act.act for act in admin.acts(hosted)] == ["forget"]


def test_somebody_who_was_not_paid_yet_is_pointed_out(hosted: HostedStudy) -> None:
    come(hosted, RAW)
    traces = forget.find(hosted, RAW)
    assert traces is not None
    assert traces.owed


@pytest.mark.parametrize("on_request", ["remove", "anonymise"])
def test_an_invite_of_a_forgotten_person_opens_nothing_and_leads_to_nobody(
    hosting: Hosting, folder: Path, on_request: str
) -> None:
    recruit(folder, recruitment={"name": "direct", "invites_only": True}, ethics={"on_request": on_request})
    hosted = hosting()
    code, _unused = invites.create(hosted, 2)
    Comer(hosted).begin(f"/?invite={code}").finish()
    assert forget.erase(hosted, code) is not None
    assert Comer(hosted).come(f"/?invite={code}") == "We do not know this link"
    with hosted.database.read() as db:
        digests = db.scalars(select(InviteRow.code_digest)).all()
    assert identity.invite_digest(hosted.config.secret_key, code) not in digests
    (batch,) = invites.batches(hosted)
    assert (batch.made, batch.used) == ((1, 0) if on_request == "remove" else (2, 1))


def test_another_key_than_that_of_the_data_is_called_so(hosting: Hosting) -> None:
    hosted = hosting()
    come(hosted, RAW, whole=False)
    other = dataclasses.replace(hosted, config=dataclasses.replace(hosted.config, secret_key="k" * 64))
    with pytest.raises(UserError, match="collected under another secret key, so no worker can be found"):
        forget.find(other, RAW)


def test_other_studies_of_the_scope_that_know_the_person_are_named(hosting: Hosting, tmp_path: Path) -> None:
    one, two = (
        make_named_study(tmp_path / name, study={"id": name, "scope": "both"}) for name in ("one", "two")
    )
    (two / "secret.key").write_bytes((one / "secret.key").read_bytes())
    first, second = hosting(where=one), hosting(where=two)
    arrive(first, RAW)
    sessions.claim(first, hashed(first, RAW), None, "1")
    assert forget.find(second, RAW) is None
    assert forget.elsewhere(second, RAW) == ["one"]
    assert forget.elsewhere(first, RAW) == []


def test_events_and_answers_of_nobody_are_left_behind(hosted: HostedStudy) -> None:
    come(hosted, RAW)
    forget.erase(hosted, RAW)
    with hosted.database.read() as db:
        assert not db.scalars(select(ResponseRow)).all()
    left = row_counts(hosted)
    assert json.dumps({name: left[name] for name in TABLES_OF_A_PERSON if left[name]}) == "{}"
