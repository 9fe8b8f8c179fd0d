"""From `launch --dry-run` to `pay` by the command line, with kill -9 while money moves; Prolific is a stand-in."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy import select

from evalkit.cli.server import background_server
from tests.end_to_end.visitor import CSRF, TIMEOUT_S, Visitor
from tests.made_up_study import make_study
from tests.webapp.fake_prolific import TOKEN, FakeProlific, running_prolific
from webapp.config import server_config
from webapp.hosting import host, prepare
from webapp.tables import MoneyActRow

ROOT = Path(__file__).parents[2]


class Participant(Visitor):
    """Comes by the link that Prolific fills in, and goes back by the one that the server names."""

    def __init__(self, base_url: str, link: dict[str, str]) -> None:
        super().__init__(base_url, link["PROLIFIC_PID"])
        self.link = link

    def open_link(self) -> requests.Response:
        reply = self.http.get(f"{self.base_url}/", params=self.link, timeout=TIMEOUT_S)
        match = CSRF.search(reply.text)
        self.consent_form = match[1] if match else ""
        return reply


@pytest.fixture
def prolific(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProlific]:
    with running_prolific() as fake:
        monkeypatch.setenv("EVALKIT_PROLIFIC_API", fake.api)
        monkeypatch.setenv("EVALKIT_PROLIFIC_TOKEN", TOKEN)
        yield fake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_study(
        tmp_path / "small",
        study={"participants_per_condition": 1},
        protocol={"practice": 1, "scored": 2},
        recruitment={
            "name": "prolific",
            "reward_cents": 150,
            "fee_share": 0.25,
            "prolific": {"add_to_group": "all"},
        },
    )


def command(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "evalkit.cli", "study", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "110"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: object) -> tuple[int, str, str]:
    process = command(*arguments)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def money(folder: Path) -> list[tuple[str, str]]:
    hosted = host(server_config(folder, "live"), verify=False)
    try:
        with hosted.database.read() as db:
            return [(row.act, row.state) for row in db.scalars(select(MoneyActRow).order_by(MoneyActRow.id))]
    finally:
        hosted.database.close()


def test_a_study_is_launched_taken_part_in_and_paid_though_the_payer_is_killed(
    folder: Path, prolific: FakeProlific
) -> None:
    code, shown, err = run("launch", folder, "--url", "https://study.example.org", "--dry-run")
    assert (code, prolific.requests) == (0, []), err
    requests_shown = re.findall(r"^\d+\. (.+)$", shown, re.MULTILINE)
    assert requests_shown[0] == "GET workspaces/"
    assert requests_shown[-1] == "POST studies/<id of the study>/transition/"
    assert TOKEN not in shown + err
    body, _end = json.JSONDecoder().raw_decode(shown.split("POST studies/\n")[1])
    assert body["reward"] == 150

    code, _out, err = run("launch", folder, "--url", prolific.origin)  # nobody says yes
    assert (code, "Aborted" in err) == (1, True)
    hosted = host(server_config(folder, "live"))
    prepare(hosted)
    hosted.database.close()
    with background_server(server_config(folder, "live"), workers=1) as base:
        code, study, err = run("launch", folder, "--url", prolific.origin, "--publish")
        assert code == 0, err
        study = study.strip()
        assert prolific.studies[study]["status"] == "ACTIVE"
        assert len(prolific.studies) == 1
        submissions = [prolific.add_submission(f"p{number}", study) for number in range(2)]
        for submission in submissions:
            person = Participant(base, prolific.link(submission))
            person.begin().finish()
            back = person.http.get(f"{base}/back", allow_redirects=False, timeout=TIMEOUT_S)
            code_there = prolific.studies[study]["completion_codes"][0]["code"]
            assert back.headers["Location"].endswith(f"?cc={code_there}")
            person.close()
            prolific.set_state(submission, "AWAITING REVIEW")

    code, out, err = run("pay", folder, "--dry-run")
    assert (code, prolific.paid) == (0, {}), err
    assert re.search(r"to approve\s+2\s+finished here", out)
    assert "In all         3.75 GBP" in err
    assert money(folder) == []

    bonus = folder / "bonus.csv"
    bonus.write_text("".join(f"{submission},40\n" for submission in submissions))
    for path, fault in (
        (rf"submissions/{submissions[0]}/transition/", "hold after"),  # paid, and nobody heard of it
        (rf"submissions/{submissions[1]}/transition/", "hold before"),  # never paid
        (r"bulk-bonus-payments/\w+/pay/", "hold after"),
    ):
        held = prolific.fault("POST", path, fault)  # type: ignore[arg-type]
        process = command("pay", folder, "--yes", "--bonus", bonus)
        assert held.reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        held.go_on.set()
        assert ("approve", "sent") in money(folder) or ("bonus", "sent") in money(folder)
    for _ in range(2):
        code, out, err = run("pay", folder, "--yes", "--bonus", bonus)
        assert code == 0, err
    assert {name: sorted(cents) for name, cents in prolific.paid.items()} == {
        submission: [40, 150] for submission in submissions
    }
    assert {state for _act, state in money(folder)} == {"done"}
    assert "Nobody else is due" in err
    assert all(TOKEN.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())

    code, _out, err = run("launch", folder, "--stop")
    assert (code, "Now AWAITING REVIEW on Prolific" in err) == (0, True)
    code, _out, err = run("launch", folder, "--pause")
    assert (code, "to pause it, it must be ACTIVE" in err) == (1, True)
