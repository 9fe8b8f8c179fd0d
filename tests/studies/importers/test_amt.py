import pytest

from studies.errors import UserError
from studies.importers import Reading, read_amt, read_source, write_study
from studies.records import Response, Session, read_csv
from tests.studies.importers.tables import amt_batch


def imported(path, folder, *, real="gt", practice=1, **options):
    found = read_amt(read_source(path), real, practice, Reading(), **options)
    return found, write_study(found, folder / "s"), read_csv(folder / "s/imported/responses.csv", Response)


@pytest.mark.parametrize(("base", "extension"), [(0, ".jpg"), (1, "")])
def test_both_branches_are_read_whatever_they_count_from(tmp_path, base, extension):
    path = amt_batch(tmp_path / "batch.csv", base=base, extension=extension)
    found, study, responses = imported(path, tmp_path)
    mine = [r for r in responses if r.worker == "w0001"]
    # The left image was always judged fake; it is real in trials 0 and 2.
    assert [(r.phase, r.fooled) for r in mine] == [
        ("practice", 1.0),
        ("scored", 0.0),
        ("scored", 1.0),
        ("scored", 0.0),
    ]
    assert [(r.image_1, r.image_2) for r in mine[:2]] == [("real/0", "gan/0"), ("gan/1", "real/1")]
    assert study.study.pairing == "same"
    assert study.protocol.presentation == "sequential"
    assert found.mapped["trials"] == f"4, counted from {base}"


def test_the_only_algorithm_is_not_taken_for_the_real_images_whatever_its_name(tmp_path):
    """The tool's script prints the real folder's name here: `cgan` sorts before `gt`, and both are as frequent."""
    path = amt_batch(tmp_path / "batch.csv", algorithms=("cgan",))
    _, study, _ = imported(path, tmp_path)
    assert list(study.conditions) == ["cgan"]


def test_an_unset_answer_is_missing_and_never_a_click_on_the_left(tmp_path):
    selections = [["left", "unset", "", "right"], ["unset"] * 4]
    found, _, responses = imported(amt_batch(tmp_path / "batch.csv", selections=selections), tmp_path)
    assert [r.outcome for r in responses if r.worker == "w0001"] == [0.0, None, None, 0.0]
    assert found.missing == 6


def test_one_worker_in_two_rows_is_one_worker_with_two_sessions(tmp_path):
    path = amt_batch(tmp_path / "batch.csv", algorithms=("l1", "cgan"))
    path.write_text(path.read_text().replace("A2", "A1"))
    imported(path, tmp_path)
    sessions = read_csv(tmp_path / "s/imported/sessions.csv", Session)
    assert [(s.session, s.worker) for s in sessions] == [("s0001", "w0001"), ("s0002", "w0001")]


def test_sessions_of_one_algorithm_each_make_a_between_design(tmp_path):
    path = amt_batch(tmp_path / "batch.csv", algorithms=("l1", "cgan"))
    _, study, responses = imported(path, tmp_path)
    assert study.study.design == "between"
    assert {(r.worker, r.condition) for r in responses} == {("w0001", "l1"), ("w0002", "cgan")}


def test_algorithms_mixed_in_a_session_make_a_within_design(tmp_path):
    path = amt_batch(tmp_path / "batch.csv")
    path.write_text(path.read_text().replace("gan/3", "vae/3"))
    _, study, _ = imported(path, tmp_path)
    assert study.study.design == "within"
    assert list(study.conditions) == ["gan", "vae"]


def test_vigilance_trials_are_attention_checks_and_no_algorithm(tmp_path):
    path = amt_batch(tmp_path / "batch.csv")
    path.write_text(path.read_text().replace("gan/3", "vigilance/3"))
    _, study, responses = imported(path, tmp_path, vigilance="vigilance")
    assert list(study.conditions) == ["gan"]
    assert [(r.phase, r.outcome) for r in responses if r.trial_index == 3] == [("check", 1.0)] * 2


def test_junk_below_the_data_is_left_out_and_counted(tmp_path):
    path = amt_batch(tmp_path / "batch.csv", extra=[["", "", "mean", "53.1"], [""] * 4])
    found, _, _ = imported(path, tmp_path)
    assert dict(found.dropped) == {"no worker": 1, "empty row": 1}


class TestRefusals:
    def refused(self, path, folder, match, **options):
        with pytest.raises(UserError, match=match):
            imported(path, folder, **options)

    def test_a_folder_that_no_image_lies_in(self, tmp_path):
        path = amt_batch(tmp_path / "batch.csv", algorithms=("generated",))
        self.refused(
            path,
            tmp_path,
            r"--real generatd: no image of batch.csv lies there. Did you mean 'generated'",
            real="generatd",
        )

    def test_a_folder_of_fakes_passed_off_as_real(self, tmp_path):
        self.refused(
            amt_batch(tmp_path / "batch.csv"),
            tmp_path,
            r"row 2, trial 1: .*'gt/0.jpg' is real, --real gan says otherwise",
            real="gan",
        )

    def test_a_file_of_something_else(self, tmp_path):
        path = tmp_path / "other.csv"
        path.write_text("WorkerId,a\nA1,1\n")
        self.refused(path, tmp_path, "no columns Input.gt_side0")

    def test_a_batch_without_some_answers(self, tmp_path):
        path = amt_batch(tmp_path / "batch.csv")
        path.write_text(path.read_text().replace("Answer.selection2", "Answer.selectoin2"))
        self.refused(path, tmp_path, r"no column 'Answer.selection2'. Did you mean 'Answer.select")

    def test_more_practice_than_trials(self, tmp_path):
        self.refused(
            amt_batch(tmp_path / "batch.csv"), tmp_path, "--practice 4: each session has 4 trials", practice=4
        )

    def test_nothing_answered(self, tmp_path):
        path = amt_batch(tmp_path / "batch.csv", selections=[["unset"] * 4] * 2)
        self.refused(path, tmp_path, "all 8 answers are missing")
