import pytest

from studies.errors import UserError
from studies.importers import Reading, read_source, read_workers, write_study
from studies.records import WorkerValue, read_csv
from tests.studies.importers.tables import write_rows

HEADER = ("id", "model", "err")
MAP = ["worker=id,condition=model,error_rate=err"]


def found_in(folder, rows, mapping=MAP, header=HEADER):
    return read_workers(read_source(write_rows(folder / "workers.csv", header, rows)), mapping, Reading())


def test_each_number_is_kept_and_no_answer_is_made_up(tmp_path):
    found = found_in(tmp_path, [("p1", "LSGM-ODE", 0.25), ("p2", "LSGM-ODE", ""), ("p3", "NVAE", 0.5)])
    study = write_study(found, tmp_path / "s")
    values = read_csv(tmp_path / "s/imported/workers.csv", WorkerValue)
    assert [(v.worker, v.condition, v.value) for v in values] == [
        ("w0001", "lsgm-ode", 0.25),
        ("w0002", "lsgm-ode", None),
        ("w0003", "nvae", 0.5),
    ]
    assert (tmp_path / "s/imported/responses.csv").read_text().count("\n") == 1
    assert study.analysis.planned == ("worker_rates",)
    assert study.imported.conditions == {"lsgm-ode": "LSGM-ODE", "nvae": "NVAE"}


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (
            [("p1", "a", 43.7)],
            "row 2, column 'err': '43.7' must lie between 0 and 1. It looks like a percentage",
        ),
        ([("p1", "a", "x")], "row 2, column 'err': 'x' is not a number"),
        ([("p1", "a", 0.1), ("p1", "a", 0.2)], "worker 'p1' stands there twice under 'a'"),
        ([("p1", "a", ""), ("p2", "a", "")], "all values are missing"),
    ],
)
def test_what_cannot_be_a_table_of_workers_is_refused(tmp_path, rows, match):
    with pytest.raises(UserError, match=match):
        found_in(tmp_path, rows)


def test_a_map_without_a_rate_is_refused(tmp_path):
    with pytest.raises(UserError, match="says nothing of what workers did"):
        found_in(tmp_path, [("p1", "a", 0.1)], ["worker=id,condition=model,trials=err"])
