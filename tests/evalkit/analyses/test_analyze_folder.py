import hashlib

import pytest

from evalkit.analyses import analyze
from evalkit.results import read_results
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


def test_the_same_files_give_the_same_bytes(analysed):
    folder, _, _, _ = analysed()
    before = (folder / "live" / "estimates.jsonl").read_bytes()
    assert analyze(folder, "live") == folder / "live" / "estimates.jsonl"
    assert (folder / "live" / "estimates.jsonl").read_bytes() == before


def test_every_record_says_what_it_is_about_and_what_it_was_computed_from(analysed):
    folder, _, records, _ = analysed(data="simulated", observer="seeing")
    digest = hashlib.sha256((folder / "simulated" / "responses.csv").read_bytes()).hexdigest()
    for record in records:
        source = record.provenance
        assert (source.data, source.observer) == ("simulated", "seeing")
        own = "these images"  # what only workers were resampled or permuted for is about no other images
        assert source.target in ("this generator", own)
        assert source.target == "this generator" or record.key not in ("fool_rate", "fool_rate_difference")
        assert source.mark == "SIMULATED (observer: seeing)"
        assert source.digests["responses.csv"] == digest
        assert set(source.digests) >= {"sessions.csv", "arrivals.csv", "study settings"}
        assert {"python", "evalkit", "numpy", "scipy", "pandas"} <= set(source.software)
        assert source.status in {"planned", "descriptive"}
        assert record.method


def test_an_analysis_that_does_not_exist_is_named_with_the_nearest(tmp_path):
    folder = MadeUp(workers=2, planned='["fool_rates"]').write(tmp_path, bundle=False)
    message = (
        r"study\.toml: \[analysis\] planned: no analysis is called 'fool_rates'\. Did you mean 'fool_rate'\?"
    )
    with pytest.raises(UserError, match=message):
        analyze(folder, "live")


def test_without_exported_responses_the_command_that_writes_them_is_named(tmp_path):
    folder = MadeUp(workers=2).write(tmp_path, bundle=False)
    with pytest.raises(UserError, match=r"responses\.csv: no such file\. `evalkit study export` writes it\."):
        analyze(folder, "pilot")


def test_only_what_the_study_planned_is_estimated_beside_the_descriptive_records(tmp_path):
    folder = MadeUp(workers=3, planned="[]").write(tmp_path, bundle=False)
    keys = {record.key for record in read_results(analyze(folder, "live"))}
    assert "fool_rate" not in keys
    assert {"sessions_started", "image_fool_rate", "exposure_ms_median"} <= keys


@pytest.mark.parametrize(
    "changes", [{"workers": 0, "voided": 0}, {"workers": 0, "voided": 0, "stopped": 0}, {"workers": 1}]
)
def test_a_study_that_has_hardly_begun_is_analysed_without_a_crash(tmp_path, changes):
    folder = MadeUp(**changes).write(tmp_path, bundle=False)
    records = {
        (r.key, r.condition): r for r in read_results(analyze(folder, "live")) if not r.image and not r.versus
    }
    assert records["fool_rate", "pix2pix"].interval is None
    assert records["fool_rate", "pix2pix"].notes
