import json

import pytest
from click.testing import CliRunner

from evalkit.cli.power import power
from evalkit.stats.power import Design, Spread, difference_precision
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp


def run(*arguments):
    return CliRunner().invoke(power, [str(argument) for argument in arguments], catch_exceptions=False)


def as_json(*arguments):
    return json.loads(run(*arguments, "--json").stdout)


def test_the_tables_tell_people_images_runs_and_cost():
    shown = run("--rate", 0.25, "--difference", 0.05, "--trials", 40, "--pay", 12).stdout
    assert "Fool rates 30 % and 25 %" in shown
    assert "this loss                                      needs 2 runs" in shown
    assert "no number is enough" in shown  # 50 images
    assert "Cost: 2 algorithms, 7 minutes at 12 per hour, plus 33 % fee." in shown
    assert "Half as much again of one thing" in shown
    assert "One training run cannot separate the loss from its seed" in shown


def test_cost_is_pay_and_fee_of_all_sessions():
    row = as_json("--workers", 50, "--algorithms", 4, "--pay", 12, "--fee", 0.25, "--minutes", 10)[
        "by_target"
    ][0]
    assert row["sessions"] == 200
    assert row["cost"] == pytest.approx(200 * 12 * 10 / 60 * 1.25)
    within = as_json("--workers", 50, "--algorithms", 4, "--within", "--pay", 12, "--minutes", 10)
    assert within["by_target"][0]["sessions"] == 50
    of_two = as_json("--workers", 50, "--within")  # each has 20 of the 40 trials, not 10
    assert within["by_target"][1]["power"] < of_two["by_target"][1]["power"]
    assert as_json()["by_target"][0]["cost"] is None


def test_longer_sessions_cost_more():
    advice = as_json("--pay", 12, "--minutes", 7)["half_as_much_again"]
    now = as_json("--pay", 12, "--minutes", 7)["by_target"][0]["cost"]
    assert advice["trials"]["cost"] == pytest.approx(now * 9 / 7)  # 20 more trials, six seconds each
    assert advice["images"]["cost"] == pytest.approx(now)


def test_json_holds_the_numbers_of_the_library():
    found = as_json(
        "--rate", 0.2, "--difference", 0.1, "--runs", 3, "--worker-sd", 1.0, "--own-image-sd", 0.4
    )
    design, spread = Design(50, 100, 40, runs=3), Spread(workers=1.0, own_images=0.4)
    for row in found["by_target"]:
        expected = difference_precision((0.3, 0.2), design, spread, row["target"])
        assert row["power"] == pytest.approx(expected.power(0.1))
    assert [point["workers"] for point in found["curve"]["this loss"]][:2] == [10, 15]


def test_what_buys_most_comes_first():
    advice = as_json("--images", 50, "--workers", 200, "--own-image-sd", 0.9)["half_as_much_again"]
    assert next(iter(advice)) == "images"
    runs = as_json("--runs", 2, "--target", "this loss", "--run-sd", 0.5)["half_as_much_again"]
    assert next(iter(runs)) == "runs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", 0.9, "--difference", 0.2), "--rate 0.9 and --difference 0.2 add up to 1 or more"),
        (("--images", 30), "--images 30 is fewer than --trials 40: a session shows a source image once"),
        (("--own-image-sd", 1.5), "--own-image-sd 1.5 is a part of --image-sd 0.9 and cannot be larger"),
        (("--out", "curve.txt"), "--out curve.txt: the name must end in .svg, .png or .pdf"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, message):
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert message in str(caught.value)


def test_the_curve_is_drawn(tmp_path):
    run("--out", tmp_path / "power.svg")
    assert (
        "this generator" in (tmp_path / "power.svg").read_text()
        or b"<svg" in (tmp_path / "power.svg").read_bytes()
    )


def test_a_pilot_gives_the_rate_and_the_spread(tmp_path):
    made = MadeUp(workers=40, images=60, trials=30, worker_sd=0.8, image_sd=0.9, pairing="same", data="pilot")
    result = run("--pilot", made.write(tmp_path / "pilot"), "--json")
    plan = json.loads(result.stdout)["plan"]
    assert 0.2 < plan["rate"] < 0.3  # of 0.3 and 0.2
    assert plan["spread"]["workers"] == pytest.approx(0.8, abs=0.3)
    assert plan["spread"]["images"] == pytest.approx(0.9, abs=0.35)
    assert plan["spread"]["runs"] == 0.3  # a pilot with one run says nothing of runs
    assert "From pilot data of" in result.stderr


def test_what_is_said_counts_more_than_the_pilot(tmp_path):
    folder = MadeUp(workers=20, images=30, trials=20, data="simulated").write(tmp_path / "pilot")
    result = run("--pilot", folder, "--rate", 0.4, "--worker-sd", 0.5, "--trials", 30, "--json")
    plan = json.loads(result.stdout)["plan"]
    assert (plan["rate"], plan["spread"]["workers"]) == (0.4, 0.5)
    assert "SIMULATED data" in result.stderr


def test_a_pilot_without_responses_is_refused(tmp_path):
    folder = MadeUp(workers=3, images=30, trials=10).write(tmp_path / "pilot")
    for path in folder.glob("*/responses.csv"):
        path.unlink()
    with pytest.raises(UserError, match="no responses to plan with"):
        run("--pilot", folder)


def test_who_writes_percent_is_told_how():
    assert "Write 25 % as 0.25." in run("--rate", "25").output
    assert "Write 25 % as 0.25." in run("--difference", "5%").output
