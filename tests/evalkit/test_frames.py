import dataclasses

import pandas as pd
import pytest

from evalkit import frames
from evalkit.frames import frame_of, read_frame
from studies.errors import UserError
from studies.records import Arrival, Response, Session, columns, read_csv, write_csv
from tests.evalkit.made_up_responses import MadeUp


@pytest.fixture
def made():
    return MadeUp(workers=3, images=12, trials=10).draw()


def written(tmp_path, kind, rows):
    write_csv(tmp_path / "rows.csv", kind, rows)
    return tmp_path / "rows.csv"


def slowly(path, kind):
    return frame_of(read_csv(path, kind), kind, columns(kind))


def spoilt(path, number, column, text):
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[number - 1].split(",")
    cells[lines[0].split(",").index(column)] = text
    lines[number - 1] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("kind", [Response, Session, Arrival])
def test_the_fast_reader_gives_what_the_record_reader_gives(tmp_path, made, kind, monkeypatch):
    rows = {Response: made.responses, Session: made.sessions, Arrival: made.arrivals}[kind]
    path = written(tmp_path, kind, rows)
    expected = slowly(path, kind)
    monkeypatch.setattr(frames, "read_csv", None)  # it must not need the slow one
    pd.testing.assert_frame_equal(read_frame(path, kind), expected)


def test_numbers_are_read_to_the_last_bit_and_commas_quotes_and_lines_in_texts_survive(
    tmp_path, made, monkeypatch
):
    exact = [0.1 + 0.2, 1 / 3, 123456.7890123, 1e-7]
    rows = [dataclasses.replace(row, rt_ms=value) for row, value in zip(made.responses, exact, strict=False)]
    comments = ['nice, "really"', "two\nlines", "NA", "null, and more"]
    people = [
        dataclasses.replace(row, comment=text) for row, text in zip(made.sessions, comments, strict=False)
    ]
    monkeypatch.setattr(frames, "_BYTES_AT_ONCE", 7)  # quotes opened in one block and closed in another
    monkeypatch.setattr(frames, "read_csv", None)
    assert read_frame(written(tmp_path, Response, rows), Response)["rt_ms"].tolist() == exact
    assert read_frame(written(tmp_path, Session, people), Session)["comment"].tolist() == comments


@pytest.mark.parametrize(
    ("column", "text", "message"),
    [
        ("rt_ms", "fast", r"row 3, column 'rt_ms': 'fast' is not allowed here"),
        ("trial_index", "", r"row 3, column 'trial_index': '' is not allowed here"),
        ("trial_index", "1.5", r"row 3, column 'trial_index': '1\.5' is not allowed here"),
        ("bytes_1", "many", r"row 3, column 'bytes_1': 'many' is not allowed here"),
    ],
)
def test_a_cell_that_is_no_number_is_named_as_ever(tmp_path, made, column, text, message):
    path = written(tmp_path, Response, made.responses)
    spoilt(path, 3, column, text)
    with pytest.raises(UserError, match=message):
        read_frame(path, Response, ["session", "worker"])


def test_a_row_that_was_cut_off_is_refused_though_only_texts_are_missing(tmp_path, made):
    path = written(tmp_path, Arrival, made.arrivals)
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] = lines[2].rsplit(",", 1)[0]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"row 3, column 'condition': nothing is not allowed here"):
        read_frame(path, Arrival)


def test_odd_spellings_of_numbers_that_python_reads_are_read(tmp_path, made):
    path = written(tmp_path, Response, made.responses)
    spoilt(path, 2, "rt_ms", "1_000.5")
    assert read_frame(path, Response)["rt_ms"].iloc[0] == 1000.5


def test_a_file_without_rows_has_the_columns_all_the_same(tmp_path):
    assert list(read_frame(written(tmp_path, Response, []), Response).columns) == columns(Response)


def test_a_missing_file_and_a_missing_column_are_named(tmp_path, made):
    with pytest.raises(UserError, match=r"no such file\. `evalkit study export` writes it\."):
        read_frame(tmp_path / "responses.csv", Response)
    path = written(tmp_path, Arrival, made.arrivals)
    path.write_text(path.read_text(encoding="utf-8").replace("worker", "wroker", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"column 'worker' is missing"):
        read_frame(path, Arrival)
