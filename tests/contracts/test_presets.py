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
            "reference": {"images": "real"},
            "conditions": {"cgan": {"images": ["cgan"]}},
        },
        preset.name,
    )
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


def test_zhang_says_that_its_vigilance_trials_are_left_out():
    assert any(
        "vigilance" in text and text.startswith("LEFT OUT") for text in load_preset("zhang2016").departures
    )


def test_an_unknown_preset_is_refused_with_the_nearest_name():
    with pytest.raises(
        UserError, match=r"--preset pix2pix2018: no such preset\. Did you mean 'pix2pix2017'\?"
    ):
        load_preset("pix2pix2018")
