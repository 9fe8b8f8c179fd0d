"""The parts of the page about single analyses: each at its place, with words, notes and methods, and nothing lost."""

import html
import re

import pytest

from evalkit.analyses import analyze
from evalkit.report import write_report
from evalkit.report.collect import collect
from evalkit.report.modelling import verdict
from evalkit.report.panel import notes_of
from evalkit.report.panels import PANELS, panels
from evalkit.report.small_plots import Point, SmallPlot, Vertical, small_plots
from evalkit.results import Estimate, read_results
from tests.evalkit.made_up_responses import MadeUp

PLANNED = """["fool_rate", "pairwise_differences", "mixed_model"]
equivalence_margin = 0.3"""
STOPPING = '[stopping]\nrule = "confidence_sequence"\nhalf_width = 0.4\nmin_participants = 2\n[ethics]'


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Folder and page of a study that plans nearly everything."""
    folder = MadeUp(
        workers=9,
        images=16,
        trials=12,
        stopped=2,
        rates={"a": 0.4, "b": 0.3, "c": 0.1},
        planned=PLANNED,
    ).write(tmp_path_factory.mktemp("full") / "study")
    toml = folder / "study.toml"
    toml.write_text(toml.read_text().replace("[ethics]", STOPPING))
    analyze(folder, "live")
    return folder, write_report(folder, "live").read_text(encoding="utf-8")


def words(page):
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]))
    return re.sub(r"\s+", " ", text)


def test_every_record_has_a_proper_place_and_none_is_left_for_the_end(full):
    folder, page = full
    assert "Everything else that was estimated" not in page
    assert not list((folder / "live" / "tables").glob("records_*"))


def test_finding_and_main_table_come_first_and_panels_are_folded_later(full):
    _, page = full
    order = [
        page.index(one)
        for one in ('class="finding"', 'id="rates-h"', 'id="differences-h"', 'id="flow-h"', 'id="checks-h"')
    ]
    assert order == sorted(order)
    folded = re.findall(r'<details class="panel" id="([^"]+)">', page)
    assert folded == [
        *(
            "signal-detection",
            "response-quality",
            "exposure",
            "learning",
            "agreement",
            "mixed-model",
            "stopping",
        ),
    ]
    assert not re.search(r"<details[^>]* open", page)


def test_the_notes_and_methods_of_all_records_stand_on_the_page(full):
    folder, page = full
    text = words(page)
    for record in read_results(folder / "live" / "estimates.jsonl"):
        if record.provenance.analysis in ("image_rates", "fool_rate", "flow"):
            continue  # tables and methods of their own
        for note in record.notes:
            assert " ".join(note.split()) in text, (record.key, note)


def test_d_prime_and_rank_with_their_intervals_stand_in_the_main_table(full):
    folder, _ = full
    get = collect(folder, "live").records.get
    lines = (folder / "live" / "tables" / "main.md").read_text(encoding="utf-8").splitlines()
    line = next(one for one in lines if one.startswith("| a |"))
    rank = get("rank", "a")
    assert f"{rank.value:g} ({rank.interval.low:g}–{rank.interval.high:g})" in line
    assert "d′ [interval]" in lines[2]


def test_a_difference_is_marked_where_its_test_holds_after_holm_and_only_there(full):
    folder, page = full
    records = collect(folder, "live").records
    lines = (folder / "live" / "tables" / "differences.md").read_text(encoding="utf-8").splitlines()
    marked = {}
    for test in records.tests("difference_test"):
        line = next(one for one in lines if one.startswith(f"| {test.condition} − {test.versus} |"))
        marked[test.condition, test.versus] = " * |" in line
        assert marked[test.condition, test.versus] == (test.p_adjusted < 0.05)
    assert set(marked.values()) == {True, False}
    assert page.count("] *</text>") == sum(marked.values())
    assert any("Holm over all pairs: 3" in line for line in lines)


def test_equivalence_says_yes_no_or_cannot_tell_and_never_more(full):
    folder, page = full
    records = collect(folder, "live").records
    found = [*records.keyed("indistinguishable_from_real"), *records.keyed("as_good_as")]
    rows = re.search(r"Equivalence within the planned margin.*?</table>", page, re.DOTALL).group()
    said = re.findall(r'<td class="words">(yes|no|cannot tell)</td>', rows)
    assert said == [verdict(one) for one in found]
    assert len(said) == 6
    assert verdict(Estimate(key="as_good_as", value=None, unit="", method="")) == "–"


def test_attrition_stopping_and_variance_components_are_told_in_words(full):
    folder, page = full
    text = words(page)
    assert "Whether leaving differs between algorithms: largest difference 0.0 points, p = 1" in text
    assert "Recruiting was to stop after" in text
    assert "images: hard in this algorithm" in text
    lines = (folder / "live" / "tables" / "mixed_images.csv").read_text(encoding="utf-8").splitlines()
    assert f"Shrunken values of {len(lines) - 1} images: tables/mixed_images.csv." in text


def test_panels_ask_for_every_record_of_their_analyses(full):
    folder, _ = full
    found = collect(folder, "live")
    made = panels(found)
    assert list(made) == [name for name in PANELS if name != "people_and_metrics"]
    assert all(one.how for one in made.values())


def test_a_note_of_some_records_says_of_which_and_one_of_all_is_said_once():
    def one(condition, *notes):
        return Estimate(key="k", value=1.0, unit="", method="", condition=condition, notes=notes)

    assert notes_of([one("a", "all"), one("b", "all", "own")]) == ("all", "b: own")
    many = [one(str(place), "most") for place in range(8)] + [one("last")]
    assert notes_of(many) == ("8 of 9 records: most",)


def test_small_plots_carry_mark_and_titles_and_are_the_same_each_time():
    plots = [SmallPlot(name, [Point(1, 30.0, y_ends=(20.0, 40.0), label=name)], "x") for name in "abcd"]
    first, second = (small_plots(plots, Vertical("y", 50.0), "PILOT", "small") for _ in range(2))
    assert first == second
    assert ">PILOT</text>" in first
    assert all(f">{name}</text>" in first for name in "abcd")
    assert "#0a0b0" not in first


def test_studies_of_single_images_and_of_unknown_sides_still_build(analysed):
    folder, made, _, _ = analysed(bundle=False, rates={"only": 0.4}, workers=1, stopped=0, voided=0)
    text = words(write_report(folder, made.data).read_text(encoding="utf-8"))
    assert "Trials with the image asked for on either side are needed" in text


def test_losses_that_were_trained_once_say_so_in_title_tables_and_figures(full, analysed):
    folder, page = full
    label = "one training run per algorithm"
    assert label in re.search(r"<title>.*</title>", page).group()
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert [label in one for one in captions[:2]] == [True, True]
    for name in ("main", "differences", "equivalence"):
        assert (
            label in (folder / "live" / "tables" / f"{name}.md").read_text(encoding="utf-8").splitlines()[0]
        )
    several, made, _, _ = analysed(bundle=False, runs=2)
    assert label not in write_report(several, made.data).read_text(encoding="utf-8")
