"""`evalkit study preregister`: what study.toml decides stands in the document, and its digest is the freeze's."""

import json

import pytest

from evalkit.cli import main
from studies.design import load_study
from studies.stimuli import load_bundle
from tests.made_up_study import make_study
from tests.studies.importers.tables import SINGLE, SINGLE_MAP, judged, write_rows
from webapp import freeze

SECTIONS = (
    "## 1. Study information",
    "## 2. Design plan",
    "### Blinding",
    "### Randomisation",
    "## 3. Sampling plan",
    "### Existing data",
    "### Rationale",
    "### Stopping rule",
    "## 4. Variables",
    "## 5. Analysis plan",
    "### Inference criteria",
    "### Data exclusion",
    "### Missing data",
    "## 6. Rehearsal",
    "## 7. What is frozen",
)


@pytest.fixture
def preregister(capsys):
    def typed(folder):
        with pytest.raises(SystemExit) as ended:
            main(["study", "preregister", str(folder)])
        said = capsys.readouterr()
        return ended.value.code or 0, said.out, said.err

    return typed


def test_every_section_of_the_template_is_there_once(study_folder, preregister):
    code, text, _ = preregister(study_folder)
    assert code == 0
    assert [text.count(section) for section in SECTIONS] == [1] * len(SECTIONS)


def test_the_digests_are_those_that_the_first_live_session_will_freeze(study_folder, preregister):
    _, text, _ = preregister(study_folder)
    record = freeze.record(load_study(study_folder), load_bundle(study_folder))
    for digest in (record["digest"], *record["parts"].values()):
        assert text.count(f"`{digest}`") == 1


def test_decisions_of_the_study_stand_in_words(tmp_path, preregister):
    settings = {
        "equivalence_margin": 0.04,
        "smallest_difference": 0.07,
        "contrasts": ["beta - alpha"],
        "confidence_level": 0.9,
    }
    folder = make_study(
        tmp_path / "s",
        analysis=settings,
        stopping={"rule": "confidence_sequence", "half_width": 0.06, "min_participants": 2},
        exclusions={"max_fast_share": 0.3, "max_void_trials": 2},
        recruitment={"reward_cents": 150},
    )
    _, text, _ = preregister(folder)
    for words in (
        "`beta - alpha`: the null hypothesis is that both have the same fool rate; two-sided.",
        "within ± 4 percentage points",
        "would matter is 7 percentage points",
        "no wider than ± 6 percentage points for every algorithm, and not before 2 participants per algorithm",
        "more than 30 % of answers faster than 200 ms",
        "more than 2 void scored trials",
        "Intervals at 90 %; two-sided tests at α = 0.1.",
        "adjusted by Holm's method",
        "The test that decides is the clustered one",
        "Pay: 1.50 GBP.",
    ):
        assert words in text, words
    assert "`alpha - beta`" not in text


def test_a_stricter_study_needs_a_wider_interval_inside_the_margin(tmp_path, preregister):
    folder = make_study(tmp_path / "s", analysis={"equivalence_margin": 0.04, "confidence_level": 0.99})
    assert "only if the 98 % interval lies within" in preregister(folder)[1]


def test_what_only_the_authors_know_is_marked_and_counted(study_folder, preregister):
    _, text, err = preregister(study_folder)
    assert text.count("TO BE FILLED IN") == 4
    assert "4 places are marked 'TO BE FILLED IN'" in err
    assert "no rehearsal backs the sample size" in err


def test_the_same_study_gives_the_same_text(study_folder, preregister):
    assert preregister(study_folder)[1] == preregister(study_folder)[1]


def test_before_the_stimuli_are_built_the_digest_covers_the_settings_alone(study_folder, preregister):
    (study_folder / "stimuli" / "manifest.json").rename(study_folder / "kept.json")
    code, text, err = preregister(study_folder)
    assert code == 0
    assert f"- settings: `{load_study(study_folder).digest()}`" in text
    assert "The stimuli are not built yet" in text
    assert "the digest covers the settings alone" in err


def test_a_study_that_has_begun_is_no_preregistration_any_more(study_folder, preregister):
    record = freeze.record(load_study(study_folder), load_bundle(study_folder))
    freeze.write_frozen(study_folder, record, 1_700_000_000_000)
    (study_folder / "study.toml").write_text(
        (study_folder / "study.toml").read_text().replace("confidence_level = 0.95", "confidence_level = 0.9")
    )
    _, text, err = preregister(study_folder)
    at = json.loads((study_folder / "frozen.json").read_text())["at"]
    assert f"Frozen at {at}, when data collection began: a record of the plan, not a preregistration." in text
    assert "analysis.confidence_level: 0.95 -> 0.9" in err


def test_a_reserve_that_the_inputs_do_not_allow_is_not_promised(tmp_path, preregister):
    _, text, _ = preregister(make_study(tmp_path, inputs=6, protocol={"reserve": 3}))
    assert "no inputs were left for a reserve" in text
    assert "is not replaced: there is no reserve" in text
    assert "replaced from a reserve of" not in text


def test_imported_answers_leave_nothing_to_preregister(tmp_path, preregister, capsys):
    write_rows(tmp_path / "a.csv", SINGLE, judged())
    with pytest.raises(SystemExit):
        main(
            [
                "study",
                "import",
                "csv",
                str(tmp_path / "a.csv"),
                "--map",
                SINGLE_MAP[0],
                "--out",
                str(tmp_path / "s"),
            ]
        )
    capsys.readouterr()
    code, _, err = preregister(tmp_path / "s")
    assert code == 1
    assert "its answers were imported, so they are there already; nothing is left to preregister" in err
