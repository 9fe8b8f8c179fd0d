import dataclasses
import tomllib

import numpy as np
import pytest

from evalkit.analyses import Context, stopping
from evalkit.responses import build_table
from evalkit.results import Provenance
from evalkit.stats.confidence_sequence import betting_sequence
from studies.design import Stopping, parse_study
from tests.evalkit.made_up_responses import MadeUp

CONTEXT = Context(Provenance(study="made-up"))
RULE = {"rule": "confidence_sequence", "half_width": 0.12, "min_participants": 5}


def analysed(study_made, **rule):
    tree = {**tomllib.loads(study_made.toml()), "stopping": rule}
    study = parse_study(tree, "S")
    table = build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)
    return table, stopping.run(table, study, CONTEXT)


def only(found, key, condition):
    return [r for r in found if (r.key, r.condition) == (key, condition)]


def test_without_a_rule_each_algorithm_has_the_interval_that_may_be_looked_at_at_any_time():
    table, found = analysed(MadeUp(workers=20, trials=20).draw())
    assert [r.key for r in found] == ["sequence_rate"] * 2
    by_session = table.primary[table.primary["condition"] == "pix2pix"].groupby("session")["fooled"].mean()
    assert found[0].value == pytest.approx(by_session.mean())
    assert "these images only" in found[0].notes[0]


def test_with_a_rule_it_says_when_each_algorithm_and_the_study_were_to_stop():
    table, found = analysed(MadeUp(workers=60, trials=20).draw(), **RULE)
    ends = []
    for condition in ("pix2pix", "cyclegan"):
        expected = betting_sequence(stopping.worker_means(table, condition)).stopped_at(0.12, 5)
        (stop,) = only(found, "stopped_at", condition)
        assert stop.value == expected
        ends.append(stop.value)
        course = only(found, "sequence_rate_after", condition)
        assert len(course) == stopping.LOOKS
        assert course[-1].interval.low == only(found, "sequence_rate", condition)[0].interval.low
        assert course[-1].n == {"workers": 60}
    assert only(found, "stopped_at", "")[0].value == max(ends)


def test_a_rule_that_was_never_met_says_how_wide_the_interval_still_is():
    _, found = analysed(MadeUp(workers=12, trials=10).draw(), **{**RULE, "half_width": 0.01})
    (stop,) = only(found, "stopped_at", "pix2pix")
    assert stop.value is None
    assert "The rule was not met: ±" in stop.notes[0]
    assert only(found, "stopped_at", "")[0].value is None


def test_workers_count_in_the_order_in_which_they_finished():
    study_made = MadeUp(workers=6, trials=10, voided=0, stopped=0, void_trials=0).draw()
    study_made.sessions = [
        dataclasses.replace(s, finished_at=f"2026-11-03T10:{50 - s.place_index:02d}:00+00:00")
        for s in study_made.sessions
    ]
    table, _ = analysed(study_made)
    rates = table.primary[table.primary["condition"] == "pix2pix"].groupby("session")["fooled"].mean()
    assert stopping.worker_means(table, "pix2pix").tolist() == [
        rates[f"pix2pix-{k}"] for k in range(5, -1, -1)
    ]


def test_a_worker_of_several_sessions_counts_once_after_the_last():
    study_made = MadeUp(
        workers=6, trials=10, voided=0, stopped=0, void_trials=0, rates={"pix2pix": 0.3}
    ).draw()

    def twice(rows):
        return [dataclasses.replace(r, worker="w0") if r.session.endswith(("-0", "-3")) else r for r in rows]

    study_made.responses, study_made.sessions = twice(study_made.responses), twice(study_made.sessions)
    table, found = analysed(study_made)
    rates = table.primary.groupby("worker")["fooled"].mean()
    order = ["w-pix2pix-1", "w-pix2pix-2", "w0", "w-pix2pix-4", "w-pix2pix-5"]
    assert stopping.worker_means(table, "pix2pix").tolist() == rates[order].tolist()
    assert found[0].n == {"workers": 5}


def test_the_sequence_is_about_these_images_whatever_the_study_plans():
    _, found = analysed(MadeUp(workers=12, trials=10).draw(), **RULE)
    assert {one.provenance.target for one in found} == {"these images"}


def test_rates_that_drift_leave_no_interval_and_a_note():
    study_made = MadeUp(
        workers=59, trials=10, voided=0, stopped=0, void_trials=0, rates={"pix2pix": 0.3}
    ).draw()
    study_made.responses = [
        dataclasses.replace(row, outcome=float(int(row.session.split("-")[1]) < 30))
        for row in study_made.responses
    ]
    _, found = analysed(study_made)
    assert found[0].interval is None
    assert "drifted" in found[0].notes[1]


def test_the_rule_for_a_rehearsal_takes_arrays():
    rng = np.random.default_rng(2)
    means = rng.binomial(40, 0.25, size=(3, 150)) / 40
    rule = Stopping(rule="confidence_sequence", half_width=0.05)
    each = [stopping.stopped_at(row, rule) for row in means]
    assert stopping.all_stopped_at(list(means), rule) == max(each)
    assert stopping.all_stopped_at([*means, means[0][:4]], rule) is None
    assert stopping.stopped_at(means[0], Stopping()) is None
    assert stopping.stopped_at([], rule) is None
