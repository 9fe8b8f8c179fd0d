"""A whole rehearsal of a small study: its records, its certificate, and what they can be checked against."""

import dataclasses
import hashlib
import math
import tomllib

import numpy as np
import pytest
from click.testing import CliRunner

from evalkit.analyses import Context, mixed_model
from evalkit.cli import cli
from evalkit.rehearsal import certificate
from evalkit.rehearsal.advice import changed, design_of, people_needed, predicted_power, proposals
from evalkit.rehearsal.assumptions import GridPoint, Range, from_settings
from evalkit.rehearsal.characteristics import Maker, of_point
from evalkit.rehearsal.pilot import from_pilot
from evalkit.rehearsal.places import made_up_images
from evalkit.rehearsal.rehearse import Plan, rehearse
from evalkit.rehearsal.running import runner
from evalkit.rehearsal.slow import slow_records
from evalkit.rehearsal.studies import ALL_HALF, DIFFERENT, EQUAL, EQUAL_LOSSES, Batch
from evalkit.rehearsal.words import Found, slow_table
from evalkit.report import write_report
from evalkit.responses import build_table
from evalkit.results import Estimate, Provenance, read_results
from studies.design import load_study, parse_study
from studies.errors import UserError
from tests.evalkit.made_up_responses import MadeUp
from tests.evalkit.rehearsal.studies import a_study, its_places
from tests.made_up_study import make_study

POINT = GridPoint(0.7, 0.9)
QUICK = Plan(studies=6, slow=1, seed=1, processes=1)


def index(results):
    return {(one.key, one.detail): one for one in results if not one.condition}


def rehearsed(folder, plan=QUICK):
    study = load_study(folder)
    return rehearse(study, folder, from_settings(study.rehearsal), plan)


def batches(study, places, studies, *scenarios, point=POINT, seed=5):
    with runner(study, places, seed=seed, processes=1) as runs:
        return {name: runs.run(point, name, studies) for name in scenarios}


def test_the_grid_begins_in_the_middle_and_runs_vary_only_for_the_loss():
    spread = from_settings(a_study().rehearsal)
    small = spread.grid(a_study(), full=False)
    assert small == [GridPoint(0.7, 0.9), GridPoint(0.5, 0.6), GridPoint(1.35, 1.2)]
    assert len(spread.grid(a_study(), full=True)) == 9
    loss = a_study(runs=2, analysis={"target": "this loss"})
    assert len(spread.grid(loss, full=True)) == 27
    assert {point.run_sd for point in spread.grid(loss, full=False)} == {0.1, 0.3, 0.5}


def test_a_single_value_is_a_grid_of_one_point():
    assert Range((0.7,), (0.9,), (0.3,), 0.25, "").grid(a_study(), full=False) == [POINT]


def test_shares_count_what_the_intervals_did():
    """Two studies, two algorithms, one contrast, with intervals written by hand."""
    rates = np.zeros((2, 2, 6))
    rates[..., 1], rates[..., 2], rates[..., 4] = 0.1, 0.3, 0.2
    rates[0, 0, 4] = 0.35  # one truth of four outside
    differences = np.zeros((2, 1, 6))
    differences[0, 0] = [0.1, 0.05, 0.15, 0.02, 0.0, 0.01]  # a false positive
    differences[1, 0] = [0.0, -0.05, 0.05, 0.02, 0.0, 1.0]
    batch = Batch(rates, differences, differences[..., 5], np.full((2, 2), np.nan), np.full((2, 5), 24.0))
    found = index(of_point(Maker(a_study(), POINT, Provenance(), 1), {EQUAL: batch, DIFFERENT: batch}))
    assert found["coverage_of_fool_rate", POINT.name].value == pytest.approx(0.75)
    assert found["coverage_of_difference", POINT.name].value == pytest.approx(0.5)
    assert found["false_positive_rate", POINT.name].value == pytest.approx(0.5)
    assert found["half_width_of_fool_rate", POINT.name].value == pytest.approx(0.1)
    assert found["half_width_of_difference", POINT.name].value == pytest.approx(0.05)
    assert found["false_positive_rate", POINT.name].n == {"studies": 2, "values": 2}


def test_what_could_not_be_estimated_is_left_out_and_counted():
    rates = np.full((2, 1, 6), np.nan)
    rates[0, 0, 1:5] = [0.1, 0.3, 0.05, 0.2]
    batch = Batch(rates, np.zeros((2, 0, 6)), np.zeros((2, 0)), np.full((2, 2), np.nan), np.full((2, 5), 1.0))
    found = index(of_point(Maker(a_study(1), POINT, Provenance(), 1), {EQUAL: batch, DIFFERENT: batch}))
    coverage = found["coverage_of_fool_rate", POINT.name]
    assert coverage.value == 1.0
    assert coverage.n["studies"] == 2  # of four, in two batches
    assert any("2 simulated studies gave no interval" in note for note in coverage.notes)
    assert ("power", POINT.name) not in found


def test_a_study_of_one_person_and_one_algorithm_can_be_rehearsed():
    study = a_study(1, study={"participants_per_condition": 1})
    both = batches(study, its_places(study), 3, EQUAL, DIFFERENT)
    found = index(of_point(Maker(study, POINT, Provenance(), 1), both))
    coverage = found["coverage_of_fool_rate", POINT.name]
    assert coverage.value is None
    assert coverage.notes


def test_the_interval_covers_and_the_test_keeps_its_level():
    """A small version; the long one is marked `reliability`."""
    study = a_study(2, study={"participants_per_condition": 20})
    both = batches(study, its_places(study, 40), 60, EQUAL, DIFFERENT)
    found = index(of_point(Maker(study, POINT, Provenance(), 1), both))
    assert found["coverage_of_fool_rate", POINT.name].value > 0.88
    assert found["false_positive_rate", POINT.name].value < 0.15
    assert 0.05 < found["power", POINT.name].value < 0.6


@pytest.mark.reliability
@pytest.mark.parametrize("target", ["these images", "this generator", "this loss"])
def test_no_interval_surely_covers_less_than_93_percent_over_the_grid(target):
    runs = 5 if target == "this loss" else 1
    study = a_study(
        2,
        runs=runs,
        study={"participants_per_condition": 50},
        protocol={"practice": 10, "scored": 40, "reserve": 3},
        analysis={"target": target},
        rehearsal={"careless_share": 0.0},
    )
    places = its_places(study, 120)
    for point in from_settings(study.rehearsal).grid(study, full=False):
        both = batches(study, places, 500, EQUAL, DIFFERENT, point=point)
        found = index(of_point(Maker(study, point, Provenance(), 1), both))
        for key in ("coverage_of_fool_rate", "coverage_of_difference"):
            one = found[key, point.name]
            assert one.interval.high > 0.93, (target, point, key, one.value)
        assert found["false_positive_rate", point.name].interval.low < 0.05


def test_a_planned_analysis_of_another_target_is_said_to_be_one():
    study = a_study()
    maker = Maker(study, POINT, Provenance(target="this generator"), 0)
    found = {one.detail.partition(" @ ")[0]: one for one in slow_records(study, its_places(study), maker, 2)}
    (note,) = found["difference_permutation"].notes
    assert note.startswith("It is itself about these images, and held here against this generator")
    assert found["difference_test"].notes == ()
    rows = {row[0]: row[1] for row in slow_table(Found(tuple(found.values())))[1]}
    assert rows["difference_permutation"] == "false positives, of another target"
    assert rows["difference_test"] == "false positives"


def test_equal_losses_differ_when_only_their_runs_do():
    study = a_study(
        2, study={"participants_per_condition": 60}, protocol={"scored": 24}, rehearsal={"attrition": 0}
    )
    point = GridPoint(0.3, 0.3, 1.0)
    batch = batches(study, its_places(study, 120), 20, EQUAL_LOSSES, point=point)[EQUAL_LOSSES]
    low, high = batch.column("differences", "low"), batch.column("differences", "high")
    assert ((low > 0) | (high < 0)).mean() > 0.4


def test_equivalence_is_rehearsed_where_a_margin_is_set():
    study = a_study(1, study={"participants_per_condition": 80}, analysis={"equivalence_margin": 0.2})
    found = batches(study, its_places(study, 60), 5, ALL_HALF, point=GridPoint(0.3, 0.3))[ALL_HALF]
    assert found.equivalent[:, 0].mean() > 0.7
    narrow = a_study(1, study={"participants_per_condition": 5}, analysis={"equivalence_margin": 0.01})
    found = batches(narrow, its_places(narrow), 5, ALL_HALF)[ALL_HALF]
    assert found.equivalent[:, 0].mean() == 0


def test_the_stopping_rule_ends_recruiting_early_where_it_can():
    rule = {"rule": "confidence_sequence", "half_width": 0.2, "min_participants": 5}
    study = a_study(2, study={"participants_per_condition": 60}, stopping=rule)
    flow = batches(study, its_places(study), 4, EQUAL)[EQUAL].flow
    assert (flow[:, 4] < 110).all()
    assert (flow[:, 4] >= 10).all()
    never = a_study(2, stopping={**rule, "half_width": 0.01})
    assert (batches(never, its_places(never), 2, EQUAL)[EQUAL].flow[:, 4] == 24).all()


def test_the_work_may_be_divided_among_processes_without_changing_a_number():
    study = a_study()
    places = its_places(study)
    with runner(study, places, seed=2, processes=2) as runs:
        divided = runs.run(POINT, EQUAL, 25)
    alone = batches(study, places, 25, EQUAL, seed=2)[EQUAL]
    assert np.array_equal(divided.rates, alone.rates)
    assert np.array_equal(divided.flow, alone.flow)


def test_the_formula_agrees_with_the_simulation():
    study = a_study(
        2,
        study={"participants_per_condition": 40},
        protocol={"scored": 20},
        rehearsal={"attrition": 0, "void_share": 0, "careless_share": 0},
    )
    places = its_places(study, 80)
    batch = batches(study, places, 40, EQUAL)[EQUAL]
    simulated = batch.column("differences", "value").std(ddof=1)
    estimated = np.sqrt(np.mean(batch.column("differences", "error") ** 2))
    images = made_up_images(study, [str(number) for number in range(80)])
    from evalkit.rehearsal.advice import compared_rates, spread
    from evalkit.stats.power import difference_precision

    formula = difference_precision(
        compared_rates(study), design_of(study, images), spread(study, POINT), "this generator"
    )
    assert formula.standard_error == pytest.approx(estimated, rel=0.1)
    assert formula.standard_error == pytest.approx(simulated, rel=0.3)


def test_proposals_change_one_thing_that_the_target_depends_on():
    images = made_up_images(a_study(), [str(number) for number in range(32)])
    for target, names in (
        ("these images", ["people"]),
        ("this generator", ["images", "people"]),
        ("this loss", ["images", "people", "runs"]),
    ):
        study = a_study(runs=2, analysis={"target": target})
        found = proposals(study, design_of(study, images))
        assert [name for one, name in zip(found, names, strict=True) if name in one.name] == names
    larger_study, inputs = changed(study, found[2].design)
    assert larger_study.runs == 3
    assert len(inputs) == 32


def test_no_number_of_people_is_enough_with_few_images():
    study = a_study(2, protocol={"scored": 40, "practice": 2})
    design = dataclasses.replace(
        design_of(study, made_up_images(study, [str(number) for number in range(50)])), workers=50
    )
    needed = people_needed(study, POINT, design)
    assert needed[0] == (50, None)
    inputs, people = needed[-1]
    assert inputs == 500
    assert predicted_power(study, POINT, dataclasses.replace(design, images=500, workers=people)) >= 0.8


class TestOfAStudyFolder:
    def test_the_certificate_tells_what_was_rehearsed_and_can_be_checked(self, tmp_path):
        folder = make_study(tmp_path / "s", recruitment={"reward_cents": 100, "fee_share": 0.5})
        assert certificate.read(folder) is None
        assert certificate.markdown(folder) == ""
        assert certificate.inside_grid(folder, []) == []
        outcome = rehearsed(folder)
        assert not outcome.interrupted
        text = certificate.markdown(folder)
        file = folder / certificate.FILE
        assert hashlib.sha256(file.read_bytes()).hexdigest() in text
        assert "run 6 times at each of 3 settings" in text
        assert "| workers 0.7, images 0.9 |" in text
        assert "the stimulus bundle" in text
        head = read_results(file)[0]
        assert head.provenance.digests["study settings"] == load_study(folder).digest()
        cost = index(read_results(file))["cost", POINT.name]
        assert cost.value == pytest.approx(6 * 1.5)
        assert cost.unit == "GBP"
        assert certificate.read(folder).other_settings is False

    def test_a_changed_study_makes_the_certificate_say_so(self, tmp_path):
        folder = make_study(tmp_path / "s")
        rehearsed(folder)
        toml = folder / "study.toml"
        toml.write_text(
            toml.read_text(encoding="utf-8").replace("max_void_trials = 5", "max_void_trials = 2"),
            encoding="utf-8",
        )
        assert certificate.STALE in certificate.markdown(folder)

    def test_what_a_rehearsal_assumes_is_outside_the_freeze(self, tmp_path):
        folder = make_study(tmp_path / "s")
        before = load_study(folder).digest()
        toml = folder / "study.toml"
        toml.write_text(
            toml.read_text(encoding="utf-8").replace("\nrate = 0.25", "\nrate = 0.4"), encoding="utf-8"
        )
        assert load_study(folder).rehearsal.rate == 0.4
        assert load_study(folder).digest() == before

    def test_the_same_seed_writes_the_same_file(self, tmp_path):
        folder = make_study(tmp_path / "s")
        rehearsed(folder)
        first = (folder / certificate.FILE).read_bytes()
        rehearsed(folder)
        assert (folder / certificate.FILE).read_bytes() == first
        rehearsed(folder, dataclasses.replace(QUICK, seed=2))
        assert (folder / certificate.FILE).read_bytes() != first

    def test_an_interrupt_keeps_the_grid_points_that_are_done(self, tmp_path):
        folder = make_study(tmp_path / "s")
        study = load_study(folder)

        def stop_in_the_second(done, total, told):
            if told == "workers 0.5, images 0.6":
                raise KeyboardInterrupt

        outcome = rehearse(study, folder, from_settings(study.rehearsal), QUICK, stop_in_the_second)
        assert outcome.interrupted
        assert "Interrupted: 1 of 3 grid points were rehearsed." in certificate.markdown(folder)

    def test_an_interrupt_before_that_leaves_an_earlier_rehearsal_as_it_was(self, tmp_path):
        folder = make_study(tmp_path / "s")
        rehearsed(folder)
        before = (folder / certificate.FILE).read_bytes()
        study = load_study(folder)

        def stop(done, total, told):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rehearse(study, folder, from_settings(study.rehearsal), QUICK, stop)
        assert (folder / certificate.FILE).read_bytes() == before

    def test_a_file_that_is_no_rehearsal_is_named(self, tmp_path):
        folder = make_study(tmp_path / "s")
        (folder / certificate.FILE).write_text("{}\n", encoding="utf-8")
        with pytest.raises(UserError, match=r"rehearsal\.jsonl.*again"):
            certificate.read(folder)

    def test_the_models_own_records_are_read_as_one_deviation_of_images(self):
        made = MadeUp(workers=20, trials=20).draw()
        study = parse_study(tomllib.loads(made.toml()), "S")
        table = build_table(made.responses, made.sessions, made.arrivals, study)
        records = mixed_model.run(table, study, Context(Provenance(study="s")))
        sds = {one.detail: one.value for one in records if one.key == "standard_deviation"}
        parts = sds["source_images_shared"], sds["source_images_by_algorithm"]
        assert certificate.observed(records)["source_images"] == pytest.approx(math.hypot(*parts))

    def test_observed_deviations_are_held_against_the_grid(self, tmp_path):
        folder = make_study(tmp_path / "s")
        rehearsed(folder)

        def sd(group, value):
            return Estimate(key="standard_deviation", value=value, unit="logit", method="", detail=group)

        seen = [
            sd("workers", 2.0),
            sd("source_images", 1.0),  # of the two parts that follow
            sd("source_images_shared", 0.6),
            sd("source_images_by_algorithm", 0.8),
            sd("runs", None),
        ]
        placed = {one.group: one for one in certificate.inside_grid(folder, seen)}
        assert set(placed) == {"workers", "source_images"}
        assert not placed["workers"].inside
        assert placed["source_images"].observed == pytest.approx(1.0)
        assert (placed["source_images"].low, placed["source_images"].high) == (0.6, 1.2)
        assert placed["source_images"].inside

    def test_the_command_prints_the_tables_and_the_path(self, tmp_path):
        folder = make_study(tmp_path / "s")
        result = CliRunner().invoke(
            cli, ["rehearse", str(folder), "--studies", "4", "--slow-studies", "1", "--processes", "1"]
        )
        assert result.exit_code == 0, result.output
        assert result.stdout.strip().endswith("rehearsal.jsonl")
        assert "coverage, rate" in result.stderr
        assert "Most" in result.stderr or "most" in result.stderr

    def test_images_that_are_not_built_yet_are_enough(self, tmp_path):
        import shutil

        folder = make_study(tmp_path / "s")
        shutil.rmtree(folder / "stimuli")
        rehearsed(folder)
        assert "not built yet" in certificate.markdown(folder)


def test_a_pilot_gives_a_grid_around_what_it_shows(tmp_path):
    made = MadeUp(data="pilot", workers=30, images=40, trials=30, worker_sd=0.7, image_sd=0.9, seed=3)
    folder = made.write(tmp_path / "pilot", bundle=False)
    found = from_pilot(folder)
    assert found.source == "the pilot data of pilot"
    assert found.worker_sd[0] < found.worker_sd[1] < found.worker_sd[2]
    assert 0.3 < found.worker_sd[1] < 1.1
    assert 0.5 < found.image_sd[1] < 1.4
    assert 0.15 < found.rate < 0.4


def test_a_folder_without_pilot_data_says_what_to_do(tmp_path):
    folder = make_study(tmp_path / "s")
    with pytest.raises(UserError, match="study export"):
        from_pilot(folder)


def test_the_report_carries_the_certificate(analysed):
    folder, made, _, _ = analysed(bundle=True, planned='["fool_rate", "pairwise_differences", "mixed_model"]')
    assert "rehearsal-h" not in write_report(folder, made.data).read_text(encoding="utf-8")
    rehearsed(folder)
    page = write_report(folder, made.data).read_text(encoding="utf-8")
    assert "Rehearsal before the first participant" in page
    assert "logits observed" in page
    assert certificate.read(folder).digest in page
