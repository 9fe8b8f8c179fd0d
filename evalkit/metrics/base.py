"""What a metric is: what it wants to know about each image, and what it makes of that."""

import abc
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from evalkit.results import Interval

if TYPE_CHECKING:
    from evalkit.metrics.segmenters import Segmenter

Array = NDArray[Any]
Item = tuple[Array, ...]
"""What one result of an extractor is about: (image,), (real, fake) or (image, label map). Images are (height, width, 3)
uint8 sRGB; label maps (height, width) uint8 class numbers, 255 where nothing counts."""
Extractor = Callable[[Sequence[Item]], Sequence[Array]]
"""A batch of items -> one array per item, in order. Items may differ in size unless the feature wants one size."""
Over = Literal["reals", "fakes", "pairs", "labelled fakes"]
"""Which items of a comparison: pairs are (real, fake) of one input, labelled ones (image, label map) of one input."""
Precision = Literal["fp32", "fp16"]
DECODING = "1"
"""Part of every cache key: to be raised when `studies.stimuli.decode` gives some file other pixels."""


@dataclass(frozen=True)
class Quantity:
    """One number that a metric yields for an image set."""

    key: str
    """Key of the record, such as `fid`."""
    title: str
    """Column heading."""
    unit: str
    """proportion | dB | distance | ..."""
    higher_is_better: bool
    decimals: int = 3
    """In tables for people."""


@dataclass(frozen=True)
class Options:
    """What the user may choose about how metrics are computed."""

    precision: Precision = "fp32"
    """Of the pretrained networks."""
    random_weights: int | None = None
    """Seed of random weights in place of the pretrained ones; every score made with them says so."""
    device: str = "auto"
    """auto | cpu | cuda. Changes speed only, so no record or cache key depends on it."""
    segmenter: "Segmenter | None" = None
    """What FCN-scores ask for class maps."""
    absent: Literal["zero", "skip"] = "zero"
    """FCN-scores: classes that are nowhere in the labels count as 0, as in pix2pix, or not at all, as usual (in IoU a
    class that was predicted all the same still counts 0)."""
    confidence_level: float = 0.95
    """Of intervals over images."""
    seed: int = 0
    """Of every resampling."""


@dataclass(frozen=True)
class Feature:
    """Something computed from one item by one extractor, and kept in the cache."""

    name: str
    settings: Mapping[str, str]
    """All that its values depend on besides the pixels: SHA-256 of weights, precision, resize, version of the recipe."""
    load: Callable[[str], Extractor] = field(compare=False)
    """Device (`auto`, `cpu`, `cuda`) -> extractor; imports torch if it must, loads weights."""
    batch_size: int = 1
    one_size: bool = False
    """Whether the parts of an item must be of the same size in pixels."""
    finite: bool = True
    """Whether a result that is not finite is an error; False where NaN says that an item has none."""
    summed: bool = False
    """The results of all items are added up (float64) and only the sum is kept; items must all be of one size."""

    @property
    def key(self) -> str:
        """Cache key: SHA-256 (hex) of name and settings."""
        text = json.dumps([self.name, dict(sorted(self.settings.items())), DECODING])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Want:
    """A feature of every item of one kind."""

    feature: Feature
    over: Over


@dataclass(frozen=True)
class Value:
    """What a metric says of one quantity."""

    key: str
    """Of the quantity."""
    value: float | None
    """None where it cannot be estimated; `notes` says why."""
    method: str
    """How, in words."""
    interval: Interval | None = None
    standard_error: float | None = None
    n: Mapping[str, int] = field(default_factory=dict)
    """Sizes besides those of the two sets, which are added for every metric."""
    notes: tuple[str, ...] = ()
    """What a reader must know."""
    per_image: NDArray[np.float64] | None = None
    """(n,) the same quantity image by image, in the order of the fakes, where there is such a thing."""
    seed: int | None = None
    """Of random numbers, where some were used."""
    detail: str = ""
    """Which part, such as a class of FCN-scores; such values go to the records but not to tables of main numbers."""


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of Inception features in place of images: pytorch-fid's .npz."""

    mean: NDArray[np.float64]
    """(d,)"""
    covariance: NDArray[np.float64]
    """(d, d), with n - 1."""
    n: int | None = None
    """Number of images; the file format does not say."""


class Metric(abc.ABC):
    """One way to score a set of fakes against a set of reals. Registered in METRICS under the name of its module."""

    name: ClassVar[str]
    quantities: ClassVar[tuple[Quantity, ...]]
    source: ClassVar[str]
    """Paper and implementation that define it."""
    paired: ClassVar[bool] = False
    """Whether the fake of an input is held against the real image of that same input."""
    labelled: ClassVar[bool] = False
    """Whether it needs a label map per input."""
    ceiling: ClassVar[bool] = False
    """Whether it is also computed for the reals in the place of the fakes, as the best that can be hoped for."""
    takes_statistics: ClassVar[bool] = False
    """Whether Statistics may stand in for the reals."""
    default_keys: ClassVar[tuple[str, ...]] = ()
    """Quantities that the metric's own name stands for; empty: all."""

    def weights(self, keys: Sequence[str]) -> tuple[str, ...]:
        """Names in `weights.WEIGHTS` of the pretrained files that these quantities need."""
        del keys
        return ()

    def settings(self, keys: Sequence[str], options: Options) -> Mapping[str, str]:
        """All that the values depend on besides the images; two scores that differ in it are not comparable.

        Goes into the record. Weights are named by SHA-256, or `random, seed N`.
        """
        del keys, options
        return {}

    @abc.abstractmethod
    def wants(self, keys: Sequence[str], options: Options) -> Mapping[str, Want]:
        """The features needed, by names of the metric's own choosing."""

    @abc.abstractmethod
    def compute(self, keys: Sequence[str], found: Mapping[str, Any], options: Options) -> Sequence[Value]:
        """Values of the quantities `keys`.

        Args:
            keys: Keys of `quantities`.
            found: By the names of `wants`: (n, ...) array, one row per item in the order of the set (a list of arrays
                where they differ in shape); for a summed feature the sum, with `n` under the name `NAME_n`. `NAME_where`
                are the files, for messages. `reals` may be Statistics if `takes_statistics`.
            options: As given to `wants`.

        Raises:
            UserError: These images cannot be scored by it (one line; the other metrics go on).
        """
