"""Observers answer as they are said to."""

import random

import pytest
from PIL import Image, ImageFilter

from studies.errors import UserError
from studies.simulate import Known, Seeing, Seen, make_observer


def pair(real, fake, *, fake_first):
    seen = [Seen("left", fake, None), Seen("right", real, None)]
    return (seen, ["fake", "real"]) if fake_first else (seen[::-1], ["real", "fake"])


@pytest.mark.parametrize("question", ["fake", "real"])
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_a_known_observer_is_fooled_at_its_rate(question, rate):
    observer, rng = Known({"cgan": rate}), random.Random(1)
    fooled = 0
    for number in range(2000):
        conditions = ["cgan", "real"] if number % 2 else ["real", "cgan"]
        choice, rt_ms = observer.choose(question, [Seen("left", None, c) for c in conditions], rng)
        chosen = conditions[0 if choice == "first" else 1]
        fooled += (chosen == "cgan") != (question == "fake")
        assert rt_ms > 200
    assert abs(fooled / 2000 - rate) <= 0.03


def noise_image(rng):
    return Image.frombytes("RGB", (64, 64), rng.randbytes(64 * 64 * 3))


def test_a_seeing_observer_learns_from_practice_and_needs_no_truth():
    rng = random.Random(4)
    observer = Seeing(noise=0.5, lapse=0.0)
    for number in range(10):
        seen, truth = pair(
            noise_image(rng), noise_image(rng).filter(ImageFilter.GaussianBlur(1)), fake_first=number % 2 == 0
        )
        observer.learn(seen, truth)
    right = 0
    for number in range(100):
        seen, truth = pair(
            noise_image(rng), noise_image(rng).filter(ImageFilter.GaussianBlur(1)), fake_first=number % 2 == 0
        )
        choice, _ = observer.choose("fake", seen, rng)
        right += truth[0 if choice == "first" else 1] == "fake"
    assert right > 85


def test_a_seeing_observer_without_practice_or_difference_guesses():
    rng = random.Random(5)
    observer = Seeing(lapse=0.0)
    picture = noise_image(rng)
    firsts = sum(
        observer.choose("fake", pair(picture, picture, fake_first=True)[0], rng)[0] == "first"
        for _ in range(400)
    )
    assert 160 < firsts < 240


def test_an_unknown_observer_is_refused_with_the_nearest_name():
    with pytest.raises(UserError, match=r"--observer seing: no such observer\. Did you mean 'seeing'\?"):
        make_observer("seing", {}, random.Random(0))
