"""`evalkit study audit` from the command line, and the null study through the whole chain."""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from evalkit.cli import cli
from evalkit.cli.numbers import run_analysis
from evalkit.cli.study_audit import run_audit
from evalkit.cli.study_simulate import run_simulation
from evalkit.results import read_results
from studies.errors import UserError
from tests.audited_study import picture, split_study
from tests.studies.test_audit import rebuilt

PICTURES, PEOPLE, SCORED = 48, 10, 12


def pictures(count: int) -> list[Image.Image]:
    rng = random.Random(31)
    return [picture(rng) for _ in range(count)]


def test_the_command_says_what_it_found_verdicts_first_and_writes_records(tmp_path: Path):
    folder = split_study(tmp_path / "s", pictures(24), random.Random(2))
    result = CliRunner().invoke(cli, ["study", "audit", str(folder)])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "ok    No property of the files that participants get tells real from fake."
    assert any(line.startswith("AUC of file properties") for line in lines)
    assert any(line.startswith("pattern of the file name") for line in lines)
    assert lines[-1] == str(folder / "audit.jsonl")
    digest = json.loads((folder / "stimuli" / "manifest.json").read_text())["digest"]
    assert {record.provenance.digests["stimuli"] for record in read_results(folder / "audit.jsonl")} == {
        digest
    }


def test_a_bundle_made_by_hand_fails_the_audit_and_no_server_takes_it(tmp_path: Path):
    folder = split_study(tmp_path / "s", pictures(24), random.Random(2))
    rebuilt(folder, lambda data: data + bytes(1))
    result = CliRunner().invoke(cli, ["study", "audit", str(folder)])
    assert result.exit_code == 1
    assert result.stdout.startswith("FAIL  file size differs between the files of the bundle: ")
    told = json.loads(CliRunner().invoke(cli, ["study", "audit", str(folder), "--json"]).stdout)
    assert (told["ok"], list(told["leaks"])) == (False, ["size_bytes", "encoding"])
    with pytest.raises(UserError, match="nothing but the picture may differ"):
        run_simulation(folder, 1, "seeing", (), 1, replace=False)


def test_known_test_sets_are_warned_of(tmp_path: Path):
    folder = split_study(tmp_path / "s", pictures(24), random.Random(2), reference={"public": "CMP Facades"})
    output = CliRunner().invoke(cli, ["study", "audit", str(folder)]).stdout
    assert "warn  The real images look like those of CMP Facades: anyone may know these photographs" in output


@pytest.mark.parametrize("seed", [1, 2])
def test_a_null_study_ends_near_one_half_and_its_audit_is_silent(tmp_path: Path, seed: int):
    """Real pictures split at random, one half shown as "fake" over real HTTP to observers that look at them.

    Bounds at about four standard errors of 120 answers, so that only a real preference for one half fails.
    """
    rate, interval, audit = null_study(tmp_path / "null", pictures(PICTURES), seed, PEOPLE, SCORED)
    assert audit["leaks"] == {}
    assert audit["warned"] == set()
    assert 0.28 < rate < 0.72
    assert interval[0] < rate < interval[1]


def null_study(
    folder: Path, images: list[Image.Image], seed: int, people: int, scored: int
) -> tuple[float, tuple[float, float], dict]:
    """Fool rate, its interval, and what the audit found, of one null study."""
    rng = random.Random(f"null {seed}")
    settings = {
        "study": {"participants_per_condition": people, "seed": seed},
        "protocol": {"practice": 6, "scored": scored, "reserve": 0},
        "stimuli": {"near_duplicates_max_share": 1.0},  # neighbouring frames of one drive look alike
    }
    split_study(folder, images, rng, **settings)
    outcomes = run_simulation(folder, None, "seeing", (), seed, replace=False)
    assert outcomes == ["finished"] * people
    estimates = read_results(run_analysis(folder, "simulated"))
    (rate,) = [each for each in estimates if each.key == "fool_rate"]
    found, _ = run_audit(folder)
    intervals = {
        each.name: each.interval for each in found.findings if each.stage == "bundle" and each.kind != "file"
    }
    return (
        rate.value,
        (rate.interval.low, rate.interval.high),
        {"leaks": found.leaks, "warned": {each.name for each in found.warnings}, "intervals": intervals},
    )


@pytest.mark.reliability
@pytest.mark.shared_data
@pytest.mark.timeout(3600)
def test_null_studies_of_real_photographs(shared_data: Path, tmp_path: Path):
    """24 null studies of street photographs; `pytest -s` shows the rows that docs/audit.md sums up."""
    paths = sorted((shared_data / "camvid").glob("*/images/*.jpg"))[::5]
    images = [Image.open(path).convert("RGB").resize((128, 128)) for path in paths[:80]]
    studies, silent = 24, 0
    inside: Counter[str] = Counter()
    for seed in range(studies):
        rate, (low, high), audit = null_study(tmp_path / str(seed), images, seed, 8, 16)
        sys.stdout.write(
            f"seed {seed}: fool rate {rate:.3f} [{low:.3f}, {high:.3f}], {audit['warned'] or 'no warning'}\n"
        )
        sys.stdout.flush()
        assert audit["leaks"] == {}
        silent += not audit["warned"]
        inside["fool_rate"] += low <= 0.5 <= high
        inside.update(name for name, found in audit["intervals"].items() if found.low <= 0.5 <= found.high)
    sys.stdout.write(
        f"{studies} null studies: {silent} without a warning; 0.5 inside the 95 % interval: {dict(inside)}\n"
    )
    assert min(inside.values()) >= 19, inside  # fewer: 0.2 % if 95 % is true
    assert silent >= 19
