"""What every preset must hold."""

import pytest

from studies.design import parse_study
from studies.errors import UserError
from studies.presets import load_preset, preset_names


@pytest.fixture(params=preset_names())
def preset(request):
    return load_preset(request.param)


def test_a_preset_names_its_source_and_where_it_departs_from_it(preset):
    assert preset.title
    assert preset.source
    assert preset.departures
    assert all(text.endswith(".") for text in preset.departures)


def test_a_preset_makes_a_valid_study(preset):
    study = parse_study(
        {
            **preset.tables,
            "study": {**preset.tables["study"], "id": "s", "preset": preset.name},
            "reference": {"images": "real", "inputs": "inputs"},
            "conditions": {"cgan": {"images": ["cgan"]}, "l1": {"images": ["l1"]}},
        },
        preset.name,
    )
    if study.protocol.name == "two_afc":
        assert study.protocol.exposure_ms == 1000
        assert study.protocol.mask == "none"
    assert study.study.practice_images == "rotating"


@pytest.mark.parametrize(
    ("name", "settled"),
    {
        "amt_python_2020": ("fake", "same", "within", 50, 10, 50),
        "cyclegan2017": ("real", "different", "between", 25, 10, 40),
        "pix2pix2017": ("fake", "different", "between", 50, 10, 40),
        "zhang2016": ("fake", "same", "between", 40, 10, 40),
    }.items(),
)
def test_a_published_preset_settles_what_its_source_did(name, settled):
    study, protocol = load_preset(name).tables["study"], load_preset(name).tables["protocol"]
    keys = ("question", "pairing", "design", "participants_per_condition")
    assert (*(study[key] for key in keys), protocol["practice"], protocol["scored"]) == settled


def test_zhang_has_its_vigilance_trials_and_says_how_they_differ():
    preset = load_preset("zhang2016")
    assert preset.tables["checks"] == {"share": 0.1}
    assert "exclusions" not in preset.tables  # the paper leaves nobody out
    assert not any(text.startswith("LEFT OUT") for text in preset.departures)
    assert any("Random baseline" in text and "[checks] images" in text for text in preset.departures)


def test_an_unknown_preset_is_refused_with_the_nearest_name():
    with pytest.raises(
        UserError, match=r"--preset pix2pix2018: no such preset\. Did you mean 'pix2pix2017'\?"
    ):
        load_preset("pix2pix2018")
