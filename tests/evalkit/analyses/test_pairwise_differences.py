import math
import tomllib

import pytest

from evalkit.analyses import Context, pairwise_differences
from evalkit.responses import build_table
from evalkit.results import Estimate, HypothesisTest, Provenance
from studies.design import parse_study
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp

FOUR = {"l1": 0.1, "gan": 0.3, "l1_gan": 0.32, "cgan": 0.5}


def run(context=None, analysis=None, **changes):
    made = MadeUp(**{"workers": 12, "images": 24, "trials": 20, "rates": FOUR, **changes}).draw()
    tree = tomllib.loads(made.toml())
    tree["analysis"] |= analysis or {}
    study = parse_study(tree, "study.toml")
    table = build_table(made.responses, made.sessions, made.arrivals, study)
    context = context or Context(Provenance(study="made-up"), n_resamples=2000)
    return study, table, pairwise_differences.run(table, study, context)


def by(results, key):
    return {(one.condition, one.versus): one for one in results if one.key == key}


def test_every_pair_has_a_difference_a_clustered_test_and_a_permutation_test():
    study, _, results = run()
    for key, kind in (
        ("fool_rate_difference", Estimate),
        ("difference_test", HypothesisTest),
        ("difference_permutation", HypothesisTest),
    ):
        found = by(results, key)
        assert list(found) == list(study.contrasts)
        assert len(found) == 6
        assert all(isinstance(one, kind) for one in found.values())
    for pair, test in by(results, "difference_test").items():
        difference = by(results, "fool_rate_difference")[pair]
        assert (
            test.value == difference.value == pytest.approx(by(results, "difference_permutation")[pair].value)
        )
        assert (test.p_value < 0.05) == (not difference.interval.low <= 0 <= difference.interval.high)


def test_clearly_different_algorithms_are_told_apart_and_alike_ones_are_not():
    _, _, results = run()
    for key in ("difference_test", "difference_permutation"):
        assert by(results, key)["l1", "cgan"].p_adjusted < 0.05
        assert by(results, key)["gan", "l1_gan"].p_adjusted > 0.2


def test_holm_is_over_the_planned_contrasts_only_and_names_its_family():
    _, _, everything = run()
    study, _, planned = run(analysis={"contrasts": ["cgan - l1", "cgan - gan"]})
    assert study.contrasts == (("cgan", "l1"), ("cgan", "gan"))
    assert list(by(planned, "fool_rate_difference")) == [("cgan", "l1"), ("cgan", "gan")]
    assert {one.detail for one in by(planned, "difference_test").values()} == {
        "Holm over the planned contrasts: 2"
    }
    assert {one.detail for one in by(everything, "difference_test").values()} == {"Holm over all pairs: 6"}
    tests = sorted(by(planned, "difference_test").values(), key=lambda one: one.p_value)
    assert tests[0].p_adjusted == pytest.approx(min(1, 2 * tests[0].p_value))
    assert tests[1].p_adjusted == pytest.approx(max(tests[1].p_value, tests[0].p_adjusted))


def test_each_record_names_its_target():
    _, _, results = run()
    clustered, permuted = (
        by(results, key)["l1", "gan"] for key in ("difference_test", "difference_permutation")
    )
    assert any(note.startswith("Target, this trained generator") for note in clustered.notes)
    assert any(note.startswith("Target, these images") for note in permuted.notes)
    assert any("nothing here separates the loss from the seed" in note for note in clustered.notes)
    assert permuted.provenance.target == "these images"


def test_a_permutation_p_value_has_its_seed_and_is_never_zero():
    _, _, results = run(rates={"a": 0.02, "b": 0.98})
    test = by(results, "difference_permutation")["a", "b"]
    assert test.p_value == 1 / 2001
    assert (test.n_resamples, test.seed is not None) == (2000, True)
    assert "whole workers dealt anew" in test.method


def test_within_sessions_labels_are_swapped_within_workers():
    _, _, results = run(design="within", rates={"a": 0.2, "b": 0.5})
    test = by(results, "difference_permutation")["a", "b"]
    assert "labels swapped within workers" in test.method
    assert test.p_value < 0.05


def test_without_resamples_there_are_no_permutations_and_the_rest_is_the_same():
    study, table, results = run(Context(Provenance(study="made-up"), n_resamples=0))
    assert not by(results, "difference_permutation")
    assert list(by(results, "fool_rate_difference").values()) == pairwise_differences.differences(
        table, study
    )


def test_nobody_fooled_or_one_worker_gives_a_note_and_no_p_value_out_of_thin_air():
    _, _, nobody = run(rates={"a": 1e-9, "b": 1e-9}, worker_sd=0, image_sd=0)
    permuted = by(nobody, "difference_permutation")["a", "b"]
    assert (permuted.p_value, permuted.p_adjusted) == (None, None)
    assert permuted.notes[0].startswith("Nothing can be permuted")
    _, _, one = run(rates={"a": 0.3, "b": 0.3}, workers=1, voided=0)
    assert by(one, "difference_test")["a", "b"].p_value is None
    assert math.isfinite(by(one, "difference_test")["a", "b"].value)


@pytest.mark.parametrize(
    ("contrasts", "says"),
    [
        (["l1 - gann"], "no condition is called 'gann'. Did you mean 'gan'?"),
        (["l1-gan"], "'l1-gan' is no contrast; write \"FIRST - SECOND\" with blanks around the minus"),
        (["l1 - l1"], "'l1 - l1' compares a condition with itself"),
        (["l1 - gan", "gan - l1"], "the pair of 'gan - l1' stands there twice"),
    ],
)
def test_a_contrast_that_cannot_be_is_refused_when_the_study_is_read(contrasts, says):
    with pytest.raises(UserError) as caught:
        run(analysis={"contrasts": contrasts})
    assert says in str(caught.value)
