import numpy as np
import pytest

from evalkit.metrics.base import Feature
from evalkit.metrics.cache import Cache
from evalkit.metrics.extract import FINGERPRINT, Extraction
from evalkit.metrics.pictures import Picture, PictureSet, pixel_digest_of
from studies.errors import UserError

SIZE_PX = 8


class Watched:
    """Pictures that count how often they are read, and a feature that counts how often it is computed."""

    def __init__(self, count: int) -> None:
        rng = np.random.default_rng(3)
        self.arrays = rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), np.uint8)
        self.read: list[int] = []
        self.batches: list[int] = []

    def pictures(self) -> PictureSet:
        def reader(number: int):
            def read():
                self.read.append(number)
                return self.arrays[number]

            return read

        ids = [f"{number:03}" for number in range(len(self.arrays))]
        made = (
            Picture(ids[n], pixel_digest_of(self.arrays[n]), reader(n), f"{ids[n]}.png")
            for n in range(len(ids))
        )
        return PictureSet("watched", tuple(made))

    def mean(self, **changes: object) -> Feature:
        def extractor(items):
            self.batches.append(len(items))
            return [np.array([item[0].mean(), len(item)]) for item in items]

        settings = {"name": "mean", "batch_size": 4, "settings": {"recipe": "1"}, **changes}
        return Feature(load=lambda device: extractor, **settings)


def singles(pictures: PictureSet) -> list[tuple[Picture, ...]]:
    return [(picture,) for picture in pictures.pictures]


def extracted(feature: Feature, items, cache=None) -> np.ndarray:
    extraction = Extraction(cache)
    extraction.ask(feature, items)
    extraction.run()
    return extraction.result(feature, items)


def test_rows_come_in_the_order_asked_for():
    watched = Watched(10)
    items = singles(watched.pictures())[::-1]
    assert np.allclose(extracted(watched.mean(), items)[:, 0], watched.arrays[::-1].mean(axis=(1, 2, 3)))
    assert watched.batches == [4, 4, 2]


def test_every_image_is_read_once_however_many_features_want_it():
    watched = Watched(6)
    items, others = singles(watched.pictures()), watched.mean(name="other", batch_size=5)
    extraction = Extraction(None)
    for feature in (watched.mean(), others, FINGERPRINT):
        extraction.ask(feature, items)
    extraction.run()
    assert sorted(watched.read) == list(range(6))


def test_a_changed_file_recomputes_one_file(tmp_path):
    watched = Watched(6)
    extracted(watched.mean(), singles(watched.pictures()), Cache(tmp_path / "cache.sqlite"))
    watched.read.clear()
    watched.batches.clear()
    watched.arrays[2] = 0
    found = extracted(watched.mean(), singles(watched.pictures()), Cache(tmp_path / "cache.sqlite"))
    assert watched.read == [2]
    assert watched.batches == [1]
    assert found[2, 0] == 0


@pytest.mark.parametrize("change", [{"settings": {"recipe": "2"}}, {"name": "another"}])
def test_another_recipe_or_name_is_computed_anew(tmp_path, change):
    watched = Watched(3)
    extracted(watched.mean(), singles(watched.pictures()), Cache(tmp_path / "cache.sqlite"))
    watched.read.clear()
    extracted(watched.mean(**change), singles(watched.pictures()), Cache(tmp_path / "cache.sqlite"))
    assert len(watched.read) == 3


def test_the_same_image_twice_is_computed_once_and_counted_twice():
    watched = Watched(4)
    watched.arrays[3] = watched.arrays[0]
    items = singles(watched.pictures())
    plain, summed = watched.mean(), watched.mean(name="sum", summed=True)
    assert extracted(plain, items).shape == (4, 2)
    assert sum(watched.batches) == 3
    assert np.allclose(extracted(summed, items)[0], watched.arrays.mean(axis=(1, 2, 3)).sum())


def test_a_sum_is_kept_for_its_set_whatever_the_order(tmp_path):
    watched, cache = Watched(5), Cache(tmp_path / "cache.sqlite")
    items = singles(watched.pictures())
    first = extracted(watched.mean(summed=True), items, cache)
    watched.read.clear()
    assert np.array_equal(extracted(watched.mean(summed=True), items[::-1], cache), first)
    assert not watched.read
    extracted(watched.mean(summed=True), items[:4], cache)
    assert len(watched.read) == 4


def test_what_was_computed_before_an_interruption_is_kept(tmp_path):
    watched = Watched(12)
    broken = watched.pictures()

    def stop():
        raise KeyboardInterrupt

    pictures = list(broken.pictures)
    pictures[9] = Picture("009", "f" * 64, stop, "009.png")
    with pytest.raises(KeyboardInterrupt):
        extracted(watched.mean(), [(one,) for one in pictures], Cache(tmp_path / "cache.sqlite"))
    watched.batches.clear()
    extracted(watched.mean(), singles(watched.pictures()), Cache(tmp_path / "cache.sqlite"))
    assert sum(watched.batches) <= 4  # two whole batches of four were kept


def test_an_image_that_cannot_be_read_ends_the_pass_with_its_name(tmp_path):
    watched = Watched(3)

    def fail():
        raise UserError("broken.png: the file is damaged.")

    items = [*singles(watched.pictures()), (Picture("x", "e" * 64, fail, "broken.png"),)]
    with pytest.raises(UserError, match=r"broken\.png"):
        extracted(watched.mean(), items)


def test_a_feature_that_refuses_its_images_spoils_no_other():
    watched = Watched(4)
    items = singles(watched.pictures())

    def refuse(items):
        raise UserError("too small.")

    refusing = Feature("refusing", {}, lambda device: refuse)
    extraction = Extraction(None)
    for feature in (refusing, watched.mean()):
        extraction.ask(feature, items)
    extraction.run()
    with pytest.raises(UserError, match=r"too small\."):
        extraction.result(refusing, items)
    assert extraction.result(watched.mean(), items).shape == (4, 2)


def test_parts_of_different_size_are_refused_with_both_files_named():
    watched = Watched(2)
    small = Picture("000", "a" * 64, lambda: np.zeros((4, 6, 3), np.uint8), "small.png")
    pair = [(watched.pictures().pictures[0], small)]
    with pytest.raises(UserError, match=r"small\.png is 6x4 px, 000\.png is 8x8 px"):
        extracted(watched.mean(one_size=True), pair)


def test_the_fingerprint_is_the_digest_of_the_pixels():
    watched = Watched(2)
    pictures = watched.pictures().pictures
    extraction = Extraction(None)
    extraction.ask(FINGERPRINT, [(one,) for one in pictures])
    extraction.run()
    assert extraction.fingerprints(pictures) == [(pixel_digest_of(array), "") for array in watched.arrays]


def test_progress_counts_images_to_the_end():
    told = []
    watched = Watched(5)
    extraction = Extraction(None, on_progress=told.append)
    extraction.ask(watched.mean(), singles(watched.pictures()))
    extraction.run()
    assert (told[-1].done, told[-1].total) == (5, 5)
    assert told[-1].images_per_second > 0
    assert told[-1].seconds_left == 0
