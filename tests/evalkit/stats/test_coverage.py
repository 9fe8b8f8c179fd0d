"""Coverage of the clustered intervals over made-up studies; `docs/statistics.md` has the table."""

import pytest

from tests.evalkit.stats.coverage import DIFFERENCES, RATES, SMALL_DIFFERENCES, SMALL_RATES, simulate

STUDIES = 2000
EVERY = [*RATES, *DIFFERENCES, *SMALL_RATES, *SMALL_DIFFERENCES]


@pytest.mark.reliability
@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.words)
def test_95_percent_intervals_cover_the_truth_as_the_table_says(row):
    found = simulate(row, STUDIES)
    assert row.lowest <= found.covered <= row.highest, found


@pytest.mark.parametrize(
    "row", [RATES[3], RATES[10], DIFFERENCES[8], DIFFERENCES[9]], ids=lambda row: row.words
)
def test_in_a_few_studies_no_interval_is_far_from_its_level(row):
    # 150 studies: the SD of a coverage of 95 % is 1.8 %.
    found = simulate(row, 150)
    assert 89 <= found.covered <= 100
    if len(row.made.rates) == 1:
        assert found.naive < 80  # or the studies would not be clustered at all
