"""Attention checks: where they stand, what they show, and how obvious fakes are made."""

import collections
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from studies.checks import check_positions
from studies.design import Study, load_study, parse_study
from studies.errors import UserError
from studies.plan import Place, allocate, plan_session, summarise
from studies.records import CHECK, REAL
from studies.stimuli import Bundle, build_bundle, load_bundle
from studies.stimuli.obvious import obvious_fake
from tests.made_up_study import make_study


def made(folder: Path, **settings: Any) -> tuple[Study, Bundle, list[Place]]:
    tables: dict[str, Any] = {
        "study": {"participants_per_condition": 5},
        "protocol": {"practice": 2, "scored": 10, "reserve": 2},
        "checks": {"share": 0.2},
    }
    for name in set(tables) & set(settings):
        settings[name] = tables[name] | settings[name]
    make_study(folder, **{"inputs": 60, **tables, **settings})
    study, bundle = load_study(folder), load_bundle(folder)
    return study, bundle, allocate(study, bundle.stimuli)


@pytest.mark.parametrize(
    ("share", "scored", "checks"), [(0.1, 40, 4), (0.0, 40, 0), (0.1, 4, 0), (0.5, 4, 2)]
)
def test_a_share_of_the_scored_trials_is_added_on_top(share: float, scored: int, checks: int) -> None:
    tables: dict[str, Any] = {
        "study": {"id": "s"},
        "protocol": {"practice": 10, "scored": scored},
        "checks": {"share": share},
        "reference": {"images": "real"},
        "conditions": {"a": {"images": ["a"]}},
    }
    study = parse_study(tables, "here")
    assert (study.checks_per_session, study.main_trials) == (checks, scored + checks)
    assert study.trials_per_session == 10 + scored + checks


def test_more_than_one_check_for_two_scored_trials_is_refused() -> None:
    tables = {"study": {"id": "s"}, "checks": {"share": 0.6}, "reference": {"images": "r"}, "conditions": {}}
    with pytest.raises(
        UserError, match=r"here: \[checks\] share = 0\.6: Input should be less than or equal to 0\.5"
    ):
        parse_study(tables, "here")


def test_checks_never_follow_each_other_and_take_every_position_equally_often() -> None:
    taken: collections.Counter[int] = collections.Counter()
    for place in range(100):
        positions = check_positions(3, place, 40, 4)
        assert len(set(positions)) == 4
        taken.update(positions)
    assert set(taken) == set(range(40))
    assert set(taken.values()) == {10}
    assert check_positions(3, 7, 40, 4) == check_positions(3, 7, 40, 4) != check_positions(4, 7, 40, 4)


@pytest.mark.parametrize("pairing", ["different", "same"])
def test_a_check_shows_an_obvious_fake_and_a_real_image_of_inputs_that_the_session_does_not_show_otherwise(
    tmp_path: Path, pairing: str
) -> None:
    study, bundle, places = made(tmp_path / "s", study={"pairing": pairing, "participants_per_condition": 5})
    for place in places:
        plan = plan_session(study, bundle.stimuli, place)
        phases = [trial.phase for trial in plan.trials]
        assert phases[:2] == ["practice"] * 2
        assert collections.Counter(phases[2:]) == {"scored": 10, "check": 2}
        assert [trial.trial_index for trial in plan.trials] == list(range(14))
        others = {
            slot.source_id
            for trial in (*plan.trials, *plan.reserve)
            if trial.phase != "check"
            for slot in trial.slots
        }
        for trial in plan.trials:
            if trial.phase == "check":
                assert {slot.condition for slot in trial.slots} == {CHECK, REAL}
                assert others.isdisjoint(slot.source_id for slot in trial.slots)
                assert len({slot.source_id for slot in trial.slots}) == (1 if pairing == "same" else 2)
                assert trial.slots[(trial.target or 0) - 1].condition == CHECK
    assert summarise(study, bundle.stimuli, places).repeating_checks == 0


def test_equal_k_have_equal_checks_and_the_scored_trials_are_those_of_a_study_without_checks(
    tmp_path: Path,
) -> None:
    _, _, places = made(tmp_path / "with")
    _, _, plain = made(tmp_path / "without", checks={"share": 0.0})
    checks = collections.defaultdict(list)
    for place, other in zip(places, plain, strict=True):
        assert tuple(one for one in place.pairings if one.phase != "check") == other.pairings
        checks[place.index].append([(n, one) for n, one in enumerate(place.pairings) if one.phase == "check"])
    assert all(one == other for one, other in checks.values())


def test_order_and_side_of_checks_are_even_within_a_session(tmp_path: Path) -> None:
    _, _, places = made(tmp_path / "s", checks={"share": 0.4})
    for place in places:
        checks = [one for one in place.pairings if one.phase == "check"]
        assert sum(one.fake_first for one in checks) == sum(one.fake_left for one in checks) == 2


def test_a_small_pool_gives_its_least_bad_inputs_and_says_so(tmp_path: Path) -> None:
    study, bundle, places = made(tmp_path / "s", inputs=16)
    summary = summarise(study, bundle.stimuli, places)
    assert summary.repeating_checks == 2
    (warning,) = [text for text in summary.warnings if "attention checks" in text]
    assert "16 inputs are too few" in warning
    assert "up to 2 of its 2 checks" in warning
    for place in places:  # inputs that only a stand-in might show come before those that a trial shows
        shown = {one.source_id for one in place.pairings if one.phase in ("practice", "scored")}
        shown |= {one.partner_id for one in place.pairings if one.phase in ("practice", "scored")}
        first = next(one for one in place.pairings if one.phase == "check")
        assert (first.source_id not in shown) == bool({str(n) for n in range(16)} - shown)


def test_the_files_of_checks_differ_from_the_others_in_nothing_but_the_picture(tmp_path: Path) -> None:
    _, bundle, _ = made(tmp_path / "s")
    files = {image.condition: tmp_path / "s" / "stimuli" / image.file for image in bundle.stimuli}
    assert set(files) == {REAL, "alpha", "beta", CHECK}
    assert len({path.stat().st_size for path in files.values()}) == 1
    assert len({len(path.stem) for path in files.values()}) == 1
    assert {one.condition for one in bundle.near_duplicates} == {"alpha", "beta"}
    assert not [path for path in files.values() if "check" in path.name]


def test_the_same_study_makes_the_same_obvious_fakes(tmp_path: Path) -> None:
    assert made(tmp_path / "one")[1].digest == made(tmp_path / "two")[1].digest


@pytest.mark.parametrize("picture", ["flat", "grey", "stripes"])
def test_an_obvious_fake_is_glaring_whatever_the_picture(picture: str) -> None:
    image = Image.new("RGB", (65, 48), (200, 200, 200))
    if picture == "grey":
        image = Image.linear_gradient("L").resize((65, 48)).convert("RGB")
    if picture == "stripes":
        image.putdata([(255, 0, 0) if x % 8 < 4 else (0, 90, 255) for _ in range(48) for x in range(65)])
    fake = obvious_fake(image, random.Random(1))
    assert fake.size == image.size
    saturation = ImageStat.Stat(fake.convert("HSV")).mean[1]
    assert saturation > 200
    difference = ImageStat.Stat(ImageChops.difference(image, fake)).mean
    assert sum(difference) / 3 > 50
    hues = {fake.convert("HSV").getpixel((x * 65 // 6 + 4, 4))[0] // 8 for x in range(6)}  # type: ignore[index]
    assert len(hues) >= 5


def test_a_folder_of_obvious_fakes_is_used_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    (folder / "images" / "odd").mkdir(parents=True)
    for number in (1, 5, 9, 999):
        Image.new("RGB", (32, 32), (number % 256, 255, 0)).save(folder / "images" / "odd" / f"{number}.png")
    study, bundle, places = made(folder, checks={"share": 0.2, "images": "images/odd"})
    assert {image.source_id for image in bundle.stimuli if image.condition == CHECK} == {"1", "5", "9"}
    assert {one.source_id for place in places for one in place.pairings if one.phase == "check"} == {
        "1",
        "5",
        "9",
    }
    changed = study.model_copy(update={"checks": study.checks.model_copy(update={"images": ""})})
    with pytest.raises(UserError, match=r"built with \[checks\] images = 'images/odd', study\.toml now says"):
        load_bundle(folder, study=changed)


def test_a_folder_with_too_few_obvious_fakes_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    (folder / "images" / "odd").mkdir(parents=True)
    for number in (1, 999):
        Image.new("RGB", (32, 32), (number % 256, 255, 0)).save(folder / "images" / "odd" / f"{number}.png")
    with pytest.raises(
        UserError, match="1 of its 2 images are named as an input, and a session has 2 checks"
    ):
        made(folder, checks={"share": 0.2, "images": "images/odd"})


def test_the_name_of_the_checks_is_not_free_for_an_algorithm() -> None:
    tables = {"study": {"id": "s"}, "reference": {"images": "r"}, "conditions": {"check": {"images": ["a"]}}}
    with pytest.raises(UserError, match="'check' is the name of the attention checks"):
        parse_study(tables, "here")


def test_checks_that_cannot_be_shown_for_want_of_stimuli_are_refused(tmp_path: Path) -> None:
    study, bundle, _ = made(tmp_path / "s")
    without = [image for image in bundle.stimuli if image.condition != CHECK]
    with pytest.raises(UserError, match="no images for attention checks"):
        allocate(study, without)


def test_a_bundle_built_before_checks_were_asked_for_is_refused(tmp_path: Path) -> None:
    study, _, _ = made(tmp_path / "s", checks={"share": 0.0})
    asked = study.model_copy(update={"checks": study.checks.model_copy(update={"share": 0.2})})
    with pytest.raises(UserError, match=r"built with \[checks\] images = None"):
        load_bundle(tmp_path / "s", study=asked)
    assert build_bundle(asked, tmp_path / "s").stimuli[-1].condition == CHECK
