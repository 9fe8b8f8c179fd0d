"""Images as people have them: each is read as the study shows it, or refused with its name; none is passed over."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evalkit.metrics.base import Options
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.scoring import Candidate, Scored, score_sets
from studies.errors import UserError

NAMES = ("psnr", "ssim", "l1", "lab_histogram", "spectrum", "input_sensitivity_pixel")
SIDE_PX = 32


def photo(seed: int, height: int = SIDE_PX, width: int = SIDE_PX) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 4, width // 4, 3))
    return np.clip(coarse.repeat(4, 0).repeat(4, 1) + rng.normal(0, 8, (height, width, 3)), 0, 255).astype(
        np.uint8
    )


def write(folder: Path, images: dict[str, np.ndarray]) -> Path:
    for name, pixels in images.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


@pytest.fixture
def reals(tmp_path: Path) -> Path:
    return write(tmp_path / "real", {f"{number}.png": photo(number) for number in range(4)})


@pytest.fixture
def fakes(tmp_path: Path) -> Path:
    return write(tmp_path / "fake", {f"{number}.png": photo(number + 10) for number in range(4)})


def score(reals: Path, *fakes: Path, names=NAMES, as_stored: bool = False) -> Scored:
    candidates = [Candidate(folder.name, None, picture_set(folder, as_stored=as_stored)) for folder in fakes]
    return score_sets(picture_set(reals, as_stored=as_stored), candidates, names, Options())


def values(scored: Scored, condition: str = "fake") -> dict[str, float | None]:
    return {one.key: one.value for one in scored.scores if one.condition == condition and not one.detail}


def said(scored: Scored) -> str:
    return "\n".join(scored.left_out)


def test_plain_images_leave_nothing_out_and_give_no_notes_on_how_they_were_read(reals, fakes):
    scored = score(reals, fakes)
    assert scored.left_out == ()
    assert None not in values(scored).values()
    assert not any("read otherwise" in note for one in scored.scores for note in one.notes)


SAME_PIXELS: dict[str, Callable[[np.ndarray, Path], None]] = {
    "an upper-case extension": lambda pixels, path: Image.fromarray(pixels).save(path.with_suffix(".PNG")),
    "another lossless format": lambda pixels, path: Image.fromarray(pixels).save(path.with_suffix(".TIFF")),
    "an opaque alpha channel": lambda pixels, path: Image.fromarray(pixels).convert("RGBA").save(path),
    "an sRGB chunk and text": lambda pixels, path: Image.fromarray(pixels).save(path, dpi=(72, 72)),
}


@pytest.mark.parametrize("way", SAME_PIXELS)
def test_files_that_hold_the_same_pixels_in_another_way_give_the_same_scores(reals, fakes, tmp_path, way):
    other = tmp_path / "other" / "fake"
    other.mkdir(parents=True)
    for path in fakes.glob("*.png"):
        SAME_PIXELS[way](np.asarray(Image.open(path)), other / path.name)
    assert values(score(reals, other)) == values(score(reals, fakes))


def test_nested_folders_are_read_whole_and_paired_by_subfolder_and_name(reals, fakes, tmp_path):
    nested = {}
    for folder in (reals, fakes):
        for path in folder.glob("*.png"):
            place = (
                tmp_path / "nested" / folder.name / ("zurich" if int(path.stem) < 2 else "ulm") / path.name
            )
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        nested[folder.name] = tmp_path / "nested" / folder.name
    found, plain = score(nested["real"], nested["fake"]), score(reals, fakes)
    assert found.scores[0].n == {"reals": 4, "fakes": 4}
    assert values(found) == pytest.approx(values(plain), rel=1e-12)


def test_grayscale_and_palette_images_count_as_the_colours_they_show(reals, fakes, tmp_path):
    for mode in ("L", "P", "1"):
        odd, plain = tmp_path / mode / "fake", tmp_path / mode / "plain" / "fake"
        odd.mkdir(parents=True)
        plain.mkdir(parents=True)
        for path in fakes.glob("*.png"):
            image = Image.open(path).convert(mode)
            image.save(odd / path.name)
            image.convert("RGB").save(plain / path.name)
        assert values(score(reals, odd)) == values(score(reals, plain)), mode


def test_16_bit_gray_is_scaled_where_other_tools_clip_it_and_the_scores_say_so(reals, fakes, tmp_path):
    deep, plain = tmp_path / "deep" / "fake", tmp_path / "plain" / "fake"
    deep.mkdir(parents=True)
    plain.mkdir(parents=True)
    for path in fakes.glob("*.png"):
        gray = np.asarray(Image.open(path).convert("L"))
        Image.fromarray(gray.astype(np.uint16) * 257).save(deep / path.name)
        Image.fromarray(gray).save(plain / path.name)
    scored = score(reals, deep)
    assert values(scored) == values(score(reals, plain))
    assert all(
        "4 of the fakes were read otherwise than other tools do, e.g. 0: 16-bit grayscale scaled to 8 bits"
        in one.notes
        for one in scored.scores
    )
    assert values(score(reals, deep, as_stored=True)) != values(scored)


def turned_sideways(fakes: Path, folder: Path) -> Path:
    """The same scenes by a camera that was turned: the file's pixels lie on their side, EXIF says so."""
    folder.mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in fakes.glob("*.png"):
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(folder / path.name, exif=exif)
    return folder


def test_exif_rotation_is_applied_and_said_and_left_alone_as_stored(reals, fakes, tmp_path):
    turned = turned_sideways(fakes, tmp_path / "turned" / "fake")
    scored = score(reals, turned)
    assert values(scored) == values(score(reals, fakes))
    assert any("turned upright by EXIF orientation" in note for note in scored.scores[0].notes)
    stored = score(reals, turned, as_stored=True)
    assert values(stored)["psnr"] != values(scored)["psnr"]
    assert not any("EXIF" in note for note in stored.scores[0].notes)


def truncated(path: Path) -> Path:
    jpeg = path.with_suffix(".jpg")
    Image.fromarray(photo(5, 64, 64)).save(jpeg)
    path.unlink()
    content = jpeg.read_bytes()
    jpeg.write_bytes(content[: len(content) // 2])
    return jpeg


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def text(path: Path) -> Path:
    path.write_text("this is no image")
    return path


def see_through(path: Path) -> Path:
    Image.new("RGBA", (SIDE_PX, SIDE_PX), (200, 10, 10, 120)).save(path)
    return path


def printed(path: Path) -> Path:
    jpeg = path.with_suffix(".jpg")
    Image.new("CMYK", (SIDE_PX, SIDE_PX), (0, 99, 99, 0)).save(jpeg)
    path.unlink()
    return jpeg


def moving(path: Path) -> Path:
    frames = [Image.fromarray(photo(seed)) for seed in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncated, "damaged or incomplete"),
        (empty, "not an image that can be read"),
        (text, "not an image that can be read"),
        (see_through, "partly transparent"),
        (printed, "CMYK without a colour profile"),
        (moving, "several frames"),
    ],
)
@pytest.mark.parametrize("side", ["real", "fake"])
def test_an_image_that_cannot_be_read_as_meant_ends_it_all_with_its_name(reals, fakes, spoil, words, side):
    spoilt = spoil({"real": reals, "fake": fakes}[side] / "2.png")
    with pytest.raises(UserError, match=words) as error:
        score(reals, fakes)
    assert str(spoilt) in str(error.value)


def test_a_truncated_jpeg_is_refused_as_stored_too(reals, fakes):
    spoilt = truncated(fakes / "2.png")
    with pytest.raises(UserError) as error:
        score(reals, fakes, as_stored=True)
    assert str(spoilt) in str(error.value)


def test_two_files_for_one_input_are_refused_with_both_names(reals, fakes):
    shutil.copy(fakes / "2.png", fakes / "2.bmp")
    with pytest.raises(UserError, match=r"2\.bmp and 2\.png both stand for input '2'"):
        score(reals, fakes)


def test_more_reals_than_fakes_are_paired_by_name_and_all_count_where_nothing_is_paired(
    reals, fakes, tmp_path
):
    (fakes / "1.png").unlink()
    few = tmp_path / "few" / "real"
    few.mkdir(parents=True)
    for number in (0, 2, 3):
        shutil.copy(reals / f"{number}.png", few)
    found, matched = score(reals, fakes), score(few, fakes)
    assert found.scores[0].n == {"reals": 4, "fakes": 3}
    for key in ("psnr", "ssim", "l1"):
        assert values(found)[key] == values(matched)[key]
    assert values(found)["lab_intersection_l"] != values(matched)["lab_intersection_l"]


def test_a_fake_without_a_real_of_its_name_leaves_paired_metrics_out_by_name_and_the_others_in(reals, fakes):
    (fakes / "3.png").rename(fakes / "three.png")
    scored = score(reals, fakes)
    assert set(values(scored)) == {
        "lab_intersection_l",
        "lab_intersection_a",
        "lab_intersection_b",
        "high_frequency_gap_db",
        "input_sensitivity_pixel",
    }
    (line,) = scored.left_out
    assert line.startswith("psnr, ssim, l1 of fake: 1 of its 4 images has no real image of the same name")
    assert "'three'" in line
    assert "'3'" in line


def test_a_fake_of_another_size_leaves_out_what_needs_one_size_with_its_name_and_the_others_in(reals, fakes):
    Image.fromarray(photo(5, 16, 16)).save(fakes / "2.png")
    scored = score(reals, fakes)
    assert set(values(scored)) == {"lab_intersection_l", "lab_intersection_a", "lab_intersection_b"}
    assert f"{fakes / '2.png'} is 16x16 px, {reals / '2.png'} is 32x32 px" in said(scored)
    assert f"{fakes / '2.png'} is 16x16 px, {fakes / '0.png'} is 32x32 px" in said(scored)
    assert f"{fakes / '2.png'} is of 16 px, {fakes / '0.png'} of 32 px" in said(scored)
    assert len(scored.left_out) == 3


def test_one_set_of_odd_sizes_does_not_take_the_scores_of_another_with_it(reals, fakes, tmp_path):
    odd = tmp_path / "odd"
    shutil.copytree(fakes, odd)
    Image.fromarray(photo(5, 16, 24)).save(odd / "2.png")
    scored = score(reals, fakes, odd)
    assert values(scored, "fake") == values(score(reals, fakes), "fake")
    assert set(values(scored, "odd")) == {"lab_intersection_l", "lab_intersection_a", "lab_intersection_b"}
    assert all(" of odd: " in line for line in scored.left_out), said(scored)
    assert str(odd / "2.png") in next(line for line in scored.left_out if "high_frequency_gap_db" in line)


def test_sets_that_are_each_of_one_size_but_not_of_the_same_are_told_so(reals, tmp_path):
    small = write(tmp_path / "fake", {f"{number}.png": photo(number, 16, 16) for number in range(4)})
    scored = score(reals, small)
    assert "reals of 32 px against fakes of 16 px" in said(scored)
    assert "reals and fakes are of different sizes" in said(scored)
    assert set(values(scored)) == {"lab_intersection_l", "lab_intersection_a", "lab_intersection_b"}


def test_images_too_small_for_a_metric_have_no_value_and_a_note(tmp_path):
    tiny = [
        write(tmp_path / name, {f"{n}.png": photo(n + shift, 8, 8) for n in range(3)})
        for name, shift in (("real", 0), ("fake", 9))
    ]
    scored = score(*tiny, names=("ssim", "ms_ssim", "l1"))
    found = values(scored)
    assert found["ssim"] is found["ms_ssim"] is None
    assert found["l1"] is not None
    assert [one.notes for one in scored.scores if one.key == "ssim"] == [
        ("SSIM needs 11 px or more on the shorter side; 3 of 3 images are smaller.",)
    ]


def test_an_empty_folder_and_one_that_is_not_there_are_refused(reals, tmp_path):
    (tmp_path / "fake").mkdir()
    with pytest.raises(UserError, match=r"no images in .*fake"):
        score(reals, tmp_path / "fake")
    with pytest.raises(UserError, match="no such folder"):
        score(reals, tmp_path / "nowhere")


def test_one_image_on_each_side_has_the_scores_that_one_image_can_have(tmp_path):
    one = [write(tmp_path / name, {"0.png": photo(seed)}) for name, seed in (("real", 0), ("fake", 1))]
    scored = score(*one)
    assert set(values(scored)) == set(values(scored)) - {"input_sensitivity_pixel"}
    assert "two of each are the least" in said(scored)
    assert all(score.interval is None for score in scored.scores)


def test_mixed_sizes_are_fine_where_each_image_is_resized_by_itself(tmp_path):
    """Pool3 features: one batch holds several sizes; each image has the value it has alone."""
    sizes = ((32, 32), (48, 40), (64, 32), (20, 20))
    folders = [
        write(
            tmp_path / name,
            {f"{n}.png": photo(n + shift, *size) for n, size in enumerate(sizes, start=shift)},
        )
        for name, shift in (("real", 0), ("fake", 20))
    ]
    options = Options(random_weights=1, device="cpu")
    reals, fakes = map(picture_set, folders)
    scored = score_sets(reals, [Candidate("fake", None, fakes)], ["fid"], options)
    assert scored.left_out == ()
    assert values(scored)["fid"] is not None
