"""Even labels and far-apart partners."""

import random
from collections import Counter

import pytest

from studies.balance import far_apart, shuffle_within, spread_labels
from studies.errors import UserError


def test_labels_are_even_within_each_group_whatever_its_size():
    for size in range(1, 12):
        for labels in (1, 2, 3, 5):
            group = list(range(size))
            drawn = spread_labels([group], {trial: [] for trial in group}, labels, random.Random(size))
            counts = [list(drawn.values()).count(label) for label in range(labels)]
            assert max(counts) - min(counts) <= 1


def test_labels_become_even_over_the_images():
    rng = random.Random(3)
    groups = [[(session, trial) for trial in range(40)] for session in range(50)]
    vertices = {
        (session, trial): [image]
        for session in range(50)
        for trial, image in enumerate(rng.sample(range(50), 40))
    }
    drawn = spread_labels(groups, vertices, 2, random.Random(1))
    balance: Counter[int] = Counter()
    for trial, label in drawn.items():
        balance[vertices[trial][0]] += 1 if label else -1
    assert max(map(abs, balance.values())) <= 1


def test_a_shuffle_keeps_every_trial_in_its_phase():
    phases = ["practice"] * 3 + ["scored"] * 8 + ["reserve"] * 2
    order = shuffle_within(phases, random.Random(0))
    assert sorted(order) == list(range(13))
    assert [phases[old] for old in order] == phases
    assert order != list(range(13))


def test_a_shuffle_with_a_cycle_keeps_partners_exactly_that_far_apart():
    phases = ["practice"] * 4 + ["scored"] * 16
    order = shuffle_within(phases, random.Random(2), cycle=10)
    assert order != list(range(20))
    for time in range(10):
        assert abs(order[time] - order[time + 10]) == 10


def test_partners_are_put_as_far_from_their_fake_as_possible():
    partners = ["a", "b", "c", "d"]
    placed = far_apart(partners, ["scored"] * 4, {"a": 0, "b": 1, "c": 2, "d": 3})
    assert sorted(placed) == partners
    assert [abs(placed.index(name) - at) for at, name in enumerate("abcd")] == [2, 2, 2, 2]


def test_partners_that_cannot_be_parted_are_refused():
    with pytest.raises(
        UserError, match="too few inputs to pair each fake with a real image of another input"
    ):
        far_apart(["a"], ["scored"], {"a": 0})
