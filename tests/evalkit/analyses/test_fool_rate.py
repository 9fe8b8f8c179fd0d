import numpy as np
import pandas as pd
import pytest

import evalkit
from evalkit.analyses import analyze
from evalkit.results import read_results
from evalkit.stats.proportions import clustered_rate
from studies.errors import UserError


def test_the_primary_rate_is_clustered_by_worker_source_image_and_real_partner(analysed):
    _, made, _, get = analysed(pairing="different")
    rate = get("fool_rate", "pix2pix")
    void = {r.session for r in made.responses if r.trial_index >= 2 + 5 and r.void_reason}
    mine = [r for r in made.responses if r.session.startswith("pix2pix") and r.fooled is not None]
    mine = [r for r in mine if r.session in {f"pix2pix-{place}" for place in range(9)} - void]
    sides = [(1, 2) if r.fake_slot == 1 else (2, 1) for r in mine]
    clusters = {
        "workers": [r.worker for r in mine],
        "source_images": [getattr(r, f"source_id_{fake}") for r, (fake, _) in zip(mine, sides, strict=True)],
        "real_images": [getattr(r, f"source_id_{real}") for r, (_, real) in zip(mine, sides, strict=True)],
    }
    expected = clustered_rate([r.fooled for r in mine], clusters)
    assert rate.value == expected.value
    ends = rate.interval.low, rate.interval.high
    assert ends == pytest.approx((expected.interval.low, expected.interval.high))
    assert rate.interval.method == expected.interval.method
    assert rate.n["trials"] == len(mine) == 9 * 12 - 2
    assert rate.provenance.status == "planned"


def test_with_the_same_input_on_both_sides_there_is_no_separate_real_dimension(analysed):
    rate = analysed(pairing="same")[3]("fool_rate", "pix2pix")
    assert "workers × source images, t" in rate.method
    assert "real_images" not in rate.n


def test_these_images_clusters_on_workers_only(analysed):
    rate = analysed(target="these images")[3]("fool_rate", "pix2pix")
    assert "over workers, t with 8 degrees of freedom" in rate.method


def test_this_loss_takes_its_degrees_of_freedom_from_the_runs(analysed):
    _, _, _, get = analysed(target="this loss", runs=3)
    assert get("fool_rate", "pix2pix").interval.degrees_of_freedom == 2
    assert get("fool_rate", "pix2pix").n["runs"] == 3
    assert 2 <= get("fool_rate_difference", "pix2pix", "cyclegan").interval.degrees_of_freedom <= 4
    assert any("it is the runs that set" in note for note in get("fool_rate", "pix2pix").notes)


def test_one_run_says_that_nothing_separates_the_loss_from_the_seed(analysed):
    _, _, _, get = analysed()
    for record in (get("fool_rate", "pix2pix"), get("fool_rate_difference", "pix2pix", "cyclegan")):
        assert any("nothing here separates the loss from the seed" in note for note in record.notes)


def test_partial_and_excluded_sessions_stand_in_rows_of_their_own(analysed):
    _, _, _, get = analysed(stopped=2, voided=1)
    trials = get("fool_rate", "cyclegan").n["trials"]
    assert get("fool_rate_with_partial_sessions", "cyclegan").n["trials"] == trials + 2 * 6
    assert get("fool_rate_without_exclusions", "cyclegan").n["trials"] == trials + 6


def test_the_interval_that_ignores_clustering_says_so_and_is_not_the_primary_one(analysed):
    naive = analysed()[3]("fool_rate_ignoring_clustering", "pix2pix")
    assert "ignores clustering" in naive.method
    assert "comparison only" in naive.notes[0]


def test_the_difference_is_first_minus_second_on_shared_images(analysed):
    _, _, _, get = analysed()
    difference = get("fool_rate_difference", "pix2pix", "cyclegan")
    assert difference.value == pytest.approx(
        get("fool_rate", "pix2pix").value - get("fool_rate", "cyclegan").value
    )
    assert difference.n["workers"] == 18
    assert difference.n["source_images"] == 16


def test_in_a_within_design_a_worker_is_one_cluster_in_both_conditions(analysed):
    difference = analysed(design="within")[3]("fool_rate_difference", "pix2pix", "cyclegan")
    assert difference.n["workers"] == 18  # 9 sessions for each condition's seed, each seeing both
    assert difference.interval is not None


def test_a_rate_of_zero_falls_back_and_says_so(analysed):
    _, _, _, get = analysed(rates={"pix2pix": 1e-9, "cyclegan": 0.3}, worker_sd=0, image_sd=0)
    assert get("fool_rate", "pix2pix").value == 0
    assert "Clopper-Pearson with n = 9 workers" in get("fool_rate", "pix2pix").method
    assert "square-and-add" in get("fool_rate_difference", "pix2pix", "cyclegan").method


@pytest.mark.parametrize("as_frame", [True, False])
def test_the_library_function_takes_arrays_or_a_table_and_counts_missing_answers(as_frame):
    columns = {"who": list("aabbccdd"), "what": list("xyxyxyxy"), "real": [1, 0, 0, 1, np.nan, 0, 1, 1]}
    table = pd.DataFrame(columns) if as_frame else columns
    found = evalkit.fool_rate(table, fooled="real", worker="who", image="what")
    assert found.value == pytest.approx(4 / 7)
    assert found.n == {"trials": 7, "workers": 4, "source_images": 2, "missing": 1}


def test_the_library_function_names_a_missing_column():
    with pytest.raises(UserError, match=r"the table has no column 'worker'\. Did you mean 'workers'\?"):
        evalkit.fool_rate({"fooled": [1], "workers": [1], "image": [1]})


def test_the_same_rate_stands_beside_it_by_every_other_method_with_its_target(analysed):
    _, _, _, get = analysed(workers=12)
    primary = get("fool_rate", "pix2pix")
    targets = {
        "fool_rate_worker_averaged": "these images",
        "fool_rate_these_images": "these images",
        "fool_rate_worker_bootstrap": "these images",
        "fool_rate_amt2020": "these images",
        "fool_rate_pigeonhole": "this trained generator",
    }
    for key, target in targets.items():
        found = get(key, "pix2pix")
        assert found.value == pytest.approx(primary.value, abs=0.02), key
        assert found.interval.low < found.value < found.interval.high
        assert any(note.startswith(f"Target, {target}") for note in found.notes), key
        assert (found.seed is not None) == (key.split("_")[-1] in {"bootstrap", "amt2020", "pigeonhole"})
    assert any(note.startswith("Target, this trained generator") for note in primary.notes)
    assert (
        get("fool_rate_these_images", "pix2pix").standard_error
        < get("fool_rate_pigeonhole", "pix2pix").standard_error
    )


def test_missing_answers_are_counted_and_never_scored(analysed, tmp_path):
    folder, _, _, get = analysed()
    before = get("fool_rate", "pix2pix")
    path = folder / "live" / "responses.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = frame.index[(frame["session"] == "pix2pix-3") & (frame["phase"] == "scored")][:4]
    frame.loc[rows, ["choice", "outcome", "rt_ms"]] = ""
    frame.to_csv(path, index=False)
    after = next(
        r for r in read_results(analyze(folder, "live")) if (r.key, r.condition) == ("fool_rate", "pix2pix")
    )
    assert after.n["trials"] == before.n["trials"] - 4
    assert (before.n["missing"], after.n["missing"]) == (0, 4)
    assert "4 trials without an answer: left out, not scored." in after.notes


def test_mixed_sessions_are_one_batch_for_the_papers_bootstrap(analysed):
    _, _, _, get = analysed(design="within")
    found = get("fool_rate_amt2020", "pix2pix")
    assert found.value == pytest.approx(get("fool_rate", "pix2pix").value, abs=0.02)
    assert found.n["workers"] == 18


@pytest.mark.parametrize(
    "method", ["clustered", "worker_averaged", "workers", "pigeonhole", "worker_bootstrap", "amt2020"]
)
def test_the_library_function_gives_every_method_the_same_twice(method):
    rng = np.random.default_rng(1)
    table = {
        "fooled": (rng.random(400) < 0.3).astype(float),
        "worker": np.repeat(np.arange(20), 20),
        "image": np.tile(np.arange(40), 10),
    }
    found = evalkit.fool_rate(table, method, n_resamples=500)
    assert found == evalkit.fool_rate(table, method, n_resamples=500)
    assert found.value == pytest.approx(table["fooled"].mean(), abs=0.005)
    assert 0.01 < found.standard_error < 0.06
    assert found.interval.low < found.value < found.interval.high


def test_a_worker_average_says_when_workers_count_unequally():
    found = evalkit.fool_rate({"fooled": [1, 1, 1, 0], "worker": list("aaab")}, "worker_averaged")
    assert found.value == 0.5
    assert any("1 to 3 trials" in note for note in found.notes)


def test_the_library_difference_and_its_tests_agree_with_each_other():
    rng = np.random.default_rng(2)
    tables = [
        {
            "fooled": (rng.random(600) < rate).astype(float),
            "worker": np.repeat(np.arange(30), 20) + 100 * place,
            "image": np.tile(np.arange(60), 10),
        }
        for place, rate in enumerate((0.4, 0.25))
    ]
    difference = evalkit.fool_rate_difference(*tables)
    test, permutation = (evalkit.fool_rate_test(*tables, method) for method in ("clustered", "permutation"))
    assert difference.value == test.value == pytest.approx(permutation.value)
    assert difference.interval.low > 0
    assert test.p_value < 0.05
    assert permutation.p_value < 0.05
    within = [{**table, "worker": table["worker"] % 100} for table in tables]
    assert "within workers" in evalkit.fool_rate_test(*within, "permutation").method
    tables[1]["worker"][:20] = 0
    with pytest.raises(UserError, match="some workers are in both tables and some in one only"):
        evalkit.fool_rate_test(*tables, "permutation")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "amt2002"}, "no method is called 'amt2002'. Did you mean 'amt2020'?"),
        (
            {"method": "amt2020", "n_resamples": 10},
            "n_resamples = 10: at least 100 are needed for an interval.",
        ),
        (
            {"table": {"fooled": [1, "yes"], "worker": [1, 2], "image": [1, 2]}},
            "row 1: 'yes' is no number between 0 and 1",
        ),
        (
            {"table": {"fooled": [1, 2], "worker": [1, 2], "image": [1, 2]}},
            "row 1: '2' is no number between 0 and 1",
        ),
        (
            {"table": {"fooled": [1, 0], "worker": [1, None], "image": [1, 2]}},
            "column 'worker': an answered row has no value",
        ),
    ],
)
def test_the_library_function_says_what_is_wrong_in_one_line(change, says):
    arguments = {"table": {"fooled": [1, 0], "worker": [1, 2], "image": [1, 2]}, **change}
    with pytest.raises(UserError) as caught:
        evalkit.fool_rate(**arguments)
    assert says in str(caught.value)
