"""Hundreds of participants at once: nothing is lost, nothing doubled, and an answer costs few statements."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from benchmarks.server_load import Figures, Load, make_load_study, measure, run
from tests.reliability.figures import keep_row
from tests.webapp.test_views import Browser
from webapp.hosting import HostedStudy

ANSWER = {"choice": "first", "rt_ms": 500.0}
DISPLAY = {"slots": {slot: {"exposure_ms": 1000.0} for slot in "12"}}


def test_twenty_participants_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    load = Load(
        participants=20, seconds=3.0, flat_out_seconds=0.0, workers=2, size_px=32, flat_out_participants=0
    )
    folder = make_load_study(tmp_path / "study", load)
    figures = measure(folder, f"sqlite:///{tmp_path / 'study.sqlite'}", load)
    assert figures.answers > 0
    assert (figures.errors, figures.lost, figures.doubled) == (0, 0, 0)


def test_statements_per_request_stay_few(hosted: HostedStudy) -> None:
    """BEGIN counts on SQLite, where it is a statement of ours."""
    counted: Counter[str] = Counter()
    browser = Browser(hosted)
    state = browser.begin()

    def count(*_: Any) -> None:
        counted["now"] += 1

    event.listen(hosted.database.engine, "before_cursor_execute", count)

    def cost(request: Any) -> int:
        counted["now"] = 0
        reply = request()
        assert reply.status_code == 200, reply.text
        return counted["now"]

    path = f"/api/trials/{state['trials'][0]['id']}"
    begin = 1 if hosted.config.database_url.startswith("sqlite") else 0
    assert cost(lambda: browser.get(state["trials"][0]["images"]["1"])) <= 1 + begin
    assert cost(lambda: browser.post(f"{path}/begun")) <= 3 + begin
    assert cost(lambda: browser.post(f"{path}/ended", DISPLAY)) <= 3 + begin
    assert cost(lambda: browser.post(f"{path}/answer", ANSWER)) <= 5 + begin
    event.remove(hosted.database.engine, "before_cursor_execute", count)


def row(figures: Figures) -> list[Any]:
    seen = asdict(figures)
    return [
        *(seen[name] for name in ("participants", "seconds", "answers", "answers_per_s", "images_per_s")),
        " / ".join(str(seen[f"{name}_ms"]) for name in ("p50", "p95", "p99", "worst")),
        *(seen[name] for name in ("errors", "lost", "doubled", "server_cpu_ms_per_answer")),
        *(seen[name] for name in ("flat_out_per_s", "bare_per_s")),
    ]


@pytest.mark.reliability
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_five_hundred_participants_for_three_minutes(database: str) -> None:
    figures = run(database, Load())
    keep_row("load", {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database], row(figures))
    assert (figures.errors, figures.lost, figures.doubled) == (0, 0, 0)
    assert figures.p99_ms < {"sqlite": 500, "postgresql": 100}[database]
