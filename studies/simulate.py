"""Observers for rehearsals: what one may know, and how it answers. Never shown as if people had answered."""

import abc
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from PIL import Image, ImageFilter, ImageStat

from studies.errors import UserError, did_you_mean
from studies.records import CHECK, REAL, Asked, Choice, Side

Features = tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """One image as it stood on the screen."""

    side: Side
    image: Image.Image | None
    """Its pixels, for observers that look; None for those that do not."""
    condition: str | None
    """The truth, for `known` observers only: the algorithm, or `real`."""
    is_target: bool = False
    """The truth, for `known` observers only: whether the protocol's outcome is about this image being chosen."""
    planned_ms: int = 0
    """How long it was to be shown; 0 = until the answer."""


class Observer(abc.ABC):
    """Somebody who answers trials. One instance is one participant."""

    sees: ClassVar[bool]
    """Whether it must be given the pixels."""
    knows: ClassVar[bool]
    """Whether it must be given the truth."""

    @abc.abstractmethod
    def choose(
        self, asked: Asked, images: Sequence[Seen], rng: random.Random, context: Seen | None = None
    ) -> tuple[Choice, float]:
        """The choice and the response time in ms.

        Args:
            asked: What the trial asks.
            images: In order of showing.
            rng: Source of chance.
            context: The picture that the question refers to, where there is one.
        """

    @abc.abstractmethod
    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Take in the feedback of a practice trial, a word for each image: `real`, `fake`, `match` or `other`."""


def response_time_ms(rng: random.Random) -> float:
    """A right-skewed time with a median near 0.8 s; plausible, not fitted to data."""
    return 200.0 + 600.0 * math.exp(rng.gauss(0.0, 0.5))


@dataclass
class Known(Observer):
    """Knows the truth and is mistaken at a given rate per algorithm: for testing intervals.

    The rate of an algorithm is how often its fakes are taken for real (and, under `real`, real images for fake); how
    often its output is matched with the wrong input; how often it is preferred to an algorithm named after it.
    """

    rates: dict[str, float]
    """Rate of each algorithm, from 0 to 1, and of `real` where single images are judged."""
    needs_time: bool = False
    """A rate then is a time, in seconds: whoever sees the image for less is mistaken, for as much or more is right."""
    sees: ClassVar[bool] = False
    knows: ClassVar[bool] = True

    def choose(
        self,
        asked: Asked,
        images: Sequence[Seen],
        rng: random.Random,
        context: Seen | None = None,  # noqa: ARG002 - the contract
    ) -> tuple[Choice, float]:
        """By the rate of the algorithm that the trial is about, shifted."""
        choice = self._either(images[0], rng) if asked == "real_or_fake" else self._side(asked, images, rng)
        return choice, response_time_ms(rng)

    def _either(self, seen: Seen, rng: random.Random) -> Choice:
        rate = self._rate(seen)
        mistaken = seen.planned_ms < 1000 * rate if self.needs_time else rng.random() < rate
        return "real" if (seen.condition == REAL) != mistaken else "fake"

    def _side(self, asked: Asked, images: Sequence[Seen], rng: random.Random) -> Choice:
        about = self._about(asked, images)
        other = next(seen for seen in images if seen is not about)
        drawn = rng.random() < self._rate(about)
        takes_about = drawn if asked in ("real", "better", "closer") else not drawn
        return "first" if images[0] is (about if takes_about else other) else "second"

    @staticmethod
    def _about(asked: Asked, images: Sequence[Seen]) -> Seen:
        if asked in ("fake", "real"):
            return next(seen for seen in images if seen.condition != REAL)
        return next(seen for seen in images if seen.is_target)

    def _rate(self, seen: Seen) -> float:
        """Nobody is mistaken in an attention check."""
        assert seen.condition is not None
        return 0.0 if seen.condition == CHECK else self.rates.get(seen.condition, 0.0)

    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Nothing: it knows already."""


@dataclass
class Seeing(Observer):
    """Judges pixels by one simple rule, learnt from the feedback of its own practice trials, plus noise.

    Of a few measures of an image it keeps the one that told real from fake best in practice, and answers by it. Where
    a picture is shown before, it takes the image that is like it in the large; asked which is better, the sharper one.
    It knows no truth, so what it says of an algorithm is what these measures say, not what people would.
    """

    noise: float = 1.0
    """Standard deviation of the noise added to the difference, in units of the difference's own spread."""
    lapse: float = 0.05
    """Share of trials answered by chance."""
    _differences: list[Features] = field(default_factory=list)
    """Real minus fake, one per practice trial with both."""
    _single: dict[str, list[Features]] = field(default_factory=lambda: {"real": [], "fake": []})
    """What single images of practice measured."""

    sees: ClassVar[bool] = True
    knows: ClassVar[bool] = False

    def choose(
        self, asked: Asked, images: Sequence[Seen], rng: random.Random, context: Seen | None = None
    ) -> tuple[Choice, float]:
        """The image that looks more like what is asked for; or what a single image looks like."""
        evidence = self._evidence(asked, images, context, rng)
        if evidence is None or rng.random() < self.lapse:
            evidence = rng.choice((-1.0, 1.0))
        if asked == "real_or_fake":
            return ("real" if evidence > 0 else "fake"), response_time_ms(rng)
        return ("first" if (evidence > 0) != (asked == "fake") else "second"), response_time_ms(rng)

    def _evidence(
        self, asked: Asked, images: Sequence[Seen], context: Seen | None, rng: random.Random
    ) -> float | None:
        """Positive: the first (or only) one looks real, better or closer; None where it has nothing to go by."""
        measures = [measure(seen.image) for seen in images]
        if asked == "real_or_fake":
            return self._of_one(measures[0], rng)
        if asked in ("fake", "real"):
            if not self._differences:
                return None
            index, direction, spread = self._rule()
            return direction * (measures[0][index] - measures[1][index]) / spread + rng.gauss(0.0, self.noise)
        if context is not None:
            first, second = (unlikeness(seen.image, context.image) for seen in images)
            return 10.0 * (second - first) + rng.gauss(0.0, self.noise)
        first, second = measures[0][0], measures[1][0]
        return 10.0 * (first - second) / ((first + second) or 1.0) + rng.gauss(0.0, self.noise)

    def _of_one(self, features: Features, rng: random.Random) -> float | None:
        """How much more it measures like the real images of practice than like the fakes."""
        if not all(self._single.values()):
            return None
        best = (0.0, 0.0)
        for index, value in enumerate(features):
            reals, fakes = ([one[index] for one in self._single[kind]] for kind in ("real", "fake"))
            means = (sum(reals) / len(reals), sum(fakes) / len(fakes))
            spread = math.sqrt(
                sum((one - means[0]) ** 2 for one in reals) / len(reals)
                + sum((one - means[1]) ** 2 for one in fakes) / len(fakes)
            )
            telling = (means[0] - means[1]) / (spread or 1.0)
            if abs(telling) > abs(best[0]):
                best = (telling, (value - sum(means) / 2) / (spread or 1.0))
        return math.copysign(1.0, best[0]) * best[1] + rng.gauss(0.0, self.noise / 2)

    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Remember how the real image differed from the fake one, or what a single one measured."""
        measures = {kind: measure(seen.image) for seen, kind in zip(images, truth, strict=True) if seen.image}
        if {"real", "fake"} <= set(measures):
            self._differences.append(
                tuple(r - f for r, f in zip(measures["real"], measures["fake"], strict=True))
            )
        elif len(measures) == 1:
            for kind, features in measures.items():
                self._single[kind].append(features)

    def _rule(self) -> tuple[int, float, float]:
        """The most telling measure so far: its index, the sign of real minus fake, and its spread."""
        best = (0, 1.0, 1.0, -1.0)
        for index in range(len(self._differences[0])):
            values = [difference[index] for difference in self._differences]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum(value * value for value in values) / len(values)) or 1.0
            if abs(mean) / spread > best[3]:
                best = (index, 1.0 if mean >= 0 else -1.0, spread, abs(mean) / spread)
        return best[:3]


def unlikeness(image: Image.Image | None, other: Image.Image | None) -> float:
    """How little two pictures share in the large: 1 minus the correlation of their grey thumbnails."""
    assert image is not None
    assert other is not None
    vectors = []
    for one in (image, other):
        pixels = list(one.convert("L").resize((16, 16), Image.Resampling.BOX).tobytes())
        mean = sum(pixels) / len(pixels)
        vectors.append([value - mean for value in pixels])
    norms = [math.sqrt(sum(value * value for value in vector)) for vector in vectors]
    product = sum(one * other for one, other in zip(*vectors, strict=True))
    return float(1.0 - product / (norms[0] * norms[1] or 1.0))


def measure(image: Image.Image | None) -> Features:
    """A few things that an eye might notice: sharpness, fine texture, contrast, colourfulness, brightness."""
    assert image is not None
    grey = image.convert("L")
    edges = ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES))
    smooth = grey.filter(ImageFilter.GaussianBlur(1.0))
    texture = ImageStat.Stat(Image.blend(grey, smooth, 0.5).filter(ImageFilter.FIND_EDGES))
    tone, hsv = ImageStat.Stat(grey), ImageStat.Stat(image.convert("HSV"))
    return (edges.mean[0], texture.stddev[0], tone.stddev[0], hsv.mean[1], tone.mean[0])


def make_observer(
    name: str, rates: dict[str, float], rng: random.Random, *, needs_time: bool = False
) -> Observer:
    """A new participant of one kind; people differ, so each draws its own traits.

    Args:
        name: One of OBSERVERS.
        rates: Of a `known` one.
        rng: Source of chance.
        needs_time: Whether the rates of a `known` one are times.

    Raises:
        UserError: There is no such kind (names the nearest).
    """
    if name == "known":
        return Known(rates, needs_time)
    if name == "seeing":
        return Seeing(noise=math.exp(rng.gauss(0.0, 0.3)), lapse=rng.uniform(0.0, 0.1))
    raise UserError(f"--observer {name}: no such observer.{did_you_mean(name, OBSERVERS)}")


OBSERVERS = ("known", "seeing")
"""What `make_observer` can make."""
