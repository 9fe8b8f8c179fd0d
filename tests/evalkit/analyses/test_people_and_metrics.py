import csv
import math
import tomllib

import numpy as np
import pytest
from scipy import stats

from evalkit.analyses import people_and_metrics
from evalkit.analyses.base import Context
from evalkit.responses import build_table
from evalkit.results import Provenance, Score, append_results
from studies.design import parse_study
from tests.evalkit.made_up_responses import MadeUp

RATES = {f"alg{k}": rate for k, rate in enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.6))}


def score(key, condition, value, error, better, **settings):
    return Score(
        key=key, value=value, unit="distance", method="made up", condition=condition, run=0, standard_error=error,
        higher_is_better=better, source="", settings=settings, provenance=Provenance(digests={"fakes": condition}),
    )  # fmt: skip


def correlated(folder, scores, rates=RATES, per_image=None, **changes):
    made = MadeUp(rates=dict(rates), **{"workers": 8, "images": 24, "trials": 24, **changes}).draw()
    study = parse_study(tomllib.loads(made.toml()), "study.toml")
    append_results(folder / "scores.jsonl", scores)
    if per_image:
        with (folder / "scores_per_image.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("condition", "run", "key", "source_id", "value", "mark", "fakes"))
            writer.writerows(per_image)
    table = build_table(made.responses, made.sessions, made.arrivals, study)
    context = Context(Provenance(study="made-up"), n_resamples=300, folder=folder)
    records = people_and_metrics.run(table, study, context)
    return {(type(r).__name__, r.key, r.condition, r.detail): r for r in records}, table


def fids(names, values, error=None):
    return [score("fid", name, value, error, False) for name, value in zip(names, values, strict=True)]


def test_the_correlation_over_algorithms_is_scipys_with_n_the_number_of_algorithms(tmp_path):
    values = [90.0, 80.0, 85.0, 60.0, 50.0, 55.0]
    found, table = correlated(tmp_path, fids(RATES, values))
    rates = [table.primary[table.primary["condition"] == name]["fooled"].mean() for name in RATES]
    for key, oracle in (("spearman", stats.spearmanr), ("kendall", stats.kendalltau)):
        record = found["Estimate", key, "", "fid, over algorithms"]
        assert record.value == pytest.approx(oracle(rates, values).statistic)
        assert record.n["algorithms"] == 6
        assert record.interval.low <= record.value <= record.interval.high
        assert "lower is better, so that -1 is full agreement" in record.notes[0]
        assert "no standard error for every algorithm: held fixed" in record.notes[1]
        test = found["HypothesisTest", key, "", "fid, over algorithms"]
        assert 2 / math.factorial(6) <= test.p_value < 0.2
        assert "all 720 orders" in test.method


def test_a_metric_with_a_standard_error_is_resampled_too(tmp_path):
    values = [90.0, 80.0, 85.0, 60.0, 50.0, 55.0]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fixed, _ = correlated(tmp_path / "a", fids(RATES, values))
    moved, _ = correlated(tmp_path / "b", fids(RATES, values, error=25.0))
    about = ("Estimate", "spearman", "", "fid, over algorithms")
    assert moved[about].interval.high > fixed[about].interval.high
    assert "people's and metric's side" in moved[about].method


def test_four_algorithms_are_not_called_a_correlation(tmp_path):
    four = dict(list(RATES.items())[:4])
    found, _ = correlated(tmp_path, fids(four, [4.0, 3.0, 2.0, 1.0]), rates=four)
    record = found["Estimate", "spearman", "", "fid, over algorithms"]
    assert record.value is None
    assert any("4 points are not called a correlation" in note for note in record.notes)
    assert not [about for about in found if about[0] == "HypothesisTest"]


def test_the_ceiling_is_the_root_of_the_split_half_reliability(tmp_path):
    found, _ = correlated(tmp_path, fids(RATES, range(6)))
    ceiling = found["Estimate", "reliability_ceiling", "", "over algorithms"]
    assert 0.8 < ceiling.value <= 1.0


def test_over_images_only_values_of_the_scored_set_count(tmp_path):
    names = {"alg0": 0.3}
    inputs = [f"input{image:03d}" for image in range(24)]
    rng = np.random.default_rng(2)
    rows = [("alg0", "0", "lpips", name, str(rng.random()), "", "alg0") for name in inputs]
    stale = [("alg0", "0", "lpips", name, "9", "", "another set") for name in inputs]
    scores = [score("lpips", "alg0", 0.5, 0.01, False)]
    found, table = correlated(tmp_path, scores, rates=names, per_image=[*rows, *stale], workers=30)
    record = found["Estimate", "spearman", "alg0", "lpips, over images"]
    mine = table.primary.groupby("source_id")["fooled"].mean()
    value = {row[3]: float(row[4]) for row in rows}
    assert record.value == pytest.approx(
        stats.spearmanr(mine, [value[name] for name in mine.index]).statistic
    )
    assert record.n["images"] == 24


def test_without_scores_the_command_that_computes_them_is_named(tmp_path):
    found, _ = correlated(tmp_path, [])
    assert [r.value for r in found.values()] == [None, None]
    assert all("`evalkit metrics` computes them" in r.notes[0] for r in found.values())
