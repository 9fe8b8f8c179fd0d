"""What every analysis in ANALYSES must hold to."""

import importlib
import math
import tomllib

import pytest

from evalkit.analyses import ALWAYS, ANALYSES, Context
from evalkit.responses import build_table
from evalkit.results import Estimate, Provenance, Result, read_results, write_results
from studies.design import parse_study
from tests.evalkit.made_up_responses import MadeUp

CASES = {
    "an ordinary study": {},
    "within sessions": {"design": "within"},
    "the same input on both sides": {"pairing": "same"},
    "several runs": {"runs": 2, "target": "this loss"},
    "one algorithm": {"rates": {"only": 0.4}},
    "nobody fooled": {"rates": {"a": 1e-9, "b": 1e-9}, "worker_sd": 0, "image_sd": 0},
    "one session": {"workers": 1, "stopped": 0, "voided": 0},
    "no finished session": {"workers": 0, "voided": 0},
    "no session at all": {"workers": 0, "voided": 0, "stopped": 0},
    "simulated": {"data": "simulated", "observer": "known"},
}
CONTEXT = Context(Provenance(study="made-up"), n_resamples=200)


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request):
    made = MadeUp(**{"workers": 5, "images": 12, "trials": 10, **request.param}).draw()
    study = parse_study(tomllib.loads(made.toml()), "study.toml")
    return build_table(made.responses, made.sessions, made.arrivals, study), study


@pytest.mark.parametrize("name", ANALYSES)
def test_the_key_is_the_name_of_a_module_that_says_what_it_does(name):
    module = importlib.import_module(f"evalkit.analyses.{name}")
    assert ANALYSES[name] is module.run
    assert module.__doc__


def test_what_always_runs_is_registered():
    assert set(ALWAYS) <= set(ANALYSES)


@pytest.mark.parametrize("name", ANALYSES)
def test_results_are_records_that_survive_their_file(name, case, tmp_path):
    results = ANALYSES[name](*case, CONTEXT)
    assert all(isinstance(result, Result) for result in results)
    write_results(tmp_path / "e.jsonl", results)
    assert read_results(tmp_path / "e.jsonl") == results  # also: no two are about the same thing


@pytest.mark.parametrize("name", ANALYSES)
def test_every_number_has_a_method_a_unit_and_a_known_condition(name, case):
    _, study = case
    for result in ANALYSES[name](*case, CONTEXT):
        assert result.method
        assert result.unit
        assert result.condition in {"", *study.conditions}
        assert result.versus in {"", *study.conditions}


@pytest.mark.parametrize("name", ANALYSES)
def test_a_value_lies_inside_its_interval_or_a_note_says_why_there_is_none(name, case):
    for result in ANALYSES[name](*case, CONTEXT):
        if result.value is None:
            assert result.notes or result.key.startswith("views_per_image")
            continue
        assert math.isfinite(result.value)
        if isinstance(result, Estimate) and result.interval is not None:
            assert result.interval.low - 1e-9 <= result.value <= result.interval.high + 1e-9


@pytest.mark.parametrize("name", ANALYSES)
def test_the_same_table_gives_the_same_results(name, case):
    assert ANALYSES[name](*case, CONTEXT) == ANALYSES[name](*case, CONTEXT)
