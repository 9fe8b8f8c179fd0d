import dataclasses
import json
import math
import multiprocessing

import pytest

from evalkit.results import (
    Estimate,
    HypothesisTest,
    Interval,
    Provenance,
    Score,
    append_results,
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


def test_a_score_of_random_weights_says_so_in_the_file_itself(tmp_path):
    trained = Score(key="fid", value=31.5, unit="", method="m", higher_is_better=False, source="Heusel 2017")
    drawn = dataclasses.replace(trained, settings={"weights": "random, seed 3"})
    path = tmp_path / "scores.jsonl"
    append_results(path, [trained, drawn])
    marks = [json.loads(line).get("mark") for line in path.read_text(encoding="utf-8").splitlines()]
    assert marks == [None, "random features, not comparable"]
    assert read_results(path) == [trained, drawn]


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


def score(value=31.5, **changes):
    fields = {
        "key": "fid",
        "value": value,
        "unit": "distance",
        "method": "m",
        "n": {"reals": 50, "fakes": 50},
        "condition": "a",
        "run": 0,
        "higher_is_better": False,
        "source": "Heusel 2017",
        "interval": Interval(30.0, 33.0, 0.95, "bootstrap over images"),
        "settings": {"weights": "ab12", "precision": "fp32"},
        "provenance": Provenance(digests={"reals": "r", "fakes": "f"}),
    }
    return Score(**{**fields, **changes})


def test_appended_records_come_after_those_that_are_there(tmp_path):
    path = tmp_path / "scores.jsonl"
    assert append_results(path, [score(), score(condition="b")]) == 2
    assert append_results(path, [score(condition="c")]) == 1
    assert [record.condition for record in read_results(path)] == ["a", "b", "c"]
    assert read_results(path)[0] == score()


def test_nothing_to_append_makes_no_file(tmp_path):
    assert append_results(tmp_path / "scores.jsonl", []) == 0
    assert not (tmp_path / "scores.jsonl").exists()


@pytest.mark.parametrize("torn", ['{"kind": "score", "key": "torn', "x" * 10_000])
@pytest.mark.parametrize("before", [[], [score()], [score(), score(condition="b")]])
def test_a_torn_last_line_is_cut_before_records_are_appended(tmp_path, before, torn):
    path = tmp_path / "scores.jsonl"
    append_results(path, before)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(torn)
    append_results(path, [score(condition="new")])
    assert read_results(path) == [*before, score(condition="new")]
    assert torn not in path.read_text(encoding="utf-8")


def test_of_several_records_one_of_which_cannot_be_written_none_is_appended(tmp_path):
    path = tmp_path / "scores.jsonl"
    append_results(path, [score()])
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        append_results(path, [score(condition="b"), score(math.inf)])
    assert read_results(path) == [score()]


def _append_many(path, condition):
    for run in range(40):
        append_results(path, [score(condition=condition, run=run), score(condition=condition, run=100 + run)])


def test_processes_that_append_at_once_lose_no_record(tmp_path):
    path = tmp_path / "scores.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append_many, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(read_results(path)) == 3 * 80


def test_scores_made_with_other_settings_or_images_stand_side_by_side(tmp_path):
    path = tmp_path / "scores.jsonl"
    half = {"weights": "ab12", "precision": "fp16"}
    other = Provenance(digests={"reals": "r", "fakes": "other"})
    append_results(path, [score(1.0), score(2.0, settings=half), score(3.0, provenance=other), score(4.0)])
    assert [record.value for record in read_results(path)] == [2.0, 3.0, 4.0]


def test_only_scores_with_drawn_weights_carry_their_mark():
    assert score().mark == ""
    assert score(settings={"weights": "random, seed 3"}).mark == "random features, not comparable"
