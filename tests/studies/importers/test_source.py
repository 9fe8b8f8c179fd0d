import pytest

from studies.errors import UserError
from studies.importers import read_source


def source(folder, text, encoding="utf-8"):
    path = folder / "file.csv"
    path.write_bytes(text.encode(encoding))
    return read_source(path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_cells_may_be_separated_as_spreadsheets_do_it(tmp_path, separator):
    found = source(tmp_path, f"\ufeffa{separator}b\r\n1{separator}\r\n2\r\n")
    assert found.header == ("a", "b")
    assert found.rows == ((2, ("1", "")), (3, ("2", "")))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty; the first line must name the columns"),
        ("a,b\n", "has a header and no rows"),
        ("a,b\n1,2,3\n", "row 2: 3 cells, but the header names 2 columns"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, match):
    with pytest.raises(UserError, match=match):
        source(tmp_path, text)


def test_another_encoding_is_refused(tmp_path):
    with pytest.raises(UserError, match="not UTF-8 text"):
        source(tmp_path, "a\nü\n", "latin-1")


def test_no_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_source(tmp_path / "none.csv")


def test_two_columns_of_one_name_are_refused_when_asked_for(tmp_path):
    with pytest.raises(UserError, match="two columns are called 'a'"):
        source(tmp_path, "a,a\n1,2\n").place("a")


def test_no_column_like_the_pattern(tmp_path):
    with pytest.raises(UserError, match=r"no column is named like 'Answr.\*'"):
        source(tmp_path, "Answer.q1\nA\n").in_rows("Answr.*")


def test_a_key_with_a_question_twice_is_refused(tmp_path):
    table = source(tmp_path, "q\nq1\n")
    (tmp_path / "key.csv").write_text("question,x\nq1,1\nq1,2\n")
    with pytest.raises(UserError, match=r"key.csv, row 3: the question 'q1' stands there twice"):
        table.joined(read_source(tmp_path / "key.csv"), "q")
