"""What every metric in METRICS must do; a new one is picked up by itself."""

import copy
import functools
import importlib
import inspect
import math
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import evalkit.metrics
from evalkit.metrics import METRICS
from evalkit.metrics.base import Array, Extractor, Feature, Metric, Options
from evalkit.metrics.cache import Cache
from evalkit.metrics.label_maps import classes_from
from evalkit.metrics.pictures import Picture, PictureSet, picture_set
from evalkit.metrics.scoring import Candidate, Scored, chosen, score_sets
from evalkit.metrics.segmenters import from_callable
from evalkit.metrics.weights import WEIGHTS
from evalkit.results import RANDOM_MARK, Score
from studies.errors import UserError

N = 8
"""Few, but enough for the fifth neighbour."""
SIDES_PX = {"pixel": 176}
"""MS-SSIM's largest window needs so much; 64 for the others."""
NEEDS_MORE_IMAGES = {"fid_infinity"}
HAS_NO_UPPER_END = {"density"}
"""Fakes where reals are dense beat the reals themselves, as its authors say."""
COLOURS = np.array([(200, 60, 60), (60, 160, 70), (60, 80, 190), (190, 180, 150)])
CLASSES = classes_from({"classes": ["wall", "grass", "sky", "road"], "palette": COLOURS.tolist()}, "made up")
SAME, MILD, STRONG = "same", "mild", "strong"


def label_maps(side: int) -> Array:
    noise = np.random.default_rng(1).normal(size=(4, N, side, side))
    return ndimage.gaussian_filter(noise, (0, 0, 8, 8)).argmax(axis=0).astype(np.uint8)


def photos(labels: Array) -> Array:
    """A colour per class, another light in every image, and texture."""
    rng = np.random.default_rng(2)
    texture = ndimage.gaussian_filter(rng.normal(size=(*labels.shape, 3)), (0, 1, 1, 0))
    light = rng.normal(0, 12, (N, 1, 1, 3))
    return np.clip(np.rint(COLOURS[labels] + light + 30 * texture), 0, 255).astype(np.uint8)


def more_noise(images: Array, kind: str) -> Array:
    sigma = {MILD: 10, STRONG: 120}[kind]
    noise = np.random.default_rng(3).normal(0, sigma, images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def more_alike(images: Array, kind: str) -> Array:
    share = {MILD: 0.2, STRONG: 0.8}[kind]
    return np.rint((1 - share) * images + share * images.mean(axis=0)).astype(np.uint8)


WORSE: dict[str, Callable[[Array, str], Array]] = {"input_sensitivity": more_alike}
"""How images get worse for a metric; by noise for the others."""


def nearest_colour(image: Array) -> Array:
    return np.square(image[..., None, :].astype(int) - COLOURS).sum(axis=-1).argmin(axis=-1)


OPTIONS = Options(
    random_weights=1,
    device="cpu",
    segmenter=from_callable(nearest_colour, CLASSES, name="nearest colour", settings={"recipe": "1"}),
)


@functools.cache
def images(kind: str, metric: str) -> PictureSet:
    maps = label_maps(SIDES_PX.get(metric, 64))
    if kind == "labels":
        pictures = [
            replace(picture, read=functools.partial(maps.__getitem__, index), digest=f"label map {index}")
            for index, picture in enumerate(images(SAME, metric).pictures)
        ]
        return PictureSet("labels", tuple(pictures))
    reals = photos(maps)
    return picture_set(reals if kind == SAME else WORSE.get(metric, more_noise)(reals, kind), name=kind)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Cache:
    return Cache(tmp_path_factory.mktemp("metrics") / "cache.sqlite")


@pytest.fixture(scope="module")
def other_cache(tmp_path_factory) -> Cache:
    """For features that are computed in other batches."""
    return Cache(tmp_path_factory.mktemp("metrics") / "other.sqlite")


@pytest.fixture(scope="module", params=METRICS)
def metric(request) -> Metric:
    return METRICS[request.param]


def keys_of(metric: Metric) -> list[str]:
    return [quantity.key for quantity in metric.quantities]


def scored(
    metric: Metric,
    kinds: Sequence[str],
    cache: Cache | None,
    keys: Sequence[str] = (),
    arranged: Callable[[PictureSet], PictureSet] = lambda pictures: pictures,
) -> Scored:
    candidates = [Candidate(kind, None, arranged(images(kind, metric.name))) for kind in kinds]
    found = score_sets(
        arranged(images(SAME, metric.name)),
        candidates,
        keys or keys_of(metric),
        OPTIONS,
        labels=images("labels", metric.name) if metric.labelled else None,
        cache=cache,
    )
    assert found.left_out == ()
    return found


def main_scores(found: Scored, kind: str) -> dict[str, Score]:
    return {score.key: score for score in found.scores if score.condition == kind and not score.detail}


@pytest.fixture(scope="module")
def outcome(metric, cache) -> Scored:
    return scored(metric, (SAME, MILD, STRONG), cache)


def test_the_registry_key_is_the_name_and_the_module_and_nothing_is_left_out():
    for key, metric in METRICS.items():
        assert key == metric.name == type(metric).__module__.rsplit(".", 1)[-1]
    modules = [
        importlib.import_module(f"evalkit.metrics.{found.name}")
        for found in pkgutil.iter_modules(evalkit.metrics.__path__)
        if not found.ispkg
    ]
    defined = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Metric) and not inspect.isabstract(kind)
    }
    assert defined == {type(metric) for metric in METRICS.values()}


def test_importing_the_registry_imports_neither_torch_nor_tables_nor_plots():
    heavy = ("torch", "lpips", "pytorch_fid", "torchmetrics", "skimage", "scipy", "pandas", "matplotlib")
    code = f"import sys, evalkit.metrics.scoring; print(sorted(set({heavy}) & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_each_key_belongs_to_one_metric_and_none_is_the_name_of_another():
    owners = [(quantity.key, metric.name) for metric in METRICS.values() for quantity in metric.quantities]
    keys = [key for key, _ in owners]
    assert len(keys) == len(set(keys))
    assert all(owner == key for key, owner in owners if key in METRICS)


def test_it_says_what_it_is_where_it_comes_from_and_in_which_unit(metric):
    assert inspect.getdoc(type(metric)) != inspect.getdoc(Metric)
    assert metric.source
    assert set(metric.default_keys) <= set(keys_of(metric))
    for quantity in metric.quantities:
        assert quantity.title
        assert quantity.unit


def test_an_unknown_name_is_refused_with_the_nearest(metric):
    key = keys_of(metric)[0]
    with pytest.raises(UserError, match=rf"{key}x: no such metric.*Did you mean"):
        chosen([f"{key}x"])


def test_the_quantities_asked_for_come_once_for_each_set(metric, outcome):
    for kind in (SAME, MILD, STRONG):
        keys = [score.key for score in outcome.scores if score.condition == kind and not score.detail]
        assert keys == keys_of(metric)
    assert {score.key for score in outcome.scores} == set(keys_of(metric))


def test_each_score_says_how_it_was_made_from_how_many_images_and_with_what(metric, outcome):
    by_key = {quantity.key: quantity for quantity in metric.quantities}
    for score in outcome.scores:
        quantity = by_key[score.key]
        assert score.method
        assert (score.unit, score.higher_is_better) == (quantity.unit, quantity.higher_is_better)
        assert score.source == metric.source
        assert (score.n["reals"], score.n["fakes"]) == (N, N)
        assert set(score.provenance.digests) >= {"reals", "fakes"}
        assert score.provenance.software["evalkit"]


def test_a_value_that_cannot_be_given_is_none_with_a_note_and_no_other_is(outcome):
    for score in outcome.scores:
        hidden = score.key in NEEDS_MORE_IMAGES or (score.key == "psnr" and score.condition == SAME)
        assert (score.value is None) == hidden, score
        assert score.value is not None or score.notes
        assert score.value is None or math.isfinite(score.value)


def test_an_interval_holds_its_value_and_says_what_it_is(outcome):
    for score in outcome.scores:
        if score.interval is not None:
            assert score.interval.low <= score.value <= score.interval.high, score
            assert score.interval.method
            assert score.interval.confidence_level == OPTIONS.confidence_level


def test_the_same_images_are_best_and_worse_ones_are_worse_in_the_direction_it_declares(metric, outcome):
    for quantity in metric.quantities:
        if quantity.key in NEEDS_MORE_IMAGES:
            continue
        same, mild, strong = (main_scores(outcome, kind)[quantity.key].value for kind in (SAME, MILD, STRONG))
        if same is None:  # infinite, as its note says
            same = math.inf
        if quantity.key in HAS_NO_UPPER_END:
            assert min(same, mild) > strong
            continue
        if quantity.higher_is_better:
            assert same >= mild > strong or same > mild >= strong, (quantity.key, same, mild, strong)
        else:
            assert same <= mild < strong or same < mild <= strong, (quantity.key, same, mild, strong)


def test_the_order_of_the_images_does_not_matter(metric, outcome, cache):
    def shuffled(pictures: PictureSet) -> PictureSet:
        order = np.random.default_rng(5).permutation(len(pictures))
        return PictureSet(pictures.name, tuple(pictures.pictures[index] for index in order))

    same_values(scored(metric, (MILD,), cache, arranged=shuffled), outcome, rel=1e-9)


def test_the_batch_size_does_not_matter(metric, outcome, other_cache, monkeypatch):
    wants = type(metric).wants

    def in_threes(self: Metric, keys: Sequence[str], options: Options) -> dict:
        found = wants(self, keys, options)
        return {name: replace(want, feature=_in_threes(want.feature)) for name, want in found.items()}

    monkeypatch.setattr(type(metric), "wants", in_threes)
    same_values(scored(metric, (MILD,), other_cache), outcome, rel=1e-5)


def _in_threes(feature: Feature) -> Feature:
    """The feature computed three items at a time, also where its network would rather take more."""

    def load(device: str) -> Extractor:
        extractor = feature.load(device)
        if hasattr(extractor, "batch_size"):
            limited = copy.copy(extractor)
            limited.batch_size = 3
            return limited
        return extractor

    return replace(feature, load=load, batch_size=3)


def test_a_quantity_is_the_same_asked_for_alone_or_among_others(metric, outcome, cache):
    for key in keys_of(metric):
        alone = scored(metric, (MILD,), cache, keys=[key])
        assert {score.key for score in alone.scores} == set(*chosen([key]).values())
        among = main_scores(outcome, MILD)[key]
        assert main_scores(alone, MILD)[key].value == among.value
        assert main_scores(alone, MILD)[key].difference(among) == ""


def same_values(found: Scored, outcome: Scored, rel: float) -> None:
    ours, theirs = main_scores(found, MILD), main_scores(outcome, MILD)
    assert set(ours) == set(theirs)
    for key, score in ours.items():
        expected = theirs[key].value
        assert score.value == (None if expected is None else pytest.approx(expected, rel=rel, abs=1e-7)), key


def test_settings_name_the_weights_that_it_declares_and_random_ones_mark_the_score(metric, outcome):
    for quantity in metric.quantities:
        declared = metric.weights((quantity.key,))
        assert set(declared) <= set(WEIGHTS)
        score = main_scores(outcome, MILD)[quantity.key]
        assert score.settings == dict(metric.settings((quantity.key,), OPTIONS))
        assert score.mark == (RANDOM_MARK if declared else "")


def test_features_say_what_their_values_depend_on(metric):
    other = replace(OPTIONS, random_weights=2)
    for key in keys_of(metric):
        features = [want.feature for want in metric.wants((key,), OPTIONS).values()]
        assert all(feature.settings for feature in features)
        changed = [want.feature.key for want in metric.wants((key,), other).values()]
        assert (changed != [feature.key for feature in features]) == bool(metric.weights((key,)))


def test_values_of_single_images_come_in_the_order_of_the_fakes_and_average_to_a_paired_score(
    metric, outcome
):
    rows = {(one.condition, one.key): one for one in outcome.per_image}
    for score in outcome.scores:
        row = rows.get((score.condition, score.key))
        assert row is not None or not metric.paired
        if row is not None:
            assert row.source_ids == images(MILD, metric.name).source_ids
            assert len(row.values) == N
        if metric.paired and score.value is not None:
            assert row.values.mean() == pytest.approx(score.value, rel=1e-6)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.paired])
def test_a_paired_metric_refuses_images_of_unmatched_names_and_of_other_sizes(name):
    reals, fakes, side = images(SAME, name), images(MILD, name), SIDES_PX.get(name, 64)
    renamed = PictureSet("fakes", (*fakes.pictures[1:], replace(fakes.pictures[0], source_id="other")))
    halved = PictureSet("fakes", tuple(map(_halved, fakes.pictures)))
    sizes = rf"mild\[0\] is {side // 2}x{side // 2} px, same\[0\] is {side}x{side} px"
    for wrong, words in ((renamed, "no real image of the same name in same .*'other'.*'0'"), (halved, sizes)):
        found = score_sets(reals, [Candidate("a", None, wrong)], [name], OPTIONS)
        assert found.scores == ()
        (line,) = found.left_out
        assert re.search(words, line), line


def _halved(picture: Picture) -> Picture:
    return replace(
        picture, read=lambda: np.ascontiguousarray(picture.read()[::2, ::2]), digest=f"half {picture.digest}"
    )
