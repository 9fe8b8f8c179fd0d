"""Data that nobody should have and somebody will: a clear line, or records that say what could not be estimated."""

import dataclasses
import json
import math
import tomllib

import pytest

from evalkit.analyses import ANALYSES, analyze
from evalkit.report import write_report
from evalkit.responses import build_table
from evalkit.results import read_results
from studies.design import parse_study
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp

PLANNED = json.dumps(
    [
        name
        for name in ANALYSES
        if name in ("fool_rate", "pairwise_differences", "mixed_model", "people_and_metrics")
    ]
)


def made(**changes):
    return MadeUp(**{"workers": 5, "images": 10, "trials": 8, "planned": PLANNED, **changes})


def changed(study_made, **fields):
    study_made.draw()
    study_made.responses = [
        dataclasses.replace(row, **{k: v(row) if callable(v) else v for k, v in fields.items()})
        for row in study_made.responses
    ]
    return study_made


def table_of(study_made):
    study = parse_study(tomllib.loads(study_made.toml()), "study.toml")
    return build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)


def everything(folder, study_made):
    """Through analyze and report; every number is a number or has a note that says why not."""
    study_made.write(folder, bundle=False)
    records = read_results(analyze(folder, study_made.data))
    for record in records:
        assert record.value is None or math.isfinite(record.value), record
        assert record.value is not None or record.notes, f"{record.key} has no value and does not say why"
    page = write_report(folder, study_made.data).read_text(encoding="utf-8")
    return {(r.key, r.condition): r for r in records if not r.image and not r.detail}, page


@pytest.mark.parametrize(
    ("study_made", "words"),
    [
        (made(workers=1, voided=0, stopped=0, void_trials=0), "worker"),
        (made(images=1, trials=1, pairing="same", void_trials=0), "source image"),
        (changed(made(), choice="", outcome=None, rt_ms=None), "No trials"),
        (changed(made(), choice="", outcome=None, void_reason="hidden"), "No trials"),
    ],
    ids=["one worker", "one image", "all answers missing", "everything void"],
)
def test_what_cannot_be_estimated_says_why(tmp_path, study_made, words):
    records, page = everything(tmp_path, study_made)
    rate = records["fool_rate", "pix2pix"]
    assert rate.interval is None
    assert any(words in note for note in rate.notes)
    assert "How people answered, and how sure that is" in page


@pytest.mark.parametrize("outcome", [0.0, 1.0, 0.5])
def test_a_constant_answer_has_a_rate_and_says_what_it_fell_back_to(tmp_path, outcome):
    records, _ = everything(tmp_path, changed(made(void_trials=0, voided=0), outcome=outcome))
    rate = records["fool_rate", "pix2pix"]
    assert rate.value == 1 - outcome
    assert rate.interval is not None
    assert rate.interval.low <= rate.value <= rate.interval.high


def test_nobody_answered_both_algorithms_and_one_has_no_session_at_all(tmp_path):
    study_made = made().draw()
    for name in ("responses", "sessions", "arrivals"):
        setattr(study_made, name, [r for r in getattr(study_made, name) if r.condition != "cyclegan"])
    records, _ = everything(tmp_path, study_made)
    assert records["fool_rate", "cyclegan"].value is None
    assert records["fool_rate", "pix2pix"].value is not None


def test_an_image_of_two_algorithms_is_refused_by_name():
    study_made = changed(made())
    other = next(r for r in study_made.responses if r.condition == "cyclegan")
    slot = other.fake_slot
    image = next(r for r in study_made.responses if r.condition == "pix2pix")
    image = image.image_1 if image.fake_slot == 1 else image.image_2
    place = study_made.responses.index(other)
    study_made.responses[place] = dataclasses.replace(other, **{f"image_{slot}": image})
    with pytest.raises(UserError, match=rf"image '{image}' stands there as 'pix2pix' and as 'cyclegan'"):
        table_of(study_made)


def test_a_fake_that_is_a_real_image_elsewhere_is_refused():
    study_made = changed(made())
    row = study_made.responses[0]
    real = row.image_2 if row.fake_slot == 1 else row.image_1
    study_made.responses[0] = dataclasses.replace(row, **{f"image_{row.fake_slot}": real})
    with pytest.raises(UserError, match="An image has one origin"):
        table_of(study_made)


def test_a_session_of_two_workers_is_refused():
    study_made = changed(made())
    study_made.responses[1] = dataclasses.replace(study_made.responses[1], worker="somebody")
    with pytest.raises(
        UserError, match=r"has an answer of worker 'somebody', in sessions\.csv it is 'w-pix2pix-0'"
    ):
        table_of(study_made)


def test_a_worker_under_two_spellings_is_counted_twice_and_told_of(tmp_path):
    study_made = made().draw()
    spelt = {"w-pix2pix-1": "W-pix2pix-0 "}
    for name in ("responses", "sessions", "arrivals"):
        rows = getattr(study_made, name)
        setattr(
            study_made, name, [dataclasses.replace(r, worker=spelt.get(r.worker, r.worker)) for r in rows]
        )
    study_made.write(tmp_path, bundle=False)
    (found,) = [r for r in read_results(analyze(tmp_path, "live")) if r.key == "workers_named_alike"]
    assert found.detail == "'w-pix2pix-0' / 'W-pix2pix-0 '"
    assert "Counted as different people" in found.notes[0]
    assert "workers named alike" in write_report(tmp_path, "live").read_text(encoding="utf-8")


def test_an_outcome_beyond_one_and_a_negative_index_are_refused():
    study_made = changed(made(), outcome=lambda row: None if row.outcome is None else 7 * row.outcome)
    with pytest.raises(UserError, match="outcome 7 is not allowed; it is between 0 and 1"):
        table_of(study_made)
    with pytest.raises(UserError, match="trial_index -1 is below 0"):
        table_of(changed(made(), trial_index=-1))
