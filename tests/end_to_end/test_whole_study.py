"""From folders of images to the report, with the commands of the README."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from studies.records import Response, read_csv
from tests.made_up_study import make_study


def evalkit(cwd: Path, *arguments: str, **environment: str) -> str:
    """Run a command as a user would; returns its standard output."""
    ran = subprocess.run(
        [sys.executable, "-m", "evalkit.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_study_lives_in_the_postgresql_that_the_environment_names(
    tmp_path: Path, empty_postgresql: str
) -> None:
    study = make_study(tmp_path / "small")
    where = {"EVALKIT_DATABASE_URL": empty_postgresql}
    evalkit(tmp_path, "study", "simulate", "small", "--observer", "known", "--participants", "4", **where)
    status = json.loads(evalkit(tmp_path, "study", "status", "small", "--json", **where))
    assert [row["finished"] for row in status["conditions"]] == [2, 2]
    assert evalkit(tmp_path, "report", "small", **where) == "small/simulated/report.html\n"
    assert not (study / "study.sqlite").exists()


@pytest.mark.shared_data
def test_the_facades_of_two_real_generators_become_a_report(tmp_path: Path, shared_data: Path) -> None:
    results = shared_data / "results"
    evalkit(
        tmp_path, "study", "init", "facades", "--preset", "pix2pix2017",
        "--real", f"{results}/facades_pix2pix:real_B",
        "--fake", f"pix2pix={results}/facades_pix2pix:fake_B",
        "--fake", f"cyclegan={results}/facades_cyclegan:fake_A",
        "--approval", "IRB 2026-17", "--contact", "study@lab.example",
    )  # fmt: skip
    assert evalkit(tmp_path, "study", "build", "facades") == "facades/stimuli\n"
    evalkit(tmp_path, "study", "simulate", "facades", "--participants", "2")
    evalkit(tmp_path, "study", "export", "facades")
    rows = read_csv(tmp_path / "facades/simulated/responses.csv", Response)
    assert len(rows) == 2 * 50
    assert {row.condition for row in rows} == {"pix2pix", "cyclegan"}
    by_condition = {
        name: [(row.source_id_1, row.source_id_2, row.side_1) for row in rows if row.condition == name]
        for name in ("pix2pix", "cyclegan")
    }
    assert by_condition["pix2pix"] == by_condition["cyclegan"]
    evalkit(tmp_path, "analyze", "facades")
    assert evalkit(tmp_path, "report", "facades") == "facades/simulated/report.html\n"
    page = (tmp_path / "facades/simulated/report.html").read_text(encoding="utf-8")
    assert "SIMULATED (observer: seeing)" in page
    assert "void trials are not replaced, since no inputs were left for a reserve" in page
    assert "exactly 50 images" in page
