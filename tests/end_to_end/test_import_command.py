"""`evalkit study import` as it is typed, and what `analyze` and `report` make of it; the published figures of real data."""

import csv
from pathlib import Path

import pytest

from evalkit.cli import main
from evalkit.results import read_results
from tests.studies.importers.tables import SINGLE, SINGLE_MAP, amt_batch, judged, write_rows

PUBLISHED = Path(__file__).parents[1] / "reference" / "stein2023_published.csv"
"""Copied from the printed outputs of the authors' notebooks: layer6ai-labs/dgm-eval at d57a6d2d, data/
human-evaluation-realism/notebooks/analyse_human_experiments_*.ipynb, tables df_results and df_results_sem, column err_rt."""


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """`evalkit ...` in a folder of its own: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def typed(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return typed


def analysed(run, folder):
    """The records of a folder, by key, condition and versus; and those of single images, by key and image."""
    code, out, err = run("analyze", folder)
    assert code == 0, err
    assert f"{folder}/imported/estimates.jsonl" in out
    records = read_results(Path(folder) / "imported" / "estimates.jsonl")
    assert {record.provenance.data for record in records} == {"imported"}
    whole = {(r.key, r.condition, r.versus): r for r in records if not r.image and not r.detail}
    return whole, {(r.key, r.image): r for r in records if r.image}


def typed_map(text):
    return ("--map", text)


class TestCommands:
    @pytest.fixture
    def answers(self, tmp_path):
        return write_rows(tmp_path / "answers.csv", SINGLE, judged())

    def test_there_is_nothing_to_rehearse(self, run, answers):
        run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        code, _, err = run("rehearse", "s")
        assert code == 1
        assert "its answers were imported" in err

    def test_a_word_for_not_sure_that_nobody_used_is_told(self, run, answers):
        typed = (
            "study",
            "import",
            "csv",
            answers,
            *typed_map(SINGLE_MAP[0]),
            "--unsure",
            "perhaps",
            "--out",
            "s",
        )
        assert "--unsure perhaps: no answer says so" in run(*typed)[2]

    def test_single_images_become_rates_and_a_report_that_says_where_they_come_from(self, run, answers):
        code, out, err = run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        assert (code, out) == (0, "s\n")
        assert "answers.csv: 12 rows; 12 trials of 3 workers in 3 sessions, 4 images, 1 algorithm." in err
        assert "missing: 0 answers; they are never scored" in err
        whole, images = analysed(run, "s")
        assert whole["fool_rate", "gan", ""].value == pytest.approx(1 / 6)
        assert whole["accuracy_over_workers", "gan", ""].value == pytest.approx(11 / 12)
        assert images["image_accuracy", "f1"].value == pytest.approx(2 / 3)
        assert images["image_accuracy", "r1"].value == 1.0
        notes = " ".join(whole["fool_rate", "gan", ""].notes)
        assert "How many training runs the images come from is not known" in notes
        assert "One training run" not in notes
        assert whole["finished_share", "gan", ""].value is None  # not 100 %: nobody knows who left
        assert ("attrition_test", "", "") not in whole
        assert "the order of the file" in " ".join(whole["sequence_rate", "gan", ""].notes)
        assert not [
            detail for key, _, detail in whole if key == "sessions_breaking_rule"
        ]  # none can be applied
        code, out, err = run("report", "s")
        assert code == 0, err
        page = Path("s/imported/report.html").read_text()
        assert "IMPORTED" in page
        assert "imported from answers.csv" in page
        assert "times and pauses are not known here" in page

    def test_a_batch_of_the_old_tool_becomes_a_fool_rate(self, run, tmp_path):
        amt_batch(tmp_path / "batch.csv")
        assert (
            run("study", "import", "amt", "batch.csv", "--real", "gt", "--practice", "0", "--out", "s")[0]
            == 0
        )
        whole, _ = analysed(run, "s")
        assert whole["fool_rate", "gan", ""].value == 0.5
        assert run("report", "s")[0] == 0

    def test_a_worker_who_failed_a_check_is_left_out_by_rule(self, run, tmp_path):
        rows = [(*row, int(row[0] == "w1")) for row in judged()]
        write_rows(tmp_path / "checked.csv", (*SINGLE, "check"), rows)
        _, _, err = run(
            "study",
            "import",
            "csv",
            "checked.csv",
            *typed_map(SINGLE_MAP[0] + ",failed_check=check"),
            "--out",
            "s",
        )
        assert "1 workers failed and are excluded by [exclusions] max_failed_checks = 0" in err
        whole, _ = analysed(run, "s")
        assert whole["sessions_excluded", "gan", ""].value == 1
        assert whole["fool_rate", "gan", ""].value == 0.0
        assert whole["fool_rate_without_exclusions", "gan", ""].value == pytest.approx(1 / 6)

    def test_several_algorithms_per_worker_have_rates_and_no_errors_on_reals(self, run, tmp_path):
        rows = [
            (f"w{number}", image, fake, int(image == "a1"), model)
            for number in range(4)
            for image, fake, model in (("a1", 1, "a"), ("b1", 1, "b"), ("r1", 0, ""))
        ]
        write_rows(tmp_path / "mixed.csv", SINGLE, rows)
        assert run("study", "import", "csv", "mixed.csv", *typed_map(SINGLE_MAP[0]), "--out", "s")[0] == 0
        whole, images = analysed(run, "s")
        assert (whole["fool_rate", "a", ""].value, whole["fool_rate", "b", ""].value) == (1.0, 0.0)
        assert whole["error_rate_on_reals", "a", ""].value is None
        assert images["image_accuracy", "r1"].value == 0.0
        assert run("report", "s")[0] == 0

    def test_other_data_than_imported_is_refused(self, run, answers):
        run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        code, _, err = run("analyze", "s", "--data", "live")
        assert (code, err.strip()) == (
            1,
            "Error: s: its answers were imported from answers.csv, so there are no live data. Leave out --data.",
        )

    @pytest.mark.parametrize("command", [("study", "status", "s"), ("study", "export", "s")])
    def test_what_needs_a_server_says_that_there_is_none(self, run, answers, command):
        run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        code, _, err = run(*command)
        assert code == 1
        assert "these answers were imported, so there is no server and no database" in err

    @pytest.mark.parametrize(
        "command",
        [("serve", "s"), ("preview", "s"), ("simulate", "s"), ("forget", "s", "--worker", "w", "--yes")],
    )
    def test_nobody_can_be_recruited_for_imported_answers(self, run, answers, command):
        run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        code, _, err = run("study", *command)
        assert code == 1
        assert "imported from answers.csv, so there is nothing here to serve or recruit for" in err

    def test_images_cannot_be_built_for_imported_answers(self, run, answers):
        run("study", "import", "csv", answers, *typed_map(SINGLE_MAP[0]), "--out", "s")
        code, _, err = run("study", "build", "s")
        assert code == 1
        assert "its answers were imported, so there are no images to build" in err

    def test_an_error_is_one_line(self, run, answers):
        code, out, err = run("study", "import", "csv", answers, *typed_map("worker=Who"), "--out", "s")
        assert (code, out) == (1, "")
        assert err.startswith("Error: --map: says nothing of the answers.")
        assert not Path("s").exists()


@pytest.mark.shared_data
class TestPublishedFigures:
    @pytest.mark.parametrize("file", ["cifar10", "ffhq256", "imagenet256", "lsun256"])
    def test_error_rates_of_41_models_to_the_printed_digit(self, run, shared_data, file):
        """Stein et al. (2023), the mean and standard error that the authors' notebooks print, 41 models in all."""
        with PUBLISHED.open() as stream:
            published = [row for row in csv.DictReader(stream) if row["file"] == file]
        source = shared_data / "responses" / "stein2023" / f"{file}.csv"
        code, _, err = run(
            "study",
            "import",
            "workers",
            source,
            *typed_map("worker=id,condition=model,error_rate=err_rt"),
            "--out",
            "s",
        )
        assert code == 0, err
        whole, _ = analysed(run, "s")
        for row in published:
            estimate = whole["error_rate_over_workers", row["model"].lower(), ""]
            assert f"{estimate.value:.6f}" == row["mean"]
            assert f"{estimate.standard_error:.6f}" == row["standard_error"]
        assert len(published) == sum(key == "error_rate_over_workers" for key, *_ in whole)

    def test_the_origami_total_and_its_24_image_accuracies_to_the_printed_digit(self, run, shared_data):
        """Total accuracy 60.7 ± 0.5 % with "not sure" as one half; by image the share answered right of all 2,035."""
        folder = shared_data / "responses" / "origami2025"
        mapping = "worker=worker,image=item,is_fake=is_fake,said_real=said_real,unsure=not_sure"
        code, _, err = run(
            "study",
            "import",
            "csv",
            folder / "tidy.csv",
            *typed_map(mapping),
            "--condition",
            "ai",
            "--out",
            "s",
        )
        assert code == 0, err
        assert '"not sure": 3511 answers' in err
        whole, images = analysed(run, "s")
        total = whole["accuracy_over_workers", "ai", ""]
        assert (f"{100 * total.value:.1f}", f"{100 * (total.interval.high - total.value):.1f}") == (
            "60.7",
            "0.5",
        )
        assert total.n == {"workers": 2035, "trials": 48840}
        with (folder / "published_item_accuracy.csv").open() as stream:
            published = {row["item"]: float(row["published_pct_correct"]) for row in csv.DictReader(stream)}
        found = {
            image: round(100 * r.value, 2)
            for (key, image), r in images.items()
            if key == "image_answered_right"
        }
        assert len(published) == 24
        assert found == published

    def test_the_preferences_of_a_raw_mturk_batch_to_the_printed_digit(self, run, shared_data, tmp_path):
        """58.9 % of n=1571 and 60.3 % of n=1576 votes; 24 of 29 and 26 of 29 questions won."""
        folder = shared_data / "responses" / "dynavect2025"
        with (folder / "tidy.csv").open() as stream:
            sides = {row["item"]: (row["baseline"], row["ours_side"]) for row in csv.DictReader(stream)}
        rows = [
            (q, *(("dynavect", other) if side == "A" else (other, "dynavect")))
            for q, (other, side) in sides.items()
        ]
        write_rows(tmp_path / "key.csv", ("question", "A", "B"), rows)
        mapping = "worker=WorkerId,choice=Answer.*,input=question,left=A,right=B"
        code, _, err = run(
            *(
                "study",
                "import",
                "csv",
                folder / "Survey_hashed.csv",
                "--key",
                "key.csv",
                *typed_map(mapping),
            ),
            *("--order", "dynavect", "--out", "s"),
        )
        assert code == 0, err
        assert "left out: 4 (empty row)" in err
        assert "left out: 8 (no worker)" in err
        assert "missing: 217 answers" in err
        whole, _ = analysed(run, "s")
        for other, share, votes, won in (
            ("styleclip_o", "58.9", 1571, 24),
            ("styleclip_g", "60.3", 1576, 26),
        ):
            preferred = whole["preference_share", "dynavect", other]
            assert (f"{100 * preferred.value:.1f}", preferred.n["trials"]) == (share, votes)
            wins = whole["inputs_won", "dynavect", other]
            assert (wins.value, wins.n["source_images"]) == (won, 29)
