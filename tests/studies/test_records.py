"""Records and their CSV files."""

import dataclasses

import pytest

from studies.errors import UserError
from studies.records import Arrival, Response, columns, read_csv, write_csv

ANSWERED = Response(
    study="s", data="live", session="a" * 32, worker="b" * 32, condition="cgan", run=0, design="between",
    protocol="two_afc", phase="scored", trial_index=12, attempt=0, question="fake",
    image_1="x", source_id_1="3", condition_1="real", run_1=0, side_1="left", planned_ms_1=1000,
    exposure_ms_1=1000.1, max_frame_gap_ms_1=16.7,
    image_2="y", source_id_2="7, \"quoted\"", condition_2="cgan", run_2=0, side_2="right", planned_ms_2=1000,
    exposure_ms_2=999.9, max_frame_gap_ms_2=16.7,
    target=2, choice="first", outcome=0.0, rt_ms=812.4, void_reason="", flags="", input="key",
    issued_at="2026-01-01T00:00:00.000Z", answered_at="2026-01-01T00:00:09.000Z", refresh_hz=60.0,
    device_pixel_ratio=1.0, zoom=1.0, pixel_scale=1, screen_px="1920x1080", window_px="1280x720",
)  # fmt: skip
VOID = dataclasses.replace(
    ANSWERED, choice="", outcome=None, rt_ms=None, void_reason="hidden", exposure_ms_1=None, answered_at=""
)


def test_rows_read_back_as_they_were_written(tmp_path):
    path = tmp_path / "responses.csv"
    assert write_csv(path, Response, [ANSWERED, VOID]) == 2
    assert read_csv(path, Response) == [ANSWERED, VOID]
    assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == columns(Response)
    assert [file.name for file in tmp_path.iterdir()] == ["responses.csv"]


def test_what_is_derived_follows_from_the_slots():
    assert (ANSWERED.fooled, ANSWERED.fake_slot, ANSWERED.fake_first, ANSWERED.fake_side) == (
        1.0,
        2,
        False,
        "right",
    )
    assert dataclasses.replace(ANSWERED, outcome=1.0).fooled == 0.0
    assert VOID.fooled is None


def test_a_void_trial_is_never_scored_even_if_it_has_an_outcome():
    assert dataclasses.replace(ANSWERED, void_reason="hidden").fooled is None


def test_a_value_of_the_wrong_kind_is_named_with_row_and_column(tmp_path):
    path = tmp_path / "responses.csv"
    write_csv(path, Response, [ANSWERED])
    path.write_text(path.read_text(encoding="utf-8").replace("812.4", "fast"), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"responses\.csv, row 2, column 'rt_ms': 'fast' is not allowed here\."
    ):
        read_csv(path, Response)


def test_a_missing_file_or_column_is_named(tmp_path):
    path = tmp_path / "arrivals.csv"
    with pytest.raises(UserError, match=r"arrivals\.csv: no such file\. `evalkit study export` writes it\."):
        read_csv(path, Arrival)
    path.write_text("study,data\n", encoding="utf-8")
    with pytest.raises(UserError, match="column 'at' is missing"):
        read_csv(path, Arrival)


def test_a_row_that_was_cut_off_is_named(tmp_path):
    path = tmp_path / "arrivals.csv"
    path.write_text("study,data,at,worker,outcome,condition\ns,live\n", encoding="utf-8")
    with pytest.raises(UserError, match="row 2, column 'at': nothing is not allowed here"):
        read_csv(path, Arrival)


def test_a_carriage_return_in_a_comment_does_not_end_the_row(tmp_path):
    arrival = Arrival("s", "live", "now", "w", "line\rother", "cgan")
    write_csv(tmp_path / "arrivals.csv", Arrival, [arrival])
    assert read_csv(tmp_path / "arrivals.csv", Arrival) == [
        dataclasses.replace(arrival, outcome="line\nother")
    ]
