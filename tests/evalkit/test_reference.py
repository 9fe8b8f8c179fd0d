"""Published tables: every number has its source, nothing unverified, and what must agree agrees."""

import doctest
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from evalkit.reference import between_studies, between_study_shifts, not_comparable, published, table, tables
from evalkit.reference.page import markdown
from evalkit.reference.published import PAPERS, parse_printed
from generators.methods.pix2pix import Pix2Pix
from studies.errors import UserError
from studies.presets import preset_names

ROOT = Path(__file__).parents[2]
LOSSES = {"l1", "gan", "cgan", "l1_gan", "l1_cgan"}
NUMBERS = [number for one in tables() for number in one.numbers]


def values(key: str, method: str) -> list[float]:
    return [number.value for number in table(key).numbers if number.method == method]


def test_every_number_has_paper_version_place_dataset_quantity_and_mark_of_verification():
    assert len(NUMBERS) > 90
    for number in NUMBERS:
        assert all(
            (number.paper.authors, number.paper.title, number.paper.venue, number.where, number.dataset)
        )
        assert "arXiv:" in number.paper.version
        assert "→" in number.task
        assert number.verified == "read in the source"
        assert number.quantity.label
        assert number.quantity.about
        assert 0 < number.proportion < 1
        assert number.error is None or 0 < number.error < number.value


def test_an_error_never_stands_without_a_word_on_what_it_is():
    for one in tables():
        if any(number.error is not None for number in one.numbers):
            assert "not defined in the text" in one.uncertainty


def test_every_file_of_the_folder_is_read_and_every_key_is_used_once():
    there = {path.name for path in files("evalkit.reference").iterdir() if path.name.endswith(".toml")}
    assert there == {f"{name}.toml" for name in (*PAPERS, "between_studies", "quantities")}
    keys = [one.key for one in tables()]
    assert len(set(keys)) == len(keys)
    assert all(one.key.startswith(one.paper.key) for one in tables())
    used = {number.quantity.key for number in NUMBERS}
    quantities = tomllib.loads((ROOT / "evalkit/reference/quantities.toml").read_text(encoding="utf-8"))
    assert used == set(quantities)


def test_numbers_that_are_known_from_memory_only_are_not_shipped():
    """The baselines' errors and scores, and the rates of Zhang et al. by algorithm, were never verified."""
    for number in table("cyclegan2017_maps").numbers:
        assert (number.error is None) == (number.method != "CycleGAN")
    assert values("cyclegan2017_labels_to_photo", "Best of the four baselines") == [0.06]
    assert values("cyclegan2017_photo_to_labels", "Best of the four baselines") == [0.08]
    rates = [
        number for number in NUMBERS if number.paper.key == "zhang2016" and number.quantity.key == "fool_rate"
    ]
    assert [number.printed for number in rates] == ["32"]
    assert all(table(key).left_out for key in ("cyclegan2017_maps", "zhang2016_colorization"))


def test_the_loss_ablation_is_whole_and_bounded_by_the_ground_truth():
    rows = {number.condition for number in table("pix2pix2017_losses").numbers}
    assert rows == LOSSES | {"real"}
    for number in table("pix2pix2017_losses").numbers:
        ceiling = table("pix2pix2017_losses").number("real", number.quantity.key)
        assert number.value <= ceiling.value
    assert values("pix2pix2017_losses", "L1+cGAN") == [0.66, 0.23, 0.17]


def test_rows_that_are_the_same_network_in_two_tables_agree():
    assert values("pix2pix2017_receptive_fields", "70×70") == values("pix2pix2017_losses", "L1+cGAN")


def test_iou_is_below_class_accuracy_in_every_row():
    for one in tables():
        for _, cells in one.rows:
            by_key = {cell.quantity.key: cell.value for cell in cells if cell is not None}
            for kind in ("fcn", "label"):
                if f"{kind}_class_accuracy" in by_key:
                    assert by_key[f"{kind}_class_iou"] < by_key[f"{kind}_class_accuracy"]


def test_rows_name_losses_that_can_be_trained_and_presets_that_exist():
    assert {number.condition for number in NUMBERS} <= LOSSES | {"real", ""}
    assert set(Pix2Pix.Settings.__annotations__["loss"].__args__) >= LOSSES
    assert {one.preset for one in tables() if one.preset} <= set(preset_names())
    for one in tables():
        has_rates = any(quantity.key == "fool_rate" for quantity, _ in one.columns)
        assert bool(one.preset) == bool(one.participants) == has_rates


def test_percent_becomes_a_proportion_and_digits_stay_as_printed():
    number = table("pix2pix2017_maps").number("l1_cgan", "fool_rate", "map→photo")
    assert (number.printed, number.error, number.source) == (
        "18.9 ± 2.5",
        2.5,
        "Isola et al. 2017 (arXiv:1611.07004v3), Table 4",
    )
    assert number.proportion == pytest.approx(0.189)
    assert table("pix2pix2017_losses").number("L1+GAN", "fcn_class_accuracy").printed == "0.20"
    with pytest.raises(ValueError, match="no printed number"):
        parse_printed("18.9+-2.5")


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("pix2pix2017_loses", "Did you mean 'pix2pix2017_losses'?"),
        ("johnson2016", "Known: cyclegan2017_labels"),
    ],
)
def test_an_unknown_table_is_named_with_the_nearest(key, hint):
    with pytest.raises(UserError, match="no published table of that key") as error:
        table(key)
    assert hint in str(error.value)


def test_an_unknown_row_or_quantity_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"fool_rate of 'L1.GAN'\. Did you mean 'L1.cGAN'\?"):
        table("pix2pix2017_maps").number("L1+GAN", "fool_rate")
    with pytest.raises(UserError, match=r"Did you mean 'fool_rate'\?"):
        table("pix2pix2017_maps").number("L1", "fool_rates")
    with pytest.raises(UserError, match=r"fcn_pixel_accuracy of 'Best of the four baselines'\.$"):
        table("cyclegan2017_labels_to_photo").number("Best of the four baselines", "fcn_pixel_accuracy")


def test_the_shift_between_studies_is_computed_from_the_tables_and_no_finer_than_they_are():
    (rate,) = between_study_shifts("fool_rate")
    assert (rate.first.value, rate.second.value, rate.shift) == (32.0, 27.8, -4.0)
    shifts = {one.key: one.shift for one in between_study_shifts()}
    assert shifts == {
        "zhang2016_colorization": -4.0,
        "pix2pix_labels_to_photo": 0.05,
        "pix2pix_photo_to_labels": 0.02,
    }
    for one in between_study_shifts():
        assert one.first.paper != one.second.paper
        assert one.first.quantity == one.second.quantity
        assert one.differs
    assert "-4 points for the same method" in not_comparable()


def test_examples_in_the_docstrings_hold():
    for module in (published, between_studies):
        assert doctest.testmod(module).failed == 0


def test_the_page_of_the_documentation_is_what_the_data_says():
    page = (ROOT / "docs/reference-tables.md").read_text(encoding="utf-8")
    assert page == markdown(), "run: python -m evalkit.reference.page > docs/reference-tables.md"
    assert all(f"`{one.key}`" in page for one in tables())


def test_the_data_is_packed_into_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "reference/*.toml" in project["tool"]["setuptools"]["package-data"]["evalkit"]
