"""Presets: what the papers' runs are made of, before anything is trained."""

import ast
import dataclasses
import inspect
import re

import pytest
import torch
from PIL import Image

from generators import config as config_module
from generators.config import RunConfig, override, section_from_dict, to_dict
from generators.data import TASKS
from generators.methods import METHODS, build_method, cyclegan, perceptual, perceptual_objective, pix2pix
from generators.networks import count_parameters
from generators.presets import ABOUT, PRESETS, load_preset, new_run
from studies.errors import UserError

SETTINGS = (
    pix2pix.Pix2PixSettings,
    cyclegan.CycleGANSettings,
    perceptual_objective.ObjectiveSettings,
    perceptual.PerceptualSettings,
)
# Counted from models/networks.py of the reference: batch norm leaves no bias in a U-Net's convolutions but the last.
U_NET_256, RESNET_9, RESNET_6 = 54_413_955, 11_378_179, 7_837_699
PATCH_70_OF_PAIRS, PATCH_70 = 2_768_705, 2_764_737


@pytest.fixture(params=PRESETS)
def preset(request) -> RunConfig:
    return PRESETS[request.param]


def built(config: RunConfig):
    with torch.device("meta"):
        return build_method(styled(config), TASKS[config.data.task](config.data))


def styled(config: RunConfig) -> RunConfig:
    return override(config, ["style_image=style.png"]) if config.preset == "perceptual_style" else config


def test_a_preset_carries_its_name_and_settings_of_its_method(preset):
    assert load_preset(preset.preset) is preset
    assert isinstance(preset.settings, METHODS[preset.method].Settings)
    assert preset.preset.startswith(preset.method)
    assert preset.location == ""


def test_a_preset_says_what_it_is_and_names_its_source(preset):
    assert re.search(r"Source: \S", ABOUT[preset.preset])


def test_a_preset_survives_its_file(preset):
    sections = to_dict(preset)
    for name, section in preset.sections.items():
        assert section_from_dict(type(section), sections[name], name) == section


def test_setting_keys_are_unique_over_the_sections(preset):
    keys = [one.name for section in preset.sections.values() for one in dataclasses.fields(section)]
    assert len(keys) == len(set(keys))


def test_sizes_and_lengths_of_a_preset_fit_together(preset):
    data, training = preset.data, preset.training
    assert data.load_size_px == 0 or data.load_size_px >= data.crop_size_px
    assert data.display_size_px <= (data.test_size_px or data.crop_size_px)
    assert training.total_images % training.batch_size == 0
    assert training.decay_images <= training.total_images
    assert (data.task == "unpaired") == METHODS[preset.method].unpaired


def test_a_preset_builds_its_networks(preset):
    assert list(built(preset).players())


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("pix2pix_facades", {"discriminator": PATCH_70_OF_PAIRS, "generator": U_NET_256}),
        ("cyclegan_maps", {"generators": 2 * RESNET_9, "discriminators": 2 * PATCH_70}),
        ("cyclegan_cityscapes", {"generators": 2 * RESNET_6, "discriminators": 2 * PATCH_70}),
    ],
)
def test_networks_have_as_many_parameters_as_the_reference(name, counts):
    assert {key: count_parameters(one) for key, one in built(PRESETS[name]).players().items()} == counts


def test_lengths_are_epochs_times_images():
    assert PRESETS["pix2pix_facades"].training.total_images == 80_000
    assert PRESETS["pix2pix_cityscapes"].training.total_images == 595_000
    maps = PRESETS["cyclegan_maps"].training
    assert (maps.total_images, maps.decay_images) == (219_200, 109_600)
    assert PRESETS["perceptual_style"].training.total_images == 160_000
    assert PRESETS["perceptual_super_resolution_x4"].training.total_images == 800_000


def test_the_learning_rate_falls_in_cyclegan_only(preset):
    assert bool(preset.training.decay_images) == (preset.method == "cyclegan")


def test_the_identity_loss_is_on_where_paintings_become_photos_and_nowhere_else():
    weights = {
        name: one.settings.lambda_identity for name, one in PRESETS.items() if one.method == "cyclegan"
    }
    painters = {f"cyclegan_{who}2photo" for who in ("monet", "cezanne", "ukiyoe", "vangogh")}
    assert {name for name, weight in weights.items() if weight} == painters
    assert {weights[name] for name in painters} == {0.5}


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(
        UserError,
        match=r"^--preset pix2pix_facade: no such preset\. Did you mean 'pix2pix_facades'\? "
        r"`evalkit train --presets` lists all\.$",
    ):
        load_preset("pix2pix_facade")


def test_a_style_image_is_found_from_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = ["style_image=style.png", "task=photos"]
    with pytest.raises(UserError, match=r"style_image: .*style\.png: no such file"):
        new_run("perceptual_style", "photos", wanted)
    Image.new("RGB", (8, 8)).save("style.png")
    config = new_run("perceptual_style", "photos", wanted)
    assert config.settings.style_image == str(tmp_path / "style.png")
    assert new_run("perceptual_toy", "photos").settings.style_image == ""


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("total_images=4_000", 4000),
        ("mirror=False", False),
        ("learning_rate = 1e-3", 0.001),
        ("tv_weight=0", 0.0),
        ("scale_factor=8", 8),
        ("precision=bf16", "bf16"),
        ("style_layers=relu1_1, relu2_2", ("relu1_1", "relu2_2")),
        ("style_layers=", ()),
        ("style_image=a=b.png", "a=b.png"),
    ],
)
def test_a_set_value_is_read_as_its_key_has_it(assignment, value):
    config = override(PRESETS["perceptual_style"], [assignment])
    key = assignment.partition("=")[0].strip()
    (found,) = [getattr(one, key) for one in config.sections.values() if hasattr(one, key)]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("total_images", "--set total_images: write key=value"),
        ("total_images=", "--set total_images=: a whole number is needed."),
        ("total_images=4.5", "--set total_images=4.5: a whole number is needed."),
        ("total_images=-4", "a whole number of at least 0 is needed."),
        ("learning_rate=nan", "a number of at least 0 is needed."),
        ("learning_rate=fast", "--set learning_rate=fast: a number is needed."),
        ("mirror=1", "--set mirror=1: allowed are true and false."),
        ("scale_factor=2", "--set scale_factor=2: allowed are 4, 8."),
        ("style_layers=relu1_1,relu9_9", "--set style_layers=relu9_9: allowed are relu1_1, "),
        ("beta1=1", "--set beta1=1: beta1 = 1 and beta2 = 0.999 must be below 1."),
        ("styl_image=x", "--set styl_image: no such key. Did you mean 'style_image'?"),
    ],
)
def test_a_set_value_that_cannot_be_is_refused_with_what_is_allowed(assignment, message):
    with pytest.raises(UserError, match=re.escape(message)):
        override(PRESETS["perceptual_style"], [assignment])


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_of_a_method_has_a_docstring_with_a_source(kind):
    for name, doc in field_docstrings(kind).items():
        assert "Source: " in doc, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("kind", [config_module.DataSettings, config_module.TrainingSettings])
def test_every_other_setting_has_a_docstring(kind):
    assert all(field_docstrings(kind).values())


def field_docstrings(kind: type) -> dict[str, str]:
    """Of the fields that a dataclass itself defines."""
    body = ast.parse(inspect.getsource(kind)).body[0].body
    found = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign):
            value = getattr(getattr(following, "value", None), "value", None)
            assert isinstance(value, str), f"{kind.__name__}.{statement.target.id} has no docstring"
            found[statement.target.id] = value
    return found
