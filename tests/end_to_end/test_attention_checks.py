"""Zhang's protocol with its vigilance trials, from preset to report, over real HTTP; SIMULATED participants."""

from pathlib import Path

from click.testing import CliRunner

from evalkit.analyses import analyze
from evalkit.cli.study_data import export
from evalkit.cli.study_simulate import run_simulation
from evalkit.report import write_report
from evalkit.results import Estimate, read_results
from studies.presets import load_preset
from studies.records import CHECK, Response, read_csv
from tests.made_up_study import make_study


def test_checks_of_the_zhang_preset_are_counted_and_in_no_fool_rate(tmp_path: Path) -> None:
    tables = load_preset("zhang2016").tables
    tables["study"] |= {"participants_per_condition": 1, "preset": "zhang2016"}
    folder = make_study(tmp_path / "zhang", inputs=70, **tables)
    always_fooled = ("alpha=1.0", "beta=1.0")
    assert run_simulation(folder, None, "known", always_fooled, 0, replace=False) == ["finished"] * 2
    assert CliRunner().invoke(export, [str(folder)], catch_exceptions=False).exit_code == 0
    rows = read_csv(folder / "simulated" / "responses.csv", Response)
    phases = [row.phase for row in rows]
    assert {phase: phases.count(phase) for phase in set(phases)} == {"practice": 20, "scored": 80, "check": 8}
    for row in rows:
        assert (CHECK in (row.condition_1, row.condition_2)) == (row.phase == "check")
        if row.phase == "check":  # ground truth against the obvious fake of the same input, as in the paper
            assert row.source_id_1 == row.source_id_2
            assert row.outcome == 1.0
    results = [one for one in read_results(analyze(folder, "simulated")) if isinstance(one, Estimate)]
    values = {(one.key, one.condition): one.value for one in results if not one.detail}
    for condition in ("alpha", "beta"):
        assert values["fool_rate", condition] == 1.0  # 40 of 40; with the passed checks it would be 40 of 44
        assert values["trials", condition] == 40
        assert (values["checks", condition], values["checks_failed", condition]) == (4, 0)
    page = write_report(folder, "simulated").read_text(encoding="utf-8")
    assert "Each session has 4 attention checks among its scored trials" in page
    assert "8 of 8 were passed" in page
