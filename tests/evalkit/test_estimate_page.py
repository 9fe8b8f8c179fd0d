import csv
import json
import math
import re

import pytest
from click.testing import CliRunner

from evalkit.analyses import analyze
from evalkit.cli import numbers
from evalkit.cli.estimate_table import show_estimates
from evalkit.report import write_report
from evalkit.results import read_results
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


@pytest.fixture
def folder(tmp_path):
    return MadeUp(workers=4, images=12, trials=10).write(tmp_path, bundle=False)


@pytest.fixture
def run(folder, monkeypatch):
    """The command, on answers that lie there already."""
    monkeypatch.setattr(numbers, "_exported", lambda folder, data: (folder, "live"))

    def call(*arguments):
        return CliRunner().invoke(numbers.analyze, [str(folder), *arguments])

    return call


def test_stdout_is_the_path_alone_and_the_page_goes_to_stderr(run, folder):
    found = run()
    assert found.stdout == f"{folder / 'live' / 'estimates.jsonl'}\n"
    assert "Fool rate (planned)" in found.stderr
    assert "Response quality (descriptive)" in found.stderr
    rate = next(r for r in read_results(folder / "live" / "estimates.jsonl") if r.key == "fool_rate")
    low, high = 100 * rate.interval.low, 100 * rate.interval.high
    assert f"{100 * rate.value:.1f} % ({low:.1f} to {high:.1f} %)" in found.stderr
    assert "nothing here separates the loss from the seed" in found.stderr


def test_what_nobody_planned_is_marked_on_the_page_in_the_records_and_in_the_report(run, folder):
    found = run("--also", "mixed_model", "--also", "fool_rate")
    assert "Mixed model (NOT PLANNED)" in found.stderr
    assert "--also fool_rate: the study planned it anyway." in found.stderr
    status = {
        r.provenance.analysis: r.provenance.status for r in read_results(folder / "live" / "estimates.jsonl")
    }
    assert (status["mixed_model"], status["fool_rate"]) == ("unplanned", "planned")
    assert "Variance components (mixed model) (unplanned)" in write_report(folder, "live").read_text(
        encoding="utf-8"
    )


def test_several_names_may_stand_in_one_also(run, folder):
    found = run("--also", "mixed_model, people_and_metrics")
    assert "Mixed model (NOT PLANNED)" in found.stderr
    assert "People and metrics (NOT PLANNED)" in found.stderr


def test_a_table_whose_rows_rest_on_different_numbers_gives_the_largest_and_says_so(run, folder):
    learning = run().stderr.partition("Learning (descriptive)")[2].partition("\n\n")[0]
    row = next(line for line in learning.splitlines() if line.startswith("n, at most"))
    records = read_results(folder / "live" / "estimates.jsonl")
    slope, quarter = (
        next(r for r in records if r.key == key) for key in ("fool_rate_slope", "fool_rate_by_quarter")
    )
    assert slope.n["trials"] > quarter.n["trials"]
    assert f" {slope.n['trials']} trials" in row


def test_a_note_that_is_about_one_algorithm_alone_stands_at_its_number(run):
    ranks = run().stderr.partition("Ranks (descriptive)")[2].partition("\n\n")[0]
    row = next(line for line in ranks.splitlines() if line.startswith("rank"))
    first = [line.split()[0] for line in ranks.splitlines() if "First in" in line]
    assert len(first) == 2
    assert [row.count(mark) for mark in first] == [1, 1]
    assert all(row.index(mark) > row.index("to") for mark in first)


def test_json_is_the_records_and_nothing_else(run, folder):
    records = json.loads(run("--json").stdout)
    assert len(records) == len((folder / "live" / "estimates.jsonl").read_text().splitlines())


def test_an_unknown_name_is_named_with_the_nearest(folder):
    with pytest.raises(
        UserError, match=r"--also: no analysis is called 'mixed_modle'\. Did you mean 'mixed_model'\?"
    ):
        analyze(folder, "live", ["mixed_modle"])


def test_many_algorithms_stand_beneath_each_other(tmp_path, capsys):
    made = MadeUp(rates={f"a{k}": 0.3 for k in range(5)}, workers=2, images=8, trials=6)
    show_estimates(read_results(analyze(made.write(tmp_path / "many", bundle=False), "live")))
    page = capsys.readouterr().err
    assert all(f"a{k}" in page for k in range(5))
    assert max(map(len, page.splitlines()), default=0) < 400


def test_every_key_that_was_estimated_stands_with_its_number_in_some_table_of_the_report(folder):
    records = read_results(analyze(folder, "live", ["mixed_model"]))
    write_report(folder, "live")
    tables = [file.read_text(encoding="utf-8") for file in (folder / "live" / "tables").glob("*.csv")]
    cells = {cell for text in tables for row in csv.reader(text.splitlines()) for cell in row}
    numbers = {float(cell) for cell in cells if re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)}
    lost = {
        record.key
        for key in {record.key for record in records}
        for record in [next((r for r in records if r.key == key and r.value is not None), None)]
        if record is not None and not any(math.isclose(record.value, one, rel_tol=1e-9) for one in numbers)
    }
    assert lost == set()
