"""Observers for rehearsals: what one may know, and how it answers. Never shown as if people had answered."""

import abc
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from PIL import Image, ImageFilter, ImageStat

from studies.errors import UserError, did_you_mean
from studies.records import Choice, Question, Side

Features = tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """One image as it stood on the screen."""

    side: Side
    image: Image.Image | None
    """Its pixels, for observers that look; None for those that do not."""
    condition: str | None
    """The truth, for `known` observers only: the algorithm, or `real`."""


class Observer(abc.ABC):
    """Somebody who answers trials. One instance is one participant."""

    sees: ClassVar[bool]
    """Whether it must be given the pixels."""
    knows: ClassVar[bool]
    """Whether it must be given the truth."""

    @abc.abstractmethod
    def choose(self, question: Question, images: Sequence[Seen], rng: random.Random) -> tuple[Choice, float]:
        """The choice and the response time in ms."""

    @abc.abstractmethod
    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Take in the feedback of a practice trial: `real` or `fake` for each image."""


def response_time_ms(rng: random.Random) -> float:
    """A right-skewed time with a median near 0.8 s; plausible, not fitted to data."""
    return 200.0 + 600.0 * math.exp(rng.gauss(0.0, 0.5))


@dataclass
class Known(Observer):
    """Knows which image is fake and is fooled at a given rate per algorithm: for testing intervals."""

    rates: dict[str, float]
    """Fool rate of each algorithm, from 0 to 1."""
    sees: ClassVar[bool] = False
    knows: ClassVar[bool] = True

    def choose(self, question: Question, images: Sequence[Seen], rng: random.Random) -> tuple[Choice, float]:
        """The wrong image with the algorithm's fool rate, shifted."""
        fake = next(seen for seen in images if seen.condition != "real")
        assert fake.condition is not None
        rate = self.rates[fake.condition]
        fooled = rng.random() < rate
        asked_is_fake = question == "fake"
        wanted = fake if asked_is_fake != fooled else next(seen for seen in images if seen is not fake)
        return ("first" if images[0] is wanted else "second"), response_time_ms(rng)

    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Nothing: it knows already."""


@dataclass
class Seeing(Observer):
    """Judges pixels by one simple rule, learnt from the feedback of its own practice trials, plus noise.

    Of a few measures of an image it keeps the one that told real from fake best in practice, and answers by it.
    It knows no truth, so what it says of an algorithm is what these measures say, not what people would.
    """

    noise: float = 1.0
    """Standard deviation of the noise added to the difference, in units of the difference's own spread."""
    lapse: float = 0.05
    """Share of trials answered by chance."""
    _differences: list[Features] = field(default_factory=list)
    """Real minus fake, one per practice trial."""

    sees: ClassVar[bool] = True
    knows: ClassVar[bool] = False

    def choose(self, question: Question, images: Sequence[Seen], rng: random.Random) -> tuple[Choice, float]:
        """The image that looks more like what is asked for."""
        first, second = (measure(seen.image) for seen in images if seen.image is not None)
        evidence = 0.0  # positive: the first one looks real
        if self._differences and rng.random() >= self.lapse:
            index, direction, spread = self._rule()
            evidence = direction * (first[index] - second[index]) / spread + rng.gauss(0.0, self.noise)
        else:
            evidence = rng.choice((-1.0, 1.0))
        first_is_wanted = (evidence > 0) == (question == "real")
        return ("first" if first_is_wanted else "second"), response_time_ms(rng)

    def learn(self, images: Sequence[Seen], truth: Sequence[str]) -> None:
        """Remember how the real image differed from the fake one."""
        measures = {kind: measure(seen.image) for seen, kind in zip(images, truth, strict=True) if seen.image}
        self._differences.append(
            tuple(r - f for r, f in zip(measures["real"], measures["fake"], strict=True))
        )

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


def measure(image: Image.Image | None) -> Features:
    """A few things that an eye might notice: sharpness, fine texture, contrast, colourfulness, brightness."""
    assert image is not None
    grey = image.convert("L")
    edges = ImageStat.Stat(grey.filter(ImageFilter.FIND_EDGES))
    smooth = grey.filter(ImageFilter.GaussianBlur(1.0))
    texture = ImageStat.Stat(Image.blend(grey, smooth, 0.5).filter(ImageFilter.FIND_EDGES))
    tone, hsv = ImageStat.Stat(grey), ImageStat.Stat(image.convert("HSV"))
    return (edges.mean[0], texture.stddev[0], tone.stddev[0], hsv.mean[1], tone.mean[0])


def make_observer(name: str, rates: dict[str, float], rng: random.Random) -> Observer:
    """A new participant of one kind; people differ, so each draws its own traits.

    Raises:
        UserError: There is no such kind (names the nearest).
    """
    if name == "known":
        return Known(rates)
    if name == "seeing":
        return Seeing(noise=math.exp(rng.gauss(0.0, 0.3)), lapse=rng.uniform(0.0, 0.1))
    raise UserError(f"--observer {name}: no such observer.{did_you_mean(name, OBSERVERS)}")


OBSERVERS = ("known", "seeing")
"""What `make_observer` can make."""
