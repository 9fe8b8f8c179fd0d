import numpy as np
import pandas as pd
import pytest

import evalkit
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
    assert rate.interval == expected.interval
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
