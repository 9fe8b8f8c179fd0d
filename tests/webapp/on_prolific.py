"""A study that recruits on (the stand-in for) Prolific, and its participants."""

import tomllib
from pathlib import Path
from typing import Any

from sqlalchemy import select

from studies.design import Study, parse_study
from studies.study_toml import render_study_toml
from tests.webapp.fake_prolific import TOKEN, FakeProlific
from tests.webapp.people import Person, hashed
from webapp import payments, sessions
from webapp.hosting import HostedStudy
from webapp.recruitment import Visitor
from webapp.recruitment.prolific_api import ProlificApi
from webapp.recruitment.prolific_study import launch, transition
from webapp.tables import MoneyActRow, PaymentRow

URL = "https://study.example.org"
HOOK = "/hooks/prolific"


def recruit(folder: Path, *, entry: str = "checked", **prolific: Any) -> Path:
    """Let the study in a folder recruit on Prolific, 1.50 for 8 minutes."""
    path = folder / "study.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    tables["recruitment"] = {
        "name": "prolific",
        "reward_cents": 150,
        "fee_share": 0.25,
        "prolific": {"entry": entry, **prolific},
    }
    study: Study = parse_study(tables, "changed")
    path.write_text(render_study_toml(study, None), encoding="utf-8")
    return folder


def api(fake: FakeProlific, waits: list[float] | None = None, **options: Any) -> ProlificApi:
    """A client that does not wait, and notes how long it would have."""
    noted = waits if waits is not None else []
    return ProlificApi(fake.api, TOKEN, sleep=noted.append, **options)


def published(hosted: HostedStudy, fake: FakeProlific, url: str = URL) -> str:
    """The study, launched and published; returns its id there."""
    client = api(fake)
    study = launch(hosted, client, url, hosted.study.sessions_planned)
    transition(hosted, client, "PUBLISH")
    return str(study["id"])


def begin(hosted: HostedStudy, fake: FakeProlific, name: str, study: str) -> tuple[Person, str]:
    """Somebody with a submission there and a session here."""
    submission = fake.add_submission(name, study)
    worker = hashed(hosted, name)
    _welcome, arrival = sessions.arrive(hosted, worker, None)
    admission = sessions.claim(
        hosted,
        worker,
        arrival,
        "1-test",
        admitted=lambda db, row: payments.remember(hosted, db, row, Visitor(name, submission)),
    )
    person = Person(hosted, name, admission.session, admission.token)
    person.reload()
    return person, submission


def finish(hosted: HostedStudy, fake: FakeProlific, name: str, study: str) -> tuple[str, str]:
    """Somebody who finished here and handed in there; session and submission."""
    person, submission = begin(hosted, fake, name, study)
    person.walk()
    fake.set_state(submission, "AWAITING REVIEW")
    return person.session, submission


def panel_states(hosted: HostedStudy) -> list[str]:
    with hosted.database.read() as db:
        return list(db.scalars(select(PaymentRow.panel_state).order_by(PaymentRow.id)))


def acts(hosted: HostedStudy) -> list[tuple[str, int, str]]:
    """Act, cents and state of every act of money."""
    with hosted.database.read() as db:
        rows = db.scalars(select(MoneyActRow).order_by(MoneyActRow.id))
        return [(row.act, row.amount_cents, row.state) for row in rows]
