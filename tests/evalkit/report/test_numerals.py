import doctest

import pytest

from evalkit import results
from evalkit.report import numerals
from evalkit.results import Interval


@pytest.mark.parametrize("module", [numerals, results])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_what_could_not_be_estimated_is_a_dash_in_every_kind_of_number():
    functions = (numerals.percent, numerals.points, numerals.count, numerals.plain, numerals.milliseconds)
    assert {function(None) for function in functions} == {"–"}
    assert numerals.percent_range(None) == numerals.points_range(None) == "–"


def test_a_difference_keeps_its_sign_and_zero_has_none():
    texts = [numerals.points(value) for value in (0.051, -0.051, 0.0002, -0.0002)]
    assert texts == ["+5.1", "−5.1", "0.0", "0.0"]
    assert numerals.points_range(Interval(-0.02, 0.1, 0.95, "")) == "−2.0 to +10.0"


def test_levels_are_written_without_needless_decimals():
    assert numerals.level(0.95) == "95 %"
    assert numerals.level(0.999) == "99.9 %"
