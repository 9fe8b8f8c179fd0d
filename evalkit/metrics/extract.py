"""The one pass: every image of which something is still unknown is decoded once and shown to all that ask for it."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evalkit.metrics.base import Array, Extractor, Feature
from evalkit.metrics.cache import Cache
from evalkit.metrics.decoding import Looks, decoded
from evalkit.metrics.pictures import Picture, pixel_digest_of
from evalkit.metrics.team import ALONE, Team
from studies.errors import UserError

ItemRef = tuple[Picture, ...]
"""What one result is about, before it is decoded."""
_KEEP_EVERY_S, _TELL_EVERY_S = 5.0, 0.2
_DIGEST_LENGTH = 64
Sized = tuple[str, tuple[int, ...]]
"""A file, and the height and width of its image in px."""


@dataclass(frozen=True)
class Progress:
    """How far the pass is."""

    done: int
    """Images decoded and handed on."""
    total: int
    images_per_second: float
    seconds_left: float


@dataclass
class Request:
    """All that is asked of one feature; of a summed one, by one set."""

    feature: Feature
    items: dict[str, ItemRef] = field(default_factory=dict)
    """By item key."""
    troubles: dict[str, str] = field(default_factory=dict)
    """By item key (empty: of all items): why it cannot be computed."""

    def trouble_with(self, keys: Sequence[str]) -> str:
        """The first reason why it cannot be computed for these items; empty if it can."""
        return next((self.troubles[key] for key in ("", *keys) if key in self.troubles), "")

    @property
    def sum_key(self) -> str:
        """Cache key of the sum over all items, whatever their order."""
        return _digest_of_all(list(self.items.values()))


@dataclass(frozen=True)
class Task:
    """One item of one request."""

    request: str
    """Name of the request."""
    key: str
    """Of the item."""
    item: ItemRef


@dataclass
class Harvest:
    """What one process computed in the pass."""

    features: dict[str, dict[str, Array]] = field(default_factory=dict)
    """Feature key -> item key -> array; not of summed features."""
    sums: dict[str, Array] = field(default_factory=dict)
    """By name of the request, float64."""
    troubles: dict[str, dict[str, str]] = field(default_factory=dict)
    """By name of the request: by item key (empty: of all items), why not."""
    firsts: dict[str, "Sized"] = field(default_factory=dict)
    """Of sums, by name of the request: the first image, whose size all must have."""

    def add(self, request: Request, name: str, keys: Sequence[str], arrays: Sequence[Array]) -> None:
        """Results of a batch."""
        if not request.feature.summed:
            self.features.setdefault(request.feature.key, {}).update(zip(keys, arrays, strict=True))
            return
        for array in arrays:
            if name in self.sums:
                self.sums[name] += array
            else:
                self.sums[name] = np.array(array, np.float64)


def _taken_when_decoded(_: object) -> list[Array]:
    raise AssertionError("fingerprints are taken when an image is decoded")


FINGERPRINT = Feature("fingerprint", {"recipe": "2"}, lambda _: _taken_when_decoded)
"""Of each image: SHA-256 of its pixels, and in words what was done to them that other tools would not do."""


class Extraction:
    """Collects what is wanted, finds it in the cache or computes it, and hands it out."""

    def __init__(
        self,
        cache: Cache | None,
        device: str = "auto",
        on_progress: Callable[[Progress], None] | None = None,
        team: Team = ALONE,
    ) -> None:
        """`team`: the processes that share the work; the first one ends up with all of it."""
        self._cache, self._device, self._on_progress, self._team = cache, device, on_progress, team
        self._requests: dict[str, Request] = {}
        self._found: dict[str, dict[str, Array]] = {}

    def ask(self, feature: Feature, items: Sequence[ItemRef]) -> None:
        """Want a feature of these items."""
        request = self._requests.setdefault(_request_name(feature, items), Request(feature))
        seen: Counter[str] = Counter()
        for item in items:
            key = item_key(item)
            # A sum counts an image as often as it is in its set, and one set is asked for in any order, as often as it
            # is needed; of other features one result does for all copies of an image.
            request.items[f"{seen[key]} {key}" if feature.summed else key] = item
            seen[key] += 1

    def run(self) -> None:
        """Look up, compute, keep.

        Raises:
            UserError: An image cannot be read (names it). What was computed so far is kept.
        """
        lacking = self._team.first_says(
            {name: self._lacking(request) for name, request in self._requests.items()}
        )
        rows = self._rows(lacking)
        if not rows:
            return
        harvest = Harvest()
        try:
            self._pass(rows[self._team.rank :: self._team.size], harvest)
        finally:
            self._keep(harvest.features)
        self._merge(self._team.to_first(harvest))

    def result(self, feature: Feature, items: Sequence[ItemRef]) -> Array | list[Array]:
        """(n, ...) one row per item, in order, a list if they differ in shape; of a summed feature the sum.

        Raises:
            UserError: It cannot be computed of these images.
        """
        request = self._requests[_request_name(feature, items)]
        keys = list(request.items) if feature.summed else [item_key(item) for item in items]
        if trouble := request.trouble_with(keys):
            raise UserError(trouble)
        found = self._found[feature.key]
        if feature.summed:
            return found[request.sum_key]
        rows = [found[key] for key in keys]
        return np.stack(rows) if len({row.shape for row in rows}) == 1 else rows

    def fingerprints(self, pictures: Sequence[Picture]) -> list[tuple[str, str]]:
        """Pixel digest of each picture, and what was done to its pixels (mostly nothing)."""
        found = self._found[FINGERPRINT.key]
        texts = [found[picture.digest].tobytes().decode() for picture in pictures]
        return [(text[:_DIGEST_LENGTH], text[_DIGEST_LENGTH:]) for text in texts]

    def _lacking(self, request: Request) -> list[str]:
        """Item keys that must be computed."""
        feature = request.feature
        wanted = [request.sum_key] if feature.summed else list(request.items)
        found = self._found.setdefault(feature.key, {})
        if self._cache is not None:
            found.update(self._cache.features(feature.key, wanted))
        lacking = [key for key in wanted if key not in found]
        return list(request.items) if feature.summed and lacking else lacking

    def _rows(self, lacking: Mapping[str, Sequence[str]]) -> list[list[Task]]:
        """The tasks, those about one input together, so that its images are decoded once."""
        rows: dict[str, list[Task]] = {}
        for name, keys in lacking.items():
            items = self._requests[name].items
            for key in keys:
                rows.setdefault(items[key][0].source_id, []).append(Task(name, key, items[key]))
        return list(rows.values())

    def _pass(self, rows: Sequence[Sequence[Task]], harvest: Harvest) -> None:
        batches = _Batches(self._requests, self._device, harvest)
        meter = _Meter(_count(rows), self._on_progress)
        kept_at = time.monotonic()
        for row, looks in decoded(rows):
            for task in row:
                if self._requests[task.request].feature.name == FINGERPRINT.name:
                    pixels, steps = looks[task.key]
                    text = pixel_digest_of(pixels) + "; ".join(steps)
                    taken = [np.frombuffer(text.encode(), np.uint8)]
                    harvest.add(self._requests[task.request], task.request, [task.key], taken)
                else:
                    batches.add(task, looks)
            meter.count(len(looks))
            if time.monotonic() - kept_at > _KEEP_EVERY_S:
                self._keep(harvest.features)
                kept_at = time.monotonic()
        batches.finish()
        meter.finish()

    def _keep(self, features: Mapping[str, Mapping[str, Array]]) -> None:
        for key, arrays in features.items():
            known = self._found.setdefault(key, {})
            if self._cache is not None:
                new = {item: array for item, array in arrays.items() if item not in known}
                self._cache.keep_features(key, new)
            known.update(arrays)

    def _merge(self, harvests: Sequence[Harvest]) -> None:
        """What the processes brought together."""
        sums: dict[str, Array] = {}
        firsts: dict[str, Sized] = {}
        for harvest in harvests:
            self._keep(harvest.features)  # other machines have caches of their own
            for name, part in harvest.sums.items():
                first, other = firsts.setdefault(name, harvest.firsts[name]), harvest.firsts[name]
                if other[1] != first[1]:
                    self._requests[name].troubles[""] = _unlike(first, other)
                    continue
                sums[name] = sums[name] + part if name in sums else part
            for name, lines in harvest.troubles.items():
                self._requests[name].troubles.update(lines)
        for name, total in sums.items():
            request = self._requests[name]
            if not request.troubles:
                self._keep({request.feature.key: {request.sum_key: total}})


class _Batches:
    """Gathers tasks of one request until its extractor's batch is full."""

    def __init__(self, requests: Mapping[str, Request], device: str, harvest: Harvest) -> None:
        self._requests, self._device, self._harvest = requests, device, harvest
        self._extractors: dict[str, Extractor] = {}
        self._waiting: dict[str, list[tuple[Task, tuple[Array, ...]]]] = {}

    def add(self, task: Task, looks: Looks) -> None:
        """Hand on one task; its images are those in `looks`."""
        feature = self._requests[task.request].feature
        arrays = tuple(looks[picture.digest][0] for picture in task.item)
        sized = [(one.where, array.shape[:2]) for one, array in zip(task.item, arrays, strict=True)]
        if feature.one_size and sized[0][1] != sized[-1][1]:
            self._trouble(task.request, task.key, _unlike(sized[0], sized[-1]))
            return
        if feature.summed:
            first = self._harvest.firsts.setdefault(task.request, sized[0])
            if sized[0][1] != first[1]:  # results of 2x3 and 3x2 px would add up, to nonsense
                self._trouble(task.request, task.key, _unlike(first, sized[0]))
                return
        waiting = self._waiting.setdefault(task.request, [])
        waiting.append((task, arrays))
        if len(waiting) >= self._batch_size(task.request):
            self._flush(task.request)

    def finish(self) -> None:
        """The batches that did not fill."""
        for name in self._waiting:
            self._flush(name)

    def _batch_size(self, name: str) -> int:
        """A network on a GPU takes more at once than its feature says."""
        return int(getattr(self._extractor(name), "batch_size", self._requests[name].feature.batch_size))

    def _extractor(self, name: str) -> Extractor | None:
        """Loaded when it is first needed; None, and a trouble, where that cannot be."""
        feature = self._requests[name].feature
        if feature.key not in self._extractors and "" not in self._harvest.troubles.get(name, {}):
            try:
                self._extractors[feature.key] = feature.load(self._device)
            except UserError as error:
                self._trouble(name, "", str(error))
        return self._extractors.get(feature.key)

    def _trouble(self, name: str, key: str, line: str) -> None:
        self._harvest.troubles.setdefault(name, {}).setdefault(key, line)

    def _flush(self, name: str) -> None:
        waiting, self._waiting[name] = self._waiting[name], []
        extractor = self._extractor(name) if waiting else None
        if extractor is None:
            return
        try:
            self._add(name, waiting, extractor([arrays for _, arrays in waiting]))
        except UserError as error:
            if len(waiting) == 1:
                task = waiting[0][0]
                self._trouble(name, task.key, f"{_where(task.item)}: {error}")
                return
            for one in waiting:  # the others are computed all the same
                self._waiting[name] = [one]
                self._flush(name)

    def _add(
        self, name: str, waiting: Sequence[tuple[Task, tuple[Array, ...]]], arrays: Sequence[Array]
    ) -> None:
        request = self._requests[name]
        for (task, _), array in zip(waiting, arrays, strict=True):
            if request.feature.finite and not np.isfinite(array).all():
                self._trouble(name, task.key, _overflow(task.item, request.feature))
                continue
            self._harvest.add(request, name, [task.key], [array])


class _Meter:
    """Counts images and tells of it now and then."""

    def __init__(self, total: int, tell: Callable[[Progress], None] | None) -> None:
        self._total, self._tell, self._done = total, tell, 0
        self._began = self._told = time.monotonic()

    def count(self, images: int) -> None:
        """So many more."""
        self._done += images
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self.finish()

    def finish(self) -> None:
        """Say how far it is."""
        self._told = time.monotonic()
        speed = self._done / max(self._told - self._began, 1e-9)
        if self._tell is not None:
            left = (self._total - self._done) / speed if speed else float("inf")
            self._tell(Progress(self._done, self._total, speed, left))


def item_key(item: ItemRef) -> str:
    """What the cache knows an item by."""
    if len(item) == 1:
        return item[0].digest
    return hashlib.sha256(" ".join(picture.digest for picture in item).encode()).hexdigest()


def _request_name(feature: Feature, items: Sequence[ItemRef]) -> str:
    """Sums are asked for set by set, other features of all images together."""
    if not feature.summed:
        return feature.key
    return feature.key + _digest_of_all(items)


def _digest_of_all(items: Sequence[ItemRef]) -> str:
    return hashlib.sha256("".join(sorted(map(item_key, items))).encode()).hexdigest()


def _count(rows: Sequence[Sequence[Task]]) -> int:
    return sum(len({picture.digest for task in row for picture in task.item}) for row in rows)


def _where(item: ItemRef) -> str:
    """The files of an item."""
    return " and ".join(picture.where for picture in item)


def _overflow(item: ItemRef, feature: Feature) -> str:
    half = feature.settings.get("precision") == "fp16"
    remedy = "leave out --precision fp16" if half else "look at the weights: they may be damaged"
    return f"{_where(item)}: {feature.name} is not finite; {remedy}."


def _unlike(first: Sized, other: Sized) -> str:
    (one, two) = (f"{where} is {size[1]}x{size[0]} px" for where, size in (first, other))
    return f"{two}, {one}; images that are compared place by place must be of one size. Generate, or resize, both alike."
