"""study.toml: what is allowed, and what is said of what is not."""

import copy
import tomllib
from itertools import pairwise

import pytest

from studies.design import PLACEHOLDER, load_study, parse_study
from studies.errors import UserError
from studies.presets import load_preset, preset_names
from studies.study_toml import render_study_toml

TABLES = {
    "study": {"id": "facades"},
    "reference": {"images": "real"},
    "conditions": {"cgan": {"images": ["cgan"]}},
}


def changed(**tables):
    tree = copy.deepcopy(TABLES)
    for table, values in tables.items():
        tree.setdefault(table, {}).update(values)
    return tree


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"study": {"participants_per_conditon": 4}},
            "S: [study] participants_per_conditon = 4: unknown key. Did you mean 'participants_per_condition'?",
        ),
        (
            {"study": {"participants_per_condition": -3}},
            "S: [study] participants_per_condition = -3: Input should be greater than or equal to 1.",
        ),
        ({"protocol": {"scord": 3}}, "S: [protocol] scord = 3: unknown key. Did you mean 'scored'?"),
        (
            {"protocol": {"name": "two_acf"}},
            "S: [protocol] name = 'two_acf': no such protocol. Did you mean 'two_afc'?",
        ),
        (
            {"study": {"question": "which"}},
            "S: [study] question = 'which': Input should be 'fake' or 'real'.",
        ),
        (
            {"conditions": {"real": {"images": ["x"]}}},
            "S: [conditions]: 'real' is the name of the reference; give the algorithm another one.",
        ),
        (
            {"conditions": {"gan": {"images": ["a", "b"]}}},
            "S: conditions.images: every condition needs the same number of training runs; cgan has 1, gan has 2.",
        ),
        (
            {"analysis": {"target": "this loss"}},
            "S: analysis.target = 'this loss' needs at least two training runs per condition (two entries in images).",
        ),
        (
            {"protocol": {"mask": "noise", "mask_ms": 700}},
            "S: [protocol]: mask_ms = 700 does not fit into gap_ms = 600.",
        ),
        ({"conditions": {"gan": {}}}, "S: [conditions.gan] images: is missing; add it."),
        (
            {"study": {"seed": 1, "id": "Facades 1"}},
            "S: [study] id = 'Facades 1': String should match pattern",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(tables, message):
    with pytest.raises(UserError) as caught:
        parse_study(changed(**tables), "S")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_study_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match=r"no study\.toml here\. `evalkit study init"):
        load_study(tmp_path)


def test_a_file_that_is_not_toml_is_named_with_its_line(tmp_path):
    (tmp_path / "study.toml").write_text("[study\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"study\.toml: not valid TOML: .*line 1"):
        load_study(tmp_path)


def test_metrics_are_outside_the_digest_and_everything_else_is_inside():
    digest = parse_study(TABLES, "S").digest()
    metrics = {"names": ["fid"], "labels": "../labels", "classes": "cityscapes", "segmenter": "ids"}
    assert parse_study(changed(metrics=metrics), "S").digest() == digest
    for table, values in {
        "study": {"seed": 1},
        "protocol": {"exposure_ms": 500},
        "analysis": {"confidence_level": 0.9},
        "ethics": {"contact": "a@b.example"},
        "exclusions": {"max_void_trials": 1},
    }.items():
        assert parse_study(changed(**{table: values}), "S").digest() != digest


def test_placeholders_are_found_until_somebody_fills_them_in():
    assert parse_study(TABLES, "S").ethics.placeholders() == ["approval", "contact"]
    filled = parse_study(changed(ethics={"approval": "IRB 1", "contact": "a@b.example", "pay": " "}), "S")
    assert filled.ethics.placeholders() == ["pay"]
    assert PLACEHOLDER in render_study_toml(parse_study(TABLES, "S"), None)


@pytest.mark.parametrize("name", preset_names())
def test_a_written_study_toml_reads_back_as_the_same_study(name):
    preset = load_preset(name)
    tree = changed(
        conditions={"cgan": {"images": ["cgan"]}, "l1": {"images": ["l1"]}}, reference={"inputs": "inputs"}
    )
    for table, values in preset.tables.items():
        tree.setdefault(table, {}).update(values)
    study = parse_study(tree, "S")
    text = render_study_toml(study, preset)
    assert parse_study(tomllib.loads(text), "T") == study
    for departure in preset.departures:
        assert departure in text


def test_every_setting_is_explained_in_study_toml():
    lines = render_study_toml(parse_study(TABLES, "S"), None).splitlines()
    for above, line in pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert above.startswith("# "), line


def test_settings_of_metrics_come_back_from_the_written_file():
    metrics = {"names": ["fid", "lpips_alex"], "labels": "../a b/labels", "segmenter": "../seg"}
    study = parse_study(changed(metrics=metrics), "S")
    text = render_study_toml(study, None)
    assert parse_study(tomllib.loads(text), "T").metrics == study.metrics
    assert "# classes =" in text.splitlines()
