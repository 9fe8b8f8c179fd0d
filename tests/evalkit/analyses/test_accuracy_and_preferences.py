import statistics

import pytest

from evalkit.analyses import Context, accuracy, preference_share, worker_rates
from evalkit.responses import read_table
from evalkit.results import Provenance
from studies.design import load_study
from studies.importers import Reading, read_answers, read_source, read_workers, write_study
from tests.studies.importers.tables import SINGLE, SINGLE_MAP, judged, write_rows


def ran(analysis, folder):
    study = load_study(folder)
    context = Context(Provenance(study=study.id, data="imported"), folder=folder)
    return analysis.run(read_table(folder / "imported", study, "imported"), study, context)


@pytest.fixture
def singles(tmp_path):
    def make(rows, **reading):
        path = write_rows(tmp_path / "a.csv", SINGLE, rows)
        write_study(read_answers(read_source(path), SINGLE_MAP, Reading(**reading)), tmp_path / "s")
        return tmp_path / "s"

    return make


class TestAccuracy:
    def test_it_averages_workers_with_students_interval(self, singles):
        (over, *_) = ran(accuracy, singles([*judged(), ("w1", "f3", 1, 1, "gan")]))
        means = [3 / 5, 1.0, 1.0]
        assert over.value == pytest.approx(statistics.mean(means))
        assert over.standard_error == pytest.approx(statistics.stdev(means) / 3**0.5)
        assert over.interval.degrees_of_freedom == 2
        assert any("4 to 5 trials" in note for note in over.notes)

    def test_an_unsure_answer_is_half_right_by_one_count_and_not_right_by_the_other(self, singles):
        rows = [("w1", "f1", 1, "?", "gan"), ("w2", "f1", 1, 0, "gan"), ("w2", "r1", 0, "?", "gan")]
        found = {(r.key, r.image): r for r in ran(accuracy, singles(rows, unsure=("?",)))[1:]}
        assert found["image_accuracy", "f1"].value == 0.75
        assert found["image_answered_right", "f1"].value == 0.5
        assert found["image_answered_right", "r1"].value == 0.0
        assert found["image_accuracy", "r1"].detail == "real, input r1"
        assert (found["image_accuracy", "f1"].condition, found["image_accuracy", "r1"].condition) == (
            "gan",
            "",
        )

    def test_one_worker_has_no_interval_over_workers_and_a_note(self, singles):
        over, *images = ran(accuracy, singles(judged(("w1",))))
        assert over.interval is None
        assert "One worker: no interval can be given." in over.notes
        assert len(images) == 8


class TestWorkerRates:
    def test_mean_error_and_interval_rest_on_workers_alone(self, tmp_path):
        values = [0.1, 0.4, 0.25, ""]
        path = write_rows(tmp_path / "w.csv", ("id", "err"), list(enumerate(values)))
        write_study(read_workers(read_source(path), ["worker=id,error_rate=err"], Reading()), tmp_path / "s")
        (found,) = ran(worker_rates, tmp_path / "s")
        assert found.value == pytest.approx(0.25)
        assert found.standard_error == pytest.approx(statistics.stdev(values[:3]) / 3**0.5)
        assert found.n == {"workers": 3, "missing": 1}
        assert "not other images" in found.notes[-1].replace("\n", " ")

    def test_a_study_with_answers_is_told_where_its_rate_over_workers_is(self, singles):
        (found,) = ran(worker_rates, singles(judged()))
        assert found.value is None
        assert "fool_rate_worker_averaged" in found.notes[0]


def test_an_input_is_won_by_more_than_half_of_its_answers_and_a_tie_by_nobody(tmp_path):
    rows = [
        (worker, name, "ours", "theirs", side)
        for name, sides in {"i1": "left left right", "i2": "left right", "i3": "right right"}.items()
        for worker, side in enumerate(sides.split())
    ]
    path = write_rows(tmp_path / "p.csv", ("who", "input", "l", "r", "choice"), rows)
    mapping = ["worker=who,input=input,left=l,right=r,choice=choice"]
    write_study(read_answers(read_source(path), mapping, Reading()), tmp_path / "s")
    share, won = ran(preference_share, tmp_path / "s")
    assert share.value == pytest.approx(3 / 7)
    assert (won.key, won.value, won.n["source_images"], won.n["tied"]) == ("inputs_won", 1.0, 3, 1)
