import dataclasses

import pytest

from evalkit.responses import build_table, read_table
from studies.design import parse_study
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


def made(**changes):
    import tomllib

    study_made = MadeUp(**{"workers": 4, "images": 12, "trials": 10, **changes}).draw()
    return study_made, parse_study(tomllib.loads(study_made.toml()), "study.toml")


def table_of(study_made, study):
    return build_table(study_made.responses, study_made.sessions, study_made.arrivals, study)


def test_primary_trials_are_scored_answered_and_not_void_of_finished_sessions_that_no_rule_excludes():
    study_made, study = made(void_trials=2, voided=1, stopped=1)
    primary = table_of(study_made, study).primary
    finished = {s.session for s in study_made.sessions if s.state == "finished"}
    void = [r for r in study_made.responses if r.void_reason]
    too_many = {s for s in finished if sum(r.session == s for r in void) > 5}
    expected = [
        r for r in study_made.responses if r.session in finished - too_many and not r.void_reason and r.choice
    ]
    assert len(too_many) == 2
    assert len(primary) == len(expected) == 2 * (4 * 10 - 2)
    assert primary["fooled"].tolist() == [r.fooled for r in expected]


def test_each_exclusion_has_its_reason_and_keeps_its_count_of_void_trials():
    study_made, study = made(voided=1)
    sessions = table_of(study_made, study).sessions
    excluded = sessions[sessions["excluded"] != ""]
    assert excluded["excluded"].tolist() == ["more than 5 void scored trials"] * 2
    assert excluded["void_trials"].tolist() == [6, 6]


def test_a_rule_that_is_switched_off_excludes_nobody():
    study_made, study = made(voided=1)
    study = study.model_copy(
        update={"exclusions": study.exclusions.model_copy(update={"max_void_trials": None})}
    )
    assert (table_of(study_made, study).sessions["excluded"] == "").all()


def test_partial_sessions_count_only_where_asked_for():
    study_made, study = made(stopped=2)
    table = table_of(study_made, study)
    assert len(table.with_partial_sessions) == len(table.primary) + 2 * 2 * 5
    assert "stopped" not in set(table.primary["state"])


def test_a_missing_answer_is_no_answer_and_never_scored():
    study_made, study = made(void_trials=0)
    study_made.responses[0] = dataclasses.replace(study_made.responses[0], choice="", outcome=None)
    table = table_of(study_made, study)
    assert len(table.primary) == 2 * 4 * 10 - 1
    assert table.trials["fooled"].isna().sum() == 1 + 2 * 6  # and the excluded sessions' void trials


def test_fake_and_real_are_found_in_either_slot():
    study_made, study = made()
    table = table_of(study_made, study)
    for row, response in zip(table.trials.itertuples(), study_made.responses, strict=True):
        fake, real = (1, 2) if response.fake_slot == 1 else (2, 1)
        assert row.image == getattr(response, f"image_{fake}")
        assert row.source_id == getattr(response, f"source_id_{fake}")
        assert row.real_source_id == getattr(response, f"source_id_{real}")
        assert row.fake_side == response.fake_side
        assert row.fake_first == response.fake_first


def test_practice_trials_are_left_out():
    study_made, study = made(stopped=0)
    study_made.responses[0] = dataclasses.replace(study_made.responses[0], phase="practice")
    assert len(table_of(study_made, study).trials) == len(study_made.responses) - 1


def test_a_condition_that_the_study_does_not_have_is_named_with_the_nearest():
    study_made, study = made()
    study_made.responses[3] = dataclasses.replace(study_made.responses[3], condition="pix2pics")
    with pytest.raises(
        UserError, match=r"condition 'pix2pics' is not in study\.toml\. Did you mean 'pix2pix'\?"
    ):
        table_of(study_made, study)


def test_a_trial_that_stands_twice_is_refused():
    study_made, study = made()
    study_made.responses.append(study_made.responses[0])
    with pytest.raises(UserError, match=r"session 'pix2pix-0', trial_index 2, attempt 0 stands there twice"):
        table_of(study_made, study)


def test_a_session_that_stands_twice_or_is_missing_is_refused():
    study_made, study = made()
    study_made.sessions.append(study_made.sessions[0])
    with pytest.raises(UserError, match=r"sessions\.csv: session 'pix2pix-0' stands there twice"):
        table_of(study_made, study)
    study_made.sessions = study_made.sessions[1:-1]
    with pytest.raises(UserError, match=r"session 'pix2pix-0' is not in sessions\.csv"):
        table_of(study_made, study)


def test_simulated_rows_among_live_ones_are_refused(tmp_path):
    study_made, study = made()
    study_made.responses[5] = dataclasses.replace(study_made.responses[5], data="simulated")
    folder = study_made.write(tmp_path, bundle=False)
    with pytest.raises(UserError, match="a response of 'simulated' data among the 'live' ones"):
        read_table(folder / "live", study, "live")


def test_a_study_without_any_session_gives_an_empty_table():
    _, study = made()
    table = build_table([], [], [], study)
    assert (len(table.primary), len(table.sessions), table.observer) == (0, 0, "")
