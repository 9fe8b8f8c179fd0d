import csv
import dataclasses
import html
import json
import re
from html.parser import HTMLParser

import pytest

import evalkit
from evalkit.report import write_report
from evalkit.report.collect import collect
from evalkit.results import read_results, write_results
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


class Page(HTMLParser):
    """Tags with their attributes, and the text outside style and SVG."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words, self.inside, self.title = [], [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("style", "title"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if "title" in self.inside:
            self.title += data
        elif not self.inside:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture
def reported(analysed):
    def make(**changes):
        folder, made, _, get = analysed(bundle=True, **changes)
        path = write_report(folder, made.data)
        return path, Page(path.read_text(encoding="utf-8")), get

    return make


def read_rows(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def finding(path):
    (block,) = re.findall(r'<div class="finding">(.*?)</div>', path.read_text(encoding="utf-8"), re.DOTALL)
    sentences = re.findall(r"<p>(.*?)</p>", block)
    return [html.unescape(sentence).replace("\u00a0", " ") for sentence in sentences]


def test_the_finding_gives_rates_intervals_n_difference_and_target_in_two_sentences(reported):
    path, _, get = reported()
    first, second = finding(path)
    rate = get("fool_rate", "pix2pix")
    low, high = 100 * rate.interval.low, 100 * rate.interval.high
    assert f"pix2pix’s in {100 * rate.value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)" in first
    assert first.startswith(
        f"In {rate.n['trials'] + get('fool_rate', 'cyclegan').n['trials']} trials, 18 participants"
    )
    gap = abs(get("fool_rate_difference", "pix2pix", "cyclegan").value)
    assert f"rate is {100 * gap:.1f} percentage points above" in second
    assert second.endswith(
        "what these trained generators make of inputs like these, before people like these."
    )


def test_building_it_again_gives_the_same_bytes(reported):
    path, _, _ = reported()
    files = {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    write_report(path.parents[1], "live")
    assert {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()} == files


def test_the_page_is_one_file_that_asks_no_network_and_runs_no_script(reported):
    path, page, _ = reported()
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object"}
    for tag, attributes in page.tags:
        for key in ("src", "href", "xlink:href"):
            value = attributes.get(key, "#")
            assert value.startswith(("#", "data:image/")), (tag, key, value)
    source = path.read_text(encoding="utf-8")
    assert "@import" not in source
    assert not re.findall(r"url\((?!#)", source)


def test_ids_are_distinct_and_every_picture_has_words(reported):
    _, page, _ = reported()
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert sum(tag == "img" for tag, _ in page.tags) == 2 * 12


def test_people_s_live_answers_carry_no_mark(reported):
    path, page, _ = reported()
    source = path.read_text(encoding="utf-8")
    assert not re.search("SIMULATED|PILOT|PREVIEW", source)
    assert page.title.startswith("made-up")


@pytest.mark.parametrize(
    ("data", "observer", "mark"),
    [
        ("simulated", "seeing", "SIMULATED (observer: seeing)"),
        ("pilot", "", "PILOT"),
        ("preview", "", "PREVIEW"),
        ("live", "known", "MACHINE OBSERVER (observer: known)"),
    ],
)
def test_other_data_say_so_in_title_on_each_figure_and_in_every_row(reported, data, observer, mark):
    path, page, _ = reported(data=data, observer=observer)
    source = path.read_text(encoding="utf-8")
    word = mark.partition(" (")[0]
    assert page.title.startswith(mark)
    figures = re.findall(r"<svg.*?</svg>", source, re.DOTALL)
    assert len(figures) == 3
    assert all(mark in figure for figure in figures)
    bodies = re.findall(r"<caption>.*?<tbody>(.*?)</tbody>", source, re.DOTALL)
    rows = [row for body in bodies for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)]
    assert len(rows) > 10
    assert all(word in row for row in rows)
    assert all(mark in heading for heading in re.findall(r"<h2.*?</h2>", source) if "Labeled" in heading)
    for table in (path.parent / "tables").glob("*.md"):
        lines = [line for line in table.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
        assert all(mark in line for line in lines[2:]), table.name
    for table in (path.parent / "tables").glob("*.csv"):
        for row in read_rows(table):
            assert (row["data"], row["observer"]) == (data, observer)


def test_simulated_answers_are_never_told_as_if_people_had_given_them(reported):
    path, page, _ = reported(data="simulated", observer="known")
    assert "Nobody took part." in page.text
    assert "18 simulated observers took fakes for real" in finding(path)[0]
    assert "before observers like these" in finding(path)[1]


def test_tables_hold_raw_values_as_csv_and_the_printed_ones_as_markdown(reported):
    path, _, get = reported()
    rows = {row["condition"]: row for row in read_rows(path.parent / "tables" / "main.csv")}
    rate = get("fool_rate", "cyclegan")
    assert float(rows["cyclegan"]["fool_rate"]) == rate.value
    assert float(rows["cyclegan"]["fool_rate_high"]) == rate.interval.high
    assert int(rows["cyclegan"]["trials"]) == rate.n["trials"]
    text = (path.parent / "tables" / "main.md").read_text(encoding="utf-8")
    assert f"| cyclegan | {100 * rate.value:.1f} | {100 * rate.interval.low:.1f}–" in text
    names = {file.stem for file in (path.parent / "tables").glob("*.csv")}
    named = {name for name in names if not name.startswith("records_")}
    always = {"main", "differences", "trials", "flow", "sensitivity", "exposure", "images"}
    assert named - always == {
        *(
            "attrition",
            "signal_detection",
            "preferences",
            "response_times",
            "care",
            "exclusion_rules",
            "screens",
        ),
        *("learning", "learning_times", "agreement", "stopping"),
    }
    assert always <= named


def test_an_ablation_has_a_table_of_what_was_varied_with_the_rate_of_each_training_run(reported):
    path, page, get = reported(runs=2, losses={"pix2pix": "l1_cgan", "cyclegan": "gan"})
    rows = {row["condition"]: row for row in read_rows(path.parent / "tables" / "ablation.csv")}
    assert {name: row["loss"] for name, row in rows.items()} == {"pix2pix": "l1_cgan", "cyclegan": "gan"}
    assert "seed" not in rows["pix2pix"]  # differs between runs of one algorithm, not between algorithms
    rates = [get("fool_rate_of_run", "pix2pix", detail=f"run {run}") for run in (0, 1)]
    trials = get("fool_rate", "pix2pix").n["trials"]
    assert sum(rate.n["trials"] for rate in rates) == trials
    assert sum(rate.value * rate.n["trials"] for rate in rates) / trials == pytest.approx(
        get("fool_rate", "pix2pix").value
    )
    assert float(rows["pix2pix"]["fool_rate_of_runs_min"]) == min(rate.value for rate in rates)
    assert " · ".join(f"{100 * rate.value:.1f}" for rate in rates) in page.text
    assert "What was varied, and labeled real %" in page.text


def test_a_training_run_without_its_manifest_leaves_nothing_to_be_said_of_its_algorithm(reported):
    path, _, _ = reported(runs=2, losses={"pix2pix": "l1_cgan", "cyclegan": "gan"})
    found = collect(path.parent.parent, path.parent.name)
    assert list(found.varied_settings) == ["loss"]
    assert found.bundle is not None

    def without(run):
        makings = tuple(one for one in found.bundle.makings if (one.condition, one.run) != ("pix2pix", run))
        return dataclasses.replace(found, bundle=dataclasses.replace(found.bundle, makings=makings))

    assert [without(run).varied_settings for run in (0, 1)] == [{}, {}]


def test_settings_of_another_tool_that_are_no_table_are_passed_over(reported):
    path, _, _ = reported(losses={"pix2pix": "l1_cgan", "cyclegan": "gan"})
    found = collect(path.parent.parent, path.parent.name)
    assert found.bundle is not None
    makings = tuple(
        dataclasses.replace(one, manifest={**one.manifest, "settings": ["--loss", "l1"]})
        for one in found.bundle.makings
    )
    other = dataclasses.replace(found, bundle=dataclasses.replace(found.bundle, makings=makings))
    assert other.varied_settings == {}


def test_images_without_manifests_have_no_ablation_table(reported):
    path, page, _ = reported(losses={"pix2pix": "l1_cgan"})
    assert not (path.parent / "tables" / "ablation.csv").exists()
    assert "Ablation" not in page.text


def test_the_page_tells_protocol_preset_departures_recipe_and_every_setting(reported):
    _, page, _ = reported()
    for words in (
        "blank, 900 ms",
        "first image, 1000 ms",
        "question “Which image was fake?”, answers Left / Right, unlimited time",
        "Image-to-Image Translation with Conditional Adversarial Networks",
        "the original tool always shows the left image first",
        "written as 8-bit RGB PNG without metadata",
        "max_void_trials 5",
        "participants_per_condition 9",
        "IRB 2026-17",
    ):
        assert words in page.text, words


def test_the_page_says_what_it_was_computed_from_and_where_its_limits_are(reported):
    path, page, get = reported()
    source = get("fool_rate", "pix2pix").provenance
    for digest in source.digests.values():
        assert digest in page.text
    assert f"scipy {source.software['scipy']}" in page.text
    assert "nothing here separates the loss from the seed" in page.text
    assert "N: 18 analysed sessions of 18 planned" in page.text
    assert "stimuli/manifest.json" in source.digests
    assert path.stat().st_size < 1_000_000


def test_the_image_grid_never_shows_an_image_at_both_ends(reported):
    path, _, _ = reported(images=16)
    source = path.read_text(encoding="utf-8")
    for grid in re.findall(r"<h3>(?:pix2pix|cyclegan)</h3>(.*?)(?=<h3>|</section>)", source, re.DOTALL):
        pictures = re.findall(r'alt="([^"]+)"', grid)
        assert len(pictures) == len(set(pictures)) == 12


@pytest.mark.parametrize(
    "changes", [{"workers": 0, "voided": 0, "stopped": 2}, {"workers": 0, "voided": 0, "stopped": 0}]
)
def test_a_study_without_finished_sessions_says_so_and_still_builds(reported, changes):
    path, page, _ = reported(**changes)
    began = 2 * changes["stopped"]
    assert finding(path) == [f"No session is finished yet ({began} began), so nothing can be estimated."]
    assert "No image has been judged yet." in page.text
    assert "<svg" not in path.read_text(encoding="utf-8")


def test_a_study_whose_sessions_are_all_excluded_says_so(reported):
    path, _, _ = reported(workers=0, voided=2)
    assert finding(path) == [
        "All 4 finished sessions are excluded by the study's rules: nothing can be estimated."
    ]


def test_a_single_session_gives_a_rate_and_says_that_there_is_no_interval(reported):
    path, _, _ = reported(workers=1, voided=0, stopped=0, void_trials=0)
    assert "(no interval: too small a sample)" in finding(path)[0]


def test_one_algorithm_has_nothing_to_compare(reported):
    _, page, _ = reported(rates={"only": 0.4})
    assert "The study has one algorithm, so there is nothing to compare." in page.text


def test_more_than_three_algorithms_are_told_by_the_highest_and_the_lowest(reported):
    path, _, _ = reported(rates={"a": 0.1, "b": 0.3, "c": 0.5, "d": 0.7}, worker_sd=0, image_sd=0)
    first, second = finding(path)
    assert re.search(r"d’s in .* the highest, and a’s in .* the lowest of 4 algorithms\.", first)
    assert second.startswith("d’s rate is ")
    assert "above a’s (95 % interval " in second
    assert "which excludes no difference" in second


def test_without_a_bundle_the_page_still_builds_and_says_what_is_not_known(analysed):
    folder, made, _, _ = analysed(bundle=False)
    page = Page(write_report(folder, made.data).read_text(encoding="utf-8"))
    assert "There is no stimulus bundle beside this study" in page.text
    assert "not in the bundle" in page.text


def test_freeze_and_deviations_are_shown_with_their_dates(reported):
    path, _, _ = reported()
    folder = path.parents[1]
    (folder / "frozen.json").write_text(
        json.dumps({"digest": "d" * 64, "at": "2026-11-02T09:00:00Z", "parts": {}})
    )
    deviation = {"at": "2026-11-03T09:00:00Z", "reason": "typo <in> consent", "changed": ["study.toml"]}
    (folder / "amendments.jsonl").write_text(json.dumps(deviation) + "\n")
    page = Page(write_report(folder, "live").read_text(encoding="utf-8"))
    assert "2026-11-02T09:00:00Z, 1 later deviation" in page.text
    assert "2026-11-03T09:00:00Z typo <in> consent (changed: study.toml)" in page.text


def test_settings_changed_since_the_analysis_are_called_out_of_date(reported):
    path, _, _ = reported()
    toml = path.parents[1] / "study.toml"
    toml.write_text(toml.read_text().replace("max_void_trials = 5", "max_void_trials = 4"))
    page = Page(write_report(path.parents[1], "live").read_text(encoding="utf-8"))
    assert "study.toml has changed since these estimates were computed" in page.text


def test_text_from_study_toml_is_escaped(tmp_path):
    made = MadeUp(workers=3)
    folder = made.write(tmp_path, bundle=False)
    toml = folder / "study.toml"
    toml.write_text(toml.read_text().replace('"IRB 2026-17"', '"<script>alert(1)</script>"'))
    evalkit.analyze_study(folder, "live")
    assert "<script>" not in evalkit.write_report(folder, "live").read_text(encoding="utf-8")


def test_without_estimates_the_command_that_makes_them_is_named(tmp_path):
    folder = MadeUp(workers=2).write(tmp_path, bundle=False)
    with pytest.raises(
        UserError, match=r"estimates\.jsonl: no such file\. `evalkit analyze .* --data live` writes it\."
    ):
        write_report(folder, "live")


def test_broken_estimates_are_named_by_line_with_what_to_do(analysed):
    folder, _, _, _ = analysed()
    path = folder / "live" / "estimates.jsonl"
    path.write_text("{}\n")
    with pytest.raises(UserError, match=r"estimates\.jsonl, line 1: not a record .* Run `evalkit analyze"):
        write_report(folder, "live")


def test_estimates_of_other_data_are_refused(analysed):
    folder, _, _, _ = analysed()
    path = folder / "live" / "estimates.jsonl"
    records = read_results(path)
    moved = [
        dataclasses.replace(r, provenance=dataclasses.replace(r.provenance, data="simulated"))
        for r in records
    ]
    write_results(path, moved)
    with pytest.raises(UserError, match=r"was computed from 'simulated' data, not 'live'"):
        write_report(folder, "live")
