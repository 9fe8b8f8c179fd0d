import dataclasses
import html.parser
import shutil
from pathlib import Path

import pandas as pd
import pytest

import evalkit
from evalkit.results import Estimate, HypothesisTest, Interval, Provenance, Score, read_results
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    folder = MadeUp(workers=6, images=12, trials=10, data="simulated", observer="seeing").write(
        tmp_path_factory.mktemp("notebook") / "study", bundle=False
    )
    evalkit.Study.open(folder).analyze()
    return folder


@pytest.fixture
def study(analysed, tmp_path):
    return evalkit.Study.open(shutil.copytree(analysed, tmp_path / "study"))


class Balance(html.parser.HTMLParser):
    """Collects the text; an end tag must close the last tag that is open."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


def text_of(thing):
    parser = Balance()
    parser.feed(thing._repr_html_())
    parser.close()
    assert parser.open == []
    return parser.text


def test_estimates_are_a_table_with_the_numbers_of_the_records(study):
    records, table = study.results, study.estimates
    assert len(table) == len(records) > 100
    for record, row in zip(records, table.to_dict("records"), strict=True):
        assert (row["key"], row["condition"], row["detail"]) == (record.key, record.condition, record.detail)
        assert row["value"] == record.value or (pd.isna(row["value"]) and record.value is None)
        interval = getattr(record, "interval", None)
        assert (row["low"] == interval.low) if interval else pd.isna(row["low"])
        assert row["trials"] == record.n["trials"] if "trials" in record.n else pd.isna(row["trials"])
    assert set(table["mark"]) == {"SIMULATED (observer: seeing)"}
    assert set(table["status"]) == {"planned", "descriptive"}


def test_analyze_returns_what_it_wrote_and_marks_what_was_not_planned(study):
    table = study.analyze(also=["error_rate"])
    assert list(table["key"]) == [one.key for one in read_results(study.folder / "simulated/estimates.jsonl")]
    assert set(table.loc[table["analysis"] == "error_rate", "status"]) == {"unplanned"}


def test_a_study_without_any_answers_says_how_to_get_some(study):
    shutil.rmtree(study.folder / "simulated")
    assert "No estimates yet" in text_of(study)
    with pytest.raises(UserError, match="no answers here yet"):
        study.estimates  # noqa: B018
    with pytest.raises(UserError, match="no answers here yet"):
        study.analyze()


def test_live_answers_come_before_simulated_ones_and_what_was_asked_for_before_both(study):
    assert study.data == "simulated"
    shutil.copytree(study.folder / "simulated", study.folder / "live")
    assert study.data == "live"
    assert evalkit.Study.open(study.folder, "simulated").data == "simulated"
    with pytest.raises(UserError, match=r"'life' is no kind of data of this study\. Allowed: live, "):
        evalkit.Study.open(study.folder, "life")


def test_answers_come_before_estimates_are_made(study):
    (study.folder / "simulated" / "estimates.jsonl").unlink()
    assert len(study.responses) > 100
    with pytest.raises(UserError, match=r"estimates.jsonl: not there yet. Call analyze\(\) first"):
        study.estimates  # noqa: B018


def test_a_broken_file_of_estimates_is_one_line_with_its_next_step(study):
    (study.folder / "simulated" / "estimates.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"line 1: not a record .* Run: evalkit analyze"):
        study.estimates  # noqa: B018


def test_find_gives_the_one_record_or_names_what_there_is(study):
    found = study.find("fool_rate", "pix2pix")
    assert isinstance(found, Estimate)
    assert (
        found.value == study.estimates.query("key == 'fool_rate' and condition == 'pix2pix'")["value"].item()
    )
    assert isinstance(study.find("difference_test", "pix2pix", "cyclegan"), HypothesisTest)
    with pytest.raises(UserError, match="Did you mean 'fool_rate'"):
        study.find("fool_rat")
    with pytest.raises(UserError, match=r"nothing about \('pixpix', ''\)"):
        study.find("fool_rate", "pixpix")
    with pytest.raises(UserError, match=r"4 records have detail ''\. Known: '"):
        study.find("fool_rate_by_quarter", "pix2pix")


def test_a_study_shows_its_planned_numbers_with_intervals_mark_and_caveats(study):
    text = text_of(study)
    rate = study.find("fool_rate", "pix2pix")
    assert f"{100 * rate.value:.1f} % [{100 * rate.interval.low:.1f} %" in text
    assert "SIMULATED (observer: seeing)" in text
    assert "One training run per algorithm" in text
    difference = study.find("fool_rate_difference", "pix2pix", "cyclegan")
    assert "fool_rate_difference: pix2pix − cyclegan" in text
    assert f"{100 * difference.value:.1f} points [{100 * difference.interval.low:.1f} points" in text
    assert "image_fool_rate" not in text


def test_scores_of_a_study_stand_in_the_same_columns_and_carry_their_mark(study):
    assert study.scores.empty
    evalkit.results.write_results(study.folder / "scores.jsonl", [score("random, seed 0")])
    row = study.scores.iloc[0]
    assert (row["key"], row["value"], row["low"]) == ("fid", 70.0, 60.0)
    assert row["mark"] == "random features, not comparable"
    assert list(study.scores.columns) == list(study.estimates.columns)


def score(weights):
    return Score(
        key="fid", value=70.0, unit="", method="Fréchet distance", condition="a<b", higher_is_better=False, source="",
        interval=Interval(60.0, 80.0, 0.95, "jackknife"), settings={"weights": weights},
    )  # fmt: skip


def test_a_record_shows_value_interval_notes_and_marks_and_escapes_its_texts():
    text = text_of(score("random, seed 0"))
    assert "fid, a<b" in text
    assert "70 [60, 80]" in text
    assert "random features, not comparable" in text
    assert "<b" not in score("x")._repr_html_().replace("<body", "").replace("<br", "")
    test = HypothesisTest(
        key="t", value=None, unit="proportion", method="m", statistic=None, p_value=1e-9, p_adjusted=0.04,
        null_hypothesis="equal", alternative="two-sided", notes=("too few & too small",),
        provenance=Provenance(data="pilot"),
    )  # fmt: skip
    told = text_of(test)
    for words in ("PILOT", "not estimated", "< 0.0001", "0.04", "equal", "too few & too small"):
        assert words in told
    assert "PILOT" not in text_of(dataclasses.replace(test, provenance=Provenance(data="live")))


def test_an_image_set_shows_its_first_images_and_what_was_assumed(study):
    images = evalkit.ImageSet.open(study.folder / "real")
    assert len(images) == 12
    shown = images._repr_html_()
    assert shown.count("data:image/png;base64,") == 6
    assert "12 images (folder)" in text_of(images)
    assert evalkit.ImageSet.open("real", study.folder).source_ids == images.source_ids


def test_an_image_that_cannot_be_read_is_named_in_its_place(tmp_path: Path):
    (tmp_path / "a<i>.png").write_bytes(b"no image")
    shown = evalkit.ImageSet.open(tmp_path)._repr_html_()
    assert "a&lt;i&gt; (cannot be read)" in shown
    assert "<i>" not in shown


def test_the_report_of_a_study_is_the_one_of_the_command_line(study):
    path = study.report()
    assert path == study.folder / "simulated" / "report.html"
    assert "SIMULATED" in path.read_text(encoding="utf-8")


def test_an_analysis_tells_how_far_it_is(study):
    told = []
    evalkit.analyze_study(study.folder, "simulated", progress=lambda *step: told.append(step))
    assert told[0] == (0, len(told), "fool_rate")
    assert [done for done, _, _ in told] == list(range(len(told)))
    assert {"ranks", "agreement"} <= {name for _, _, name in told}
