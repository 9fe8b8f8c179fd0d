from concurrent.futures import Future

import numpy as np
import pytest

from evalkit.metrics import decoding
from evalkit.metrics.base import Feature
from evalkit.metrics.cache import Cache
from evalkit.metrics.extract import FINGERPRINT, Extraction, Task
from evalkit.metrics.pictures import Picture, PictureSet, pixel_digest_of
from evalkit.metrics.team import ALONE, Team
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


def test_a_sum_that_two_ask_for_in_another_order_counts_each_image_once():
    watched = Watched(5)
    watched.arrays[4] = watched.arrays[0]
    items, feature = singles(watched.pictures()), watched.mean(summed=True)
    extraction = Extraction(None)
    extraction.ask(feature, items)
    extraction.ask(feature, items[::-1])
    extraction.run()
    for order in (items, items[::-1]):
        found = extraction.result(feature, order)[0]
        assert found == pytest.approx(watched.arrays.mean(axis=(1, 2, 3)).sum())


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


def test_a_pair_that_is_refused_is_named_by_both_its_files():
    one, other = Watched(2).pictures().pictures

    def refuse(items):
        raise UserError("an image in colour.")

    with pytest.raises(UserError, match=r"^000\.png and 001\.png: an image in colour\.$"):
        extracted(Feature("refusing", {}, lambda device: refuse), [(one, other)])


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [({"precision": "fp16"}, "leave out --precision fp16"), ({}, "look at the weights")],
)
def test_what_overflows_is_named_by_its_file_and_never_kept(tmp_path, settings, remedy):
    watched, cache = Watched(3), Cache(tmp_path / "cache.sqlite")
    items = singles(watched.pictures())

    def overflow(items):
        return [np.array([np.inf if item[0] is watched.arrays[1] else 1.0]) for item in items]

    watched.arrays = list(watched.arrays)
    features = [
        Feature("pool3", settings, lambda device: overflow, batch_size=2, finite=finite)
        for finite in (True, False)
    ]
    with pytest.raises(UserError, match=rf"^001\.png: pool3 is not finite; {remedy}"):
        extracted(features[0], items, cache)
    assert len(cache.features(features[0].key, [item[0].digest for item in items])) == 2
    assert np.isinf(extracted(features[1], items)[1, 0])


def test_parts_of_different_size_are_refused_with_both_files_named():
    watched = Watched(2)
    small = Picture("000", "a" * 64, lambda: np.zeros((4, 6, 3), np.uint8), "small.png")
    pair = [(watched.pictures().pictures[0], small)]
    with pytest.raises(UserError, match=r"small\.png is 6x4 px, 000\.png is 8x8 px"):
        extracted(watched.mean(one_size=True), pair)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_sum_over_images_that_lie_and_stand_is_refused_with_both_files_named(processes):
    shapes = ((4, 6, 3), (6, 4, 3))
    items = [
        (Picture(f"{n}", f"{n}" * 64, lambda n=n: np.zeros(shapes[n % 2], np.uint8), f"{n}.png"),)
        for n in range(4)
    ]
    feature = Feature("sum", {}, lambda device: lambda items: [one[0].ravel() for one in items], summed=True)
    helper = Helper()
    for team in [helper, First(helper)][-processes:]:
        extraction = Extraction(None, team=team if processes > 1 else ALONE)
        extraction.ask(feature, items)
        extraction.run()
    with pytest.raises(UserError, match=r"1\.png is 4x6 px, 0\.png is 6x4 px.* resize, both alike"):
        extraction.result(feature, items)


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


class AtOnce:
    """In the place of a pool of threads: does what it is given before it returns."""

    def __init__(self, threads: int) -> None:
        del threads

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work, *arguments):
        future: Future = Future()
        future.set_result(work(*arguments))
        return future


@pytest.mark.parametrize(("in_a_row", "most"), [(1, 33), (10, 40), (50, 100)])
def test_few_images_are_decoded_ahead_however_many_sets_there_are(monkeypatch, in_a_row, most):
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", AtOnce)
    watched = Watched(400)
    tasks = [Task("mean", picture.digest, (picture,)) for picture in watched.pictures().pictures]
    rows = [tasks[start : start + in_a_row] for start in range(0, 400, in_a_row)]
    coming = decoding.decoded(rows)
    row, looks = next(coming)
    assert len(watched.read) == most
    assert row == rows[0]
    assert list(looks) == [task.key for task in row]
    assert [row for row, _ in coming] == rows[1:]
    assert sorted(watched.read) == list(range(400))


class Helper(Team):
    """The second of two processes."""

    rank, size = 1, 2

    def to_first(self, value):
        self.brought = value
        return []


class First(Team):
    """The first of two processes, on another machine than the second."""

    size = 2

    def __init__(self, helper: Helper) -> None:
        self.helper = helper

    def to_first(self, value):
        return [value, self.helper.brought]


def test_what_another_machine_computed_is_kept_in_the_cache_of_the_first(tmp_path):
    watched, helper = Watched(7), Helper()
    feature, items = watched.mean(), singles(watched.pictures())
    caches = {team: Cache(tmp_path / f"{team.rank}.sqlite") for team in (helper, First(helper))}
    for team, cache in caches.items():
        extraction = Extraction(cache, team=team)
        extraction.ask(feature, items)
        extraction.run()
    there = [
        len(cache.features(feature.key, [item[0].digest for item in items])) for cache in caches.values()
    ]
    assert there == [3, 7]
