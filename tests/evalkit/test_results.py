import json
import math

import pytest

from evalkit.results import (
    Estimate,
    HypothesisTest,
    Interval,
    Provenance,
    Score,
    data_mark,
    read_results,
    write_results,
)

PROVENANCE = Provenance(
    study="s", data="simulated", observer="known", target="these images", digests={"responses.csv": "ab"}
)


def estimate(value=0.25, **changes):
    fields = {
        "key": "fool_rate",
        "value": value,
        "unit": "proportion",
        "method": "m",
        "n": {"trials": 8},
        "condition": "a",
        "interval": Interval(0.1, 0.5, 0.95, "sandwich", 3.5),
        "standard_error": 0.1,
        "notes": ("one", "two"),
        "provenance": PROVENANCE,
    }
    return Estimate(**{**fields, **changes})


def test_every_kind_of_record_comes_back_as_it_was_written(tmp_path):
    records = [
        estimate(),
        HypothesisTest(
            key="t",
            value=0.1,
            unit="proportion",
            method="m",
            statistic=2.0,
            p_value=0.04,
            null_hypothesis="equal",
            alternative="two-sided",
        ),
        Score(
            key="fid", value=31.5, unit="", method="m", higher_is_better=False, source="Heusel 2017", run=1
        ),
    ]
    assert write_results(tmp_path / "e.jsonl", records) == 3
    assert read_results(tmp_path / "e.jsonl") == records
    assert [path.name for path in tmp_path.iterdir()] == ["e.jsonl"]


def test_writing_replaces_the_whole_file(tmp_path):
    write_results(tmp_path / "e.jsonl", [estimate(), estimate(condition="b")])
    write_results(tmp_path / "e.jsonl", [estimate(value=0.5)])
    assert [record.value for record in read_results(tmp_path / "e.jsonl")] == [0.5]


def test_a_value_that_is_not_a_number_is_refused_and_the_old_file_stays(tmp_path):
    write_results(tmp_path / "e.jsonl", [estimate()])
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        write_results(tmp_path / "e.jsonl", [estimate(value=math.nan)])
    assert read_results(tmp_path / "e.jsonl") == [estimate()]


def test_of_appended_records_about_the_same_thing_and_inputs_the_last_counts(tmp_path):
    write_results(tmp_path / "one.jsonl", [estimate(0.1), estimate(0.3, condition="b"), estimate(0.2)])
    assert [(r.condition, r.value) for r in read_results(tmp_path / "one.jsonl")] == [("b", 0.3), ("a", 0.2)]


def test_records_from_other_inputs_stand_side_by_side(tmp_path):
    other = Provenance(study="s", digests={"responses.csv": "cd"})
    write_results(tmp_path / "e.jsonl", [estimate(0.1), estimate(0.2, provenance=other)])
    assert [record.value for record in read_results(tmp_path / "e.jsonl")] == [0.1, 0.2]


def test_a_last_line_cut_by_a_killed_writer_is_passed_over(tmp_path):
    path = tmp_path / "e.jsonl"
    write_results(path, [estimate()])
    path.write_text(path.read_text() + '{"kind": "estimate", "key": "fo')
    assert read_results(path) == [estimate()]


@pytest.mark.parametrize("line", ["{", '{"kind": "guess"}', '{"kind": "estimate", "key": "x"}', "[]"])
def test_another_broken_line_is_named_by_file_and_line(tmp_path, line):
    path = tmp_path / "e.jsonl"
    write_results(path, [estimate()])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"e\.jsonl, line 2: not a record that this version understands"):
        read_results(path)


def test_a_record_is_one_line_of_plain_json(tmp_path):
    write_results(tmp_path / "e.jsonl", [estimate()])
    (line,) = (tmp_path / "e.jsonl").read_text().splitlines()
    tree = json.loads(line)
    assert tree["kind"] == "estimate"
    assert tree["interval"]["degrees_of_freedom"] == 3.5
    assert tree["provenance"]["observer"] == "known"


@pytest.mark.parametrize(
    ("data", "observer", "mark"),
    [
        ("live", "", ""),
        ("pilot", "", "PILOT"),
        ("preview", "", "PREVIEW"),
        ("simulated", "seeing", "SIMULATED (observer: seeing)"),
        ("live", "known", "MACHINE OBSERVER (observer: known)"),
    ],
)
def test_only_peoples_live_answers_go_without_a_mark(data, observer, mark):
    assert data_mark(data, observer) == mark
    assert Provenance(data=data, observer=observer).mark == mark
