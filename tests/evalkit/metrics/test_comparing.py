"""Scores that were not made alike are not compared."""

import dataclasses

import pytest

from evalkit.metrics.comparing import check_comparable
from evalkit.results import Provenance, Score
from studies.errors import UserError

WEIGHTS = "6726825d" * 8


def fid(condition="a", run=0, *, key="fid", reals="1" * 64, fakes="2" * 64, labels=None, **settings):
    digests = {"reals": reals, "fakes": fakes} | ({"labels": labels} if labels else {})
    return Score(
        key=key,
        value=30.0,
        unit="distance",
        method="Fréchet distance",
        n={"reals": 100, "fakes": 100},
        condition=condition,
        run=run,
        higher_is_better=False,
        source="Heusel et al. 2017",
        settings={"weights": WEIGHTS, "precision": "fp32", "resize": "bilinear 299", "recipe": "1"}
        | settings,
        provenance=Provenance(digests=digests),
    )


def test_scores_of_other_fakes_conditions_and_runs_are_what_one_compares():
    scores = [fid(), fid("b", fakes="3" * 64), fid("b", 1, fakes="4" * 64)]
    check_comparable(scores)
    assert scores[0].difference(scores[1]) == ""


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"precision": "fp16"}, "precision: fp32 and fp16"),
        ({"weights": "random, seed 3"}, "weights: 6726825d6726825d... and random, seed 3"),
        ({"resize": "none"}, "resize: bilinear 299 and none"),
        ({"recipe": "2"}, "recipe: 1 and 2"),
        ({"reals": "9" * 64}, "reals: SHA-256 1111111111111111... and 9999999999999999..."),
        ({"absent": "skip"}, "absent: not said and skip"),
    ],
)
def test_the_first_difference_is_named(changes, named):
    one, other = fid(), fid("b", **changes)
    assert one.difference(other) == named
    with pytest.raises(
        UserError, match="fid of a \\(run 0\\) and of b \\(run 0\\) cannot be compared; they differ in"
    ):
        check_comparable([one, other])


def test_other_label_maps_are_another_yardstick():
    assert fid(labels="5" * 64).difference(fid("b", labels="6" * 64)).startswith("labels: SHA-256 5555")
    assert fid(labels="5" * 64).difference(fid("b", labels="5" * 64)) == ""


def test_a_pair_far_down_the_list_is_found():
    scores = [fid(str(n)) for n in range(5)] + [fid("odd", precision="fp16")]
    with pytest.raises(UserError, match=r"fid of 0 \(run 0\) and of odd \(run 0\)"):
        check_comparable(scores)


def test_different_quantities_may_stand_together_though_they_are_made_differently():
    check_comparable([fid(), fid(key="lpips_alex", weights="a" * 64, precision="fp16")])
    assert fid().difference(fid(key="kid")) == "quantity: fid and kid"


def test_a_score_of_no_run_is_named_by_its_condition_alone():
    with pytest.raises(UserError, match="fid of a and of b cannot be compared"):
        check_comparable([fid(run=None), dataclasses.replace(fid("b", precision="fp16"), run=None)])
