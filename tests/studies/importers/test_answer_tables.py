import pytest

from studies.errors import UserError
from studies.importers import Reading, read_answers, read_source, write_study
from studies.records import Response, Session, read_csv
from tests.studies.importers.tables import SINGLE, SINGLE_MAP, judged, write_rows


def imported(folder, header, rows, mapping, key=None, **reading):
    path = write_rows(folder / "answers.csv", header, rows)
    found = read_answers(read_source(path), mapping, Reading(**reading), key)
    return found, write_study(found, folder / "s"), read_csv(folder / "s/imported/responses.csv", Response)


class TestSingleImages:
    def test_a_fake_called_real_fools_and_a_real_image_called_real_is_right(self, tmp_path):
        _, study, responses = imported(tmp_path, SINGLE, judged(), SINGLE_MAP)
        outcomes = {(r.worker, r.image_1): r.outcome for r in responses}
        assert outcomes["w0001", "f1"] == 0.0
        assert outcomes["w0002", "f1"] == 1.0
        assert outcomes["w0002", "r1"] == 1.0
        assert {r.condition_1 for r in responses} == {"gan", "real"}
        assert {r.condition for r in responses} == {"gan"}
        assert study.study.design == "between"
        assert study.protocol.name == "yes_no"

    def test_an_answer_that_was_not_given_is_missing_and_an_unsure_one_is_worth_half(self, tmp_path):
        rows = [
            ("w1", "f1", 1, "unset", "gan"),
            ("w1", "f2", 1, "?", "gan"),
            ("w1", "r1", 0, "", "gan"),
            ("w1", "r2", 0, 1, "gan"),
        ]
        found, _, responses = imported(tmp_path, SINGLE, rows, SINGLE_MAP, unsure=("?",))
        assert [(r.choice, r.outcome) for r in responses] == [
            ("", None),
            ("unsure", 0.5),
            ("", None),
            ("real", 1.0),
        ]
        assert found.missing == 2

    def test_a_column_of_its_own_may_say_that_somebody_was_unsure(self, tmp_path):
        rows = [("w1", "f1", 1, "", 1), ("w1", "f2", 1, 0, 0)]
        mapping = ["worker=who,image=file,is_fake=fake,said_real=said,unsure=doubt"]
        _, _, responses = imported(tmp_path, (*SINGLE[:4], "doubt"), rows, mapping)
        assert [r.outcome for r in responses] == [0.5, 1.0]

    def test_unsure_and_an_answer_at_once_is_refused(self, tmp_path):
        mapping = ["worker=who,image=file,is_fake=fake,said_real=said,unsure=doubt"]
        with pytest.raises(
            UserError, match=r"row 2, column 'doubt': says that nothing was decided, but said_real is '1'"
        ):
            imported(tmp_path, (*SINGLE[:4], "doubt"), [("w1", "f1", 1, "1", 1)], mapping)

    def test_real_images_without_an_algorithm_make_one_session_of_a_worker_who_judged_several(self, tmp_path):
        rows = [
            (w, image, fake, 0, model)
            for w in ("w1", "w2")
            for image, fake, model in (("a1", 1, "a"), ("b1", 1, "b"), ("r1", 0, ""), ("r2", 0, "real"))
        ]
        found, study, responses = imported(tmp_path, SINGLE, rows, SINGLE_MAP)
        assert study.study.design == "within"
        assert [r.condition for r in responses[:4]] == ["a", "b", "", ""]
        assert len(read_csv(tmp_path / "s/imported/sessions.csv", Session)) == 2
        assert "belong to none" in found.notes[0]

    def test_real_images_that_name_their_algorithm_split_such_a_worker_into_sessions(self, tmp_path):
        rows = [
            (*row[:1], f"{row[4]}-{row[1]}", *row[2:])
            for model in ("a", "b")
            for row in judged(condition=model)
        ]
        _, study, responses = imported(tmp_path, SINGLE, rows, SINGLE_MAP)
        assert study.study.design == "between"
        sessions = read_csv(tmp_path / "s/imported/sessions.csv", Session)
        assert [(s.worker, s.condition) for s in sessions[:4]] == [
            ("w0001", "a"),
            ("w0002", "a"),
            ("w0003", "a"),
            ("w0001", "b"),
        ]
        assert {r.condition for r in responses} == {"a", "b"}

    def test_a_worker_who_failed_a_check_is_excluded_by_rule_and_counted(self, tmp_path):
        rows = [(*row, {"w1": "yes", "w2": "0", "w3": ""}[row[0]]) for row in judged()]
        mapping = [*SINGLE_MAP, "failed_check=check"]
        found, study, responses = imported(tmp_path, (*SINGLE, "check"), rows, mapping)
        assert study.exclusions.max_failed_checks == 0
        assert [(r.worker, r.outcome) for r in responses if r.phase == "check"] == [
            ("w0001", 0.0),
            ("w0002", 1.0),
        ]
        assert found.failed_checks == {"w1": 1, "w2": 0, "w3": None}

    def test_practice_trials_and_their_order_are_kept(self, tmp_path):
        rows = [("w1", "f1", 1, 0, 2, 0), ("w1", "f2", 1, 0, 0, 1), ("w1", "r1", 0, 1, 1, 0)]
        mapping = ["worker=who,image=file,is_fake=fake,said_real=said,trial=t,practice=p"]
        _, study, responses = imported(tmp_path, (*SINGLE[:4], "t", "p"), rows, mapping)
        assert [(r.trial_index, r.image_1, r.phase) for r in responses] == [
            (0, "f2", "practice"),
            (1, "r1", "scored"),
            (2, "f1", "scored"),
        ]
        assert study.protocol.practice == 1

    def test_the_names_of_workers_stay_in_the_file(self, tmp_path):
        imported(tmp_path, SINGLE, judged(("AKSJDH1234", "B")), SINGLE_MAP)
        assert all(
            "AKSJDH1234" not in path.read_text() for path in (tmp_path / "s").rglob("*.*") if path.is_file()
        )


class TestPairs:
    header = ("who", "fake", "real", "side", "choice", "model")
    mapping = ("worker=who,fake=fake,real=real,fake_side=side,choice=choice,condition=model",)
    rows = (
        ("w1", "f1", "r1", "left", "left", "gan"),
        ("w1", "f2", "r2", "right", "left", "gan"),
        ("w1", "f3", "r3", "right", "", "gan"),
        ("w1", "f4", "r4", "B", "f4", "gan"),
    )

    def test_who_was_asked_for_the_fake_and_chose_the_real_image_was_fooled(self, tmp_path):
        _, study, responses = imported(tmp_path, self.header, self.rows, self.mapping)
        assert [r.fooled for r in responses] == [0.0, 1.0, None, 0.0]
        assert [(r.image_1, r.image_2, r.target) for r in responses[:2]] == [("f1", "r1", 1), ("r2", "f2", 2)]
        assert study.study.question == "fake"

    def test_who_was_asked_for_the_real_image_and_chose_the_fake_was_fooled(self, tmp_path):
        _, study, responses = imported(tmp_path, self.header, self.rows, self.mapping, question="real")
        assert [r.fooled for r in responses] == [1.0, 0.0, None, 1.0]
        assert study.study.question == "real"

    def test_equal_names_of_different_algorithms_are_told_apart_where_they_name_the_input(self, tmp_path):
        rows = [(w, "1.png", "1.png", "left", "left", m) for w, m in (("w1", "a"), ("w2", "b"))]
        with pytest.raises(
            UserError,
            match=r"image '1.png' is an image of 'a' in row 2 and a real image in row 2.*map input=",
        ):
            imported(tmp_path, self.header, rows, self.mapping)
        mapping = ["worker=who,fake=fake,real=fake,input=fake,fake_side=side,choice=choice,condition=model"]
        _, study, responses = imported(tmp_path, self.header, rows, mapping)
        assert [(r.image_1, r.image_2, r.source_id_1) for r in responses] == [
            ("a/1.png", "real/1.png", "1.png"),
            ("b/1.png", "real/1.png", "1.png"),
        ]
        assert study.study.pairing == "same"


class TestColumnsPerQuestion:
    def key(self, folder):
        rows = [("q1", "ours", "theirs"), ("q2", "theirs", "ours")]
        return read_source(write_rows(folder / "key.csv", ("question", "A", "B"), rows))

    def test_each_column_is_a_question_that_the_key_explains(self, tmp_path):
        rows = [("w1", "A", "A"), ("w2", "B", ""), ("", "Ours", "28"), ("", "", "")]
        mapping = ["worker=id,choice=Answer.*,input=question,left=A,right=B"]
        header = ("id", "Answer.q1", "Answer.q2")
        found, study, responses = imported(
            tmp_path, header, rows, mapping, self.key(tmp_path), order=("ours",)
        )
        assert list(study.conditions) == ["ours", "theirs"]
        assert [r.outcome for r in responses] == [1.0, 0.0, 0.0, None]
        assert [r.condition for r in responses] == ["ours"] * 4
        assert dict(found.dropped) == {"no worker": 1, "empty row": 1}

    def test_a_question_that_the_key_lacks_is_named(self, tmp_path):
        mapping = ["worker=id,choice=Answer.*,input=question,left=A,right=B"]
        with pytest.raises(
            UserError, match=r"key.csv: says nothing of the question 'q11' .*Did you mean 'q1'"
        ):
            imported(tmp_path, ("id", "Answer.q11"), [("w1", "A")], mapping, self.key(tmp_path))


class TestRefusals:
    def refused(self, folder, match, rows=None, header=SINGLE, mapping=SINGLE_MAP, **reading):
        with pytest.raises(UserError, match=match):
            imported(folder, header, judged() if rows is None else rows, mapping, **reading)

    def test_a_wrong_column_is_answered_with_the_nearest(self, tmp_path):
        self.refused(
            tmp_path,
            r"no column 'whoo'. Did you mean 'who'",
            mapping=["worker=whoo", *SINGLE_MAP[0].split(",")[1:]],
        )

    def test_a_wrong_key_is_answered_with_the_nearest(self, tmp_path):
        self.refused(tmp_path, r"no key 'imgae'. Did you mean 'image'", mapping=["worker=who,imgae=file"])

    def test_keys_that_are_missing_are_all_named(self, tmp_path):
        self.refused(
            tmp_path,
            r"single images .* also needs worker, is_fake. Add",
            mapping=["image=file,said_real=said"],
        )

    def test_a_map_without_answers_names_the_kinds(self, tmp_path):
        self.refused(tmp_path, r"says nothing of the answers. Give single images", mapping=["worker=who"])

    def test_an_unknown_word_is_named_with_its_row(self, tmp_path):
        rows = [*judged(), ("w9", "f1", 1, "perhaps", "gan")]
        self.refused(tmp_path, r"row 14, column 'said': 'perhaps' is not allowed here; allowed: 1/0", rows)

    def test_one_image_under_two_algorithms(self, tmp_path):
        rows = [*judged(("w1",)), *judged(("w2",), "vae")]
        self.refused(
            tmp_path, r"the image 'f1' is an image of 'gan' in row 2 and an image of 'vae' in row 6", rows
        )

    def test_one_image_both_real_and_fake(self, tmp_path):
        rows = [("w1", "x", 1, 0, "gan"), ("w2", "x", 0, 0, "gan")]
        self.refused(tmp_path, r"the image 'x' is an image of 'gan' in row 2 and a real image in row 3", rows)

    def test_all_answers_missing(self, tmp_path):
        self.refused(
            tmp_path, r"all 12 answers are missing", [(*row[:3], "unset", row[4]) for row in judged()]
        )

    def test_nobody_is_named(self, tmp_path):
        self.refused(tmp_path, r"no row names a worker in column 'who'", [("", *row[1:]) for row in judged()])

    def test_no_fake_at_all(self, tmp_path):
        self.refused(
            tmp_path, r"column 'fake' calls no image fake", [(*row[:2], 0, *row[3:]) for row in judged()]
        )

    def test_two_algorithms_whose_names_become_one(self, tmp_path):
        rows = [("w1", "f1", 1, 0, "GAN"), ("w2", "f2", 1, 0, "gan ")]
        rows[1] = ("w2", "f2", 1, 0, "gan!")
        self.refused(tmp_path, r"'GAN' and 'gan!' are both written 'gan'", rows)

    def test_an_order_of_unknown_algorithms(self, tmp_path):
        self.refused(tmp_path, r"--order: no algorithm is called 'gann'. Did you mean 'gan'", order=("gann",))

    def test_a_trial_that_stands_there_twice(self, tmp_path):
        rows = [("w1", "f1", 1, 0, 5), ("w1", "f2", 1, 0, 5)]
        mapping = ["worker=who,image=file,is_fake=fake,said_real=said,trial=t"]
        self.refused(
            tmp_path, r"worker 'w1' has trial 5 twice \(rows 2 and 3\)", rows, (*SINGLE[:4], "t"), mapping
        )

    def test_a_folder_that_is_taken(self, tmp_path):
        (tmp_path / "s").mkdir()
        (tmp_path / "s/here").touch()
        self.refused(tmp_path, r"exists and is not empty")


class TestWarnings:
    def test_a_worker_under_two_spellings_is_told_and_kept_apart(self, tmp_path):
        found, _, _ = imported(tmp_path, SINGLE, judged(("Ann", "ann ")), SINGLE_MAP)
        assert found.notes[0].startswith("1 worker is written in more than one way, such as 'Ann' and 'ann '")
        assert len(found.workers) == 2

    def test_rows_repeated_word_for_word_count_once_unless_told_otherwise(self, tmp_path):
        rows = [*judged(), *judged(("w1",))]
        found, _, responses = imported(tmp_path, SINGLE, rows, SINGLE_MAP)
        assert dict(found.dropped) == {"row repeated word for word": 4}
        assert len(responses) == 12

    def test_kept_repetitions_are_told(self, tmp_path):
        rows = [*judged(), *judged(("w1",))]
        found, _, responses = imported(tmp_path, SINGLE, rows, SINGLE_MAP, keep_repeated=True)
        assert len(responses) == 16
        assert found.notes[0].startswith(
            "4 scored trials show images that the same session had judged before"
        )

    def test_rows_that_say_too_little_are_counted_by_reason(self, tmp_path):
        rows = [*judged(), ("w1", "", 1, 0, "gan"), ("w1", "f7", "", 0, "gan"), ("w1", "f8", 1, 0, "")]
        found, study, _ = imported(tmp_path, SINGLE, rows, SINGLE_MAP)
        assert (
            study.imported.dropped
            == {"no image": 1, "no is_fake": 1, "no condition": 1}
            == dict(found.dropped)
        )
        assert study.imported.rows == 15
