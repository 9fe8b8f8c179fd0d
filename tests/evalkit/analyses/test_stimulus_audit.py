"""The audit finds leaks that were put in, and finds none where pictures were only split at random."""

import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from evalkit.analyses import stimulus_audit
from evalkit.analyses.stimulus_audit import Audit, audit_measured, audit_study
from evalkit.results import Estimate, HypothesisTest, read_results, write_results
from studies.audit import Measured, picture_properties
from studies.errors import UserError
from tests.audited_study import picture, split_study


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = random.Random(77)
    return [picture(rng) for _ in range(80)]


def warned(audit: Audit) -> set[str]:
    return {finding.name for finding in audit.warnings}


def test_a_random_split_of_one_set_of_pictures_warns_of_nothing(tmp_path: Path, pictures):
    audit = audit_study(split_study(tmp_path / "null", pictures, random.Random(4)))
    assert audit.leaks == {}
    assert warned(audit) == set()
    assert audit.public == ""
    (together,) = [finding for finding in audit.findings if finding.kind == "together"]
    assert together.interval is not None
    assert together.interval.low < 0.5 < together.interval.high


LEAKS = {
    "luminance": lambda image: ImageEnhance.Brightness(image).enhance(1.35),
    "border_step": lambda image: with_border(image),
    "sharpness": lambda image: ImageEnhance.Sharpness(image).enhance(0.6),
}


def with_border(image: Image.Image) -> Image.Image:
    """The outermost pixels a little darker, as padding leaves them."""
    darker = ImageEnhance.Brightness(image).enhance(0.8)
    darker.paste(image.crop((1, 1, image.width - 1, image.height - 1)), (1, 1))
    return darker


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_that_was_put_in_is_found_by_its_name_and_by_the_classifier(
    tmp_path: Path, pictures, name: str
):
    audit = audit_study(split_study(tmp_path / "leak", pictures, random.Random(4), LEAKS[name]))
    assert {name, "together"} <= warned(audit)
    assert audit.leaks == {}


def test_five_per_cent_of_brightness_are_found_where_the_fakes_are_copies_of_what_was_split():
    """Real and fake of one input share their content, as they do in a study; then little is needed."""
    rng = random.Random(8)
    measured = []
    for number in range(100):
        image = picture(rng)
        brighter = ImageEnhance.Brightness(image).enhance(1.05)
        measured += [
            Measured("real", 0, str(number), {}, picture_properties(image)),
            Measured("split", 0, str(number), {}, picture_properties(brighter)),
        ]
    found = {finding.name for finding in audit_measured(measured, ["split"]) if finding.warns}
    assert "luminance" in found


def test_the_originals_are_looked_at_before_the_bundle_and_their_names_and_sizes_reported(
    tmp_path: Path, pictures
):
    folder = split_study(tmp_path / "s", pictures, random.Random(4))
    before = {f.name: f for f in audit_study(folder).findings if f.stage == "originals" and f.kind == "file"}
    assert before["width_px"].auc is not None
    assert before["width_px"].auc.value == 0.5
    assert before["size_bytes"].auc is not None
    assert before["size_bytes"].auc.value != 0.5
    assert "modified_s" in before
    assert not any(finding.warns for finding in before.values())


def test_originals_that_are_gone_are_said_and_the_bundle_is_audited_all_the_same(tmp_path: Path, pictures):
    folder = split_study(tmp_path / "s", pictures[:24], random.Random(4))
    (folder / "images" / "real" / "0.png").unlink()
    audit = audit_study(folder)
    assert "0.png: cannot be read" in audit.notes[0]
    assert {finding.stage for finding in audit.findings} == {"bundle"}


def test_a_bundle_that_was_changed_after_it_was_built_is_not_audited_under_its_digest(
    tmp_path: Path, pictures
):
    folder = split_study(tmp_path / "s", pictures[:24], random.Random(4))
    files = sorted((folder / "stimuli").glob("*.png"))
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(UserError, match="changed after the bundle was built"):
        audit_study(folder)


def test_the_findings_are_records_with_interval_size_method_and_the_digest_of_the_bundle(
    tmp_path: Path, pictures
):
    audit = audit_study(split_study(tmp_path / "s", pictures[:24], random.Random(4)))
    records = list(audit.records())
    write_results(tmp_path / "audit.jsonl", records)
    assert read_results(tmp_path / "audit.jsonl") == records
    assert {record.provenance.digests["stimuli"] for record in records} == {audit.digest}
    luminance = [
        r for r in records if r.key == "audit_picture_luminance" and r.detail == "as participants get it"
    ]
    estimate, test = luminance
    assert isinstance(estimate, Estimate)
    assert isinstance(test, HypothesisTest)
    assert estimate.interval is not None
    assert estimate.value is not None
    assert estimate.interval.low <= estimate.value <= estimate.interval.high
    assert estimate.n == {"reals": 12, "fakes": 12, "inputs": 12}
    assert test.p_adjusted is not None
    assert test.p_value is not None
    assert test.p_adjusted >= test.p_value


def test_a_few_inputs_are_too_few_for_a_classifier_and_that_is_said(tmp_path: Path, pictures):
    settings = {"protocol": {"practice": 1, "scored": 3}}
    audit = audit_study(split_study(tmp_path / "s", pictures[:16], random.Random(4), **settings))
    (together,) = [finding for finding in audit.findings if finding.kind == "together"]
    assert (together.auc, together.note) == (None, "fewer than 10 inputs")


def test_over_random_splits_the_intervals_contain_one_half_as_often_as_they_say_and_warnings_are_rare(
    pictures,
):
    """200 splits of the same pictures into real and "fake": 95 % intervals, and at most 5 % of families warn."""
    rng = random.Random(123)
    values = [picture_properties(image) for image in pictures]
    covered: Counter[str] = Counter()
    families = 0
    for _ in range(200):
        order = rng.sample(range(80), 80)
        measured = [
            Measured("real" if at < 40 else "split", 0, str(at % 40), {}, values[index])
            for at, index in enumerate(order)
        ]
        findings = audit_measured(measured, ["split"])
        families += any(finding.warns for finding in findings)
        for finding in findings:
            assert finding.interval is not None
            covered[finding.name] += finding.interval.low <= 0.5 <= finding.interval.high
    assert all(0.89 <= count / 200 <= 0.995 for count in covered.values()), covered
    assert families / 200 <= 0.10


@pytest.mark.reliability
@pytest.mark.shared_data
def test_over_thousands_of_splits_of_photographs_the_intervals_keep_their_word(shared_data: Path):
    """Two sets of real photographs, split at random; the classifier on fewer splits. docs/audit.md has the table."""
    sets = {
        "facades": sorted((shared_data / "results/facades_pix2pix/test_latest/images").glob("*_real_B.png")),
        "streets": sorted((shared_data / "camvid").glob("*/images/*.jpg"))[::5],
    }
    table = []
    for name, paths in sets.items():
        values = [picture_properties(Image.open(path).convert("RGB")) for path in paths]
        rng, half, splits, tried = random.Random(name), len(values) // 2, 2000, 300
        inside: Counter[str] = Counter()
        families = 0
        for number in range(splits):
            order = rng.sample(range(len(values)), 2 * half)
            measured = [
                Measured("real" if at < half else "split", 0, str(at % half), {}, values[index])
                for at, index in enumerate(order)
            ]
            findings = audit_measured(measured, ["split"])
            families += any(finding.warns for finding in findings)
            if number < tried:
                findings += stimulus_audit._together(measured, ["split"])
            for finding in findings:
                assert finding.interval is not None
                inside[finding.name] += finding.interval.low <= 0.5 <= finding.interval.high
                inside[f"{finding.name} warns"] += finding.warns
        shares = {key: inside[key] / splits for key in values[0]}
        together = inside["together"] / tried, inside["together warns"] / tried
        table.append(
            f"{name}, {half} inputs: inside {shares}; families that warn {families / splits}; together {together}"
        )
        assert all(0.925 <= share <= 0.975 for share in shares.values()), table
        assert families / splits <= 0.065, table
        assert together[1] <= 0.06, table
    sys.stdout.write("\n".join(table) + "\n")
