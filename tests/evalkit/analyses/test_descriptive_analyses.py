import dataclasses

import pytest

from evalkit.analyses import analyze
from evalkit.results import read_results
from tests.evalkit.made_up_responses import MadeUp


def test_the_flow_counts_every_session_once_with_reasons(analysed):
    _, _, _, get = analysed(stopped=2, voided=1, workers=9)
    values = {
        key: get(f"sessions_{key}", "pix2pix").value
        for key in ("started", "finished", "stopped", "excluded", "analysed")
    }
    assert values == {"started": 12, "finished": 10, "stopped": 2, "excluded": 1, "analysed": 9}
    assert get("sessions_excluded", "pix2pix", detail="more than 5 void scored trials").value == 1
    assert get("arrivals", detail="admitted").value == 24
    assert get("arrivals", detail="full").value == 1


def test_a_void_trial_that_was_never_replaced_is_missing_and_a_replaced_one_is_not(tmp_path):
    made = MadeUp(workers=4, images=16, trials=10, void_trials=2, voided=0, stopped=0).draw()
    first = next(r for r in made.responses if r.void_reason)
    made.responses.append(
        dataclasses.replace(
            first, attempt=1, void_reason="", choice="first", outcome=1.0, image_1="x", image_2="y"
        )
    )
    records = read_results(analyze(made.write(tmp_path, bundle=False), "live"))
    values = {(r.key, r.condition, r.detail): r.value for r in records if not r.image}
    assert values["trials_void", "pix2pix", "hidden"] == 2
    assert values["trials_missing", "pix2pix", ""] == 1
    assert values["trials_missing", "cyclegan", ""] == 2
    assert values["trials", "pix2pix", ""] == 4 * 10 - 1


def test_a_void_trial_replaced_by_another_algorithms_image_is_not_missing(tmp_path):
    made = MadeUp(workers=4, images=16, trials=10, void_trials=2, voided=0, stopped=0, design="within").draw()
    voids = [r for r in made.responses if r.void_reason and r.condition == "pix2pix"]
    for void in voids:
        stand_in = {
            "condition": "cyclegan",
            "attempt": 1,
            "void_reason": "",
            "choice": "first",
            "outcome": 1.0,
        }
        slot = 1 if void.condition_1 == "pix2pix" else 2
        fakes = {f"condition_{slot}": "cyclegan", f"image_{slot}": f"cyclegan of {void.source_id_1}"}
        made.responses.append(dataclasses.replace(void, **stand_in, **fakes))
    records = read_results(analyze(made.write(tmp_path, bundle=False), "live"))
    missing = {r.condition: r.value for r in records if r.key == "trials_missing"}
    assert len(voids) == 2
    assert missing["pix2pix"] == 0


def test_views_per_image_are_counted_over_counted_trials(analysed):
    _, _, records, get = analysed()
    votes = sorted(r.n["votes"] for r in records if r.key == "image_fool_rate" and r.condition == "pix2pix")
    assert get("views_per_image_min", "pix2pix").value == votes[0]
    assert get("views_per_image_max", "pix2pix").value == votes[-1]
    assert sum(votes) == get("trials", "pix2pix").value
    assert get("images", "pix2pix").value == len(votes)


def test_each_image_has_its_raw_share_and_one_pulled_toward_the_mean(analysed):
    _, _, records, get = analysed(images=8, workers=12, image_sd=1.5)
    mean = get("fool_rate", "pix2pix").value
    raw = {r.image: r for r in records if r.key == "image_fool_rate" and r.condition == "pix2pix"}
    shrunken = {
        r.image: r for r in records if r.key == "image_fool_rate_shrunken" and r.condition == "pix2pix"
    }
    assert raw.keys() == shrunken.keys()
    assert len(raw) == 8
    for image, found in shrunken.items():
        assert abs(found.value - mean) <= abs(raw[image].value - mean) + 1e-12
        assert found.interval.low <= found.value <= found.interval.high
        assert "beta-binomial" in found.method


def test_images_that_do_not_differ_are_not_said_to_be_known_exactly(analysed):
    records = analysed(images=24, workers=1, trials=12, voided=0, stopped=0, void_trials=0)[2]  # a vote each
    shrunken = [r for r in records if r.key == "image_fool_rate_shrunken"]
    assert {r.interval.high - r.interval.low for r in shrunken} == {0.0}
    assert all("does not say that the image is known so well" in " ".join(r.notes) for r in shrunken)


def test_exposure_counts_displays_off_by_more_than_one_and_a_half_frames(tmp_path):
    made = MadeUp(workers=3, images=16, trials=10, void_trials=0, voided=0, stopped=0).draw()
    exposures = [1000.0, 1024.0, 1026.0, 974.0, 976.0]  # at 60 Hz 1.5 frames are 25 ms
    made.responses = [
        dataclasses.replace(r, exposure_ms_1=exposures[place % 5], exposure_ms_2=1000.0)
        for place, r in enumerate(made.responses)
    ]
    records = read_results(analyze(made.write(tmp_path, bundle=False), "live"))
    values = {r.key: r for r in records if r.condition == "pix2pix"}
    assert values["exposures_outside"].value == 2 * 30 / 5
    assert values["exposures_outside"].n["displays"] == 60
    assert values["exposure_ms_median"].value == 1000
    assert (values["exposure_ms_min"].value, values["exposure_ms_max"].value) == (974, 1026)


def test_exposures_that_were_not_recorded_are_said_to_be_missing(tmp_path):
    made = MadeUp(workers=3, images=16, trials=4, stopped=0).draw()
    made.responses = [dataclasses.replace(r, exposure_ms_1=None, exposure_ms_2=None) for r in made.responses]
    records = read_results(analyze(made.write(tmp_path, bundle=False), "live"))
    (median,) = [r for r in records if r.key == "exposure_ms_median" and r.condition == "cyclegan"]
    assert (median.value, median.notes) == (None, ("No exposure was recorded.",))


def test_a_known_fool_rate_lies_inside_its_interval(analysed):
    # Seeds fixed; with image_sd 0 and worker_sd 0 the truth is exactly the given rate.
    _, _, _, get = analysed(workers=40, images=40, trials=30, worker_sd=0, image_sd=0, seed=3)
    for condition, rate in (("pix2pix", 0.3), ("cyclegan", 0.2)):
        interval = get("fool_rate", condition).interval
        assert interval.low < rate < interval.high
        assert interval.high - interval.low == pytest.approx(
            2 * 1.96 * (rate * (1 - rate) / 1200) ** 0.5, rel=0.35
        )
