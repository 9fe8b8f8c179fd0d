import functools
import multiprocessing
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from evalkit.metrics.cache import Cache, default_cache_path
from studies.errors import UserError


def test_what_was_kept_is_found_again_with_type_and_shape(tmp_path):
    kept = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array(2.5),
        "c": np.zeros((0, 4), np.uint8),
    }
    Cache(tmp_path / "new" / "cache.sqlite").keep_features("one", kept)
    found = Cache(tmp_path / "new" / "cache.sqlite").features("one", ["a", "b", "c", "d"])
    assert set(found) == {"a", "b", "c"}
    for key, array in kept.items():
        assert found[key].dtype == array.dtype
        assert found[key].shape == array.shape
        assert np.array_equal(found[key], array)


def test_another_feature_of_the_same_item_is_another_entry(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite")
    cache.keep_features("one", {"a": np.ones(3)})
    assert cache.features("two", ["a"]) == {}


def test_more_items_than_one_question_can_ask_for_are_found(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite")
    cache.keep_features("one", {str(number): np.array(number) for number in range(1700)})
    found = cache.features("one", [str(number) for number in range(1700)])
    assert [int(found[str(number)]) for number in range(1700)] == list(range(1700))


def test_a_score_is_kept_as_json(tmp_path):
    cache = Cache(tmp_path / "cache.sqlite")
    assert cache.score("key") is None
    cache.keep_score("key", {"value": [1.5, None]})
    assert cache.score("key") == {"value": [1.5, None]}


def _write(path: Path, name: str) -> None:
    cache = Cache(path)
    for number in range(200):
        cache.keep_features(name, {str(number): np.array(number)})
    assert not cache.trouble


def test_two_processes_may_write_at_once_and_nothing_is_lost(tmp_path):
    path = tmp_path / "cache.sqlite"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, name)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    for name in ("one", "two"):
        assert len(Cache(path).features(name, [str(number) for number in range(200)])) == 200


class TurnedAway(sqlite3.Connection):
    """As SQLite answers one of two processes that make a file's WAL at the same moment."""

    times = 2

    def execute(self, statement, *arguments):
        if "journal_mode" in statement and TurnedAway.times:
            TurnedAway.times -= 1
            raise sqlite3.OperationalError("database is locked")
        return super().execute(statement, *arguments)


def test_processes_that_make_the_cache_at_the_same_moment_wait_for_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=TurnedAway))
    cache = Cache(tmp_path / "cache.sqlite")
    assert TurnedAway.times == 0
    cache.keep_score("key", 1)
    assert cache.score("key") == 1


def test_a_cache_that_cannot_be_written_says_so_and_ends_nothing(tmp_path):
    path = tmp_path / "cache.sqlite"
    cache = Cache(path)
    cache._connection.execute("PRAGMA max_page_count = 8")  # as a full disk answers
    cache.keep_features("one", {"a": np.zeros(100_000)})
    assert "nothing more is kept" in cache.trouble
    assert str(path) in cache.trouble
    cache.keep_features("one", {"b": np.zeros(2)})
    assert cache.features("one", ["a", "b"]) == {}


def test_a_cache_that_is_damaged_inside_says_so_and_ends_nothing(tmp_path):
    path = tmp_path / "cache.sqlite"
    cache = Cache(path)
    cache.keep_features("one", {str(number): np.zeros(3000) for number in range(40)})
    cache.keep_score("key", [1])
    cache.close()
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = b"\x5a" * (len(content) - 4096)
    path.write_bytes(content)
    cache = Cache(path)
    assert cache.features("one", ["1", "2"]) == {}
    assert cache.score("key") is None
    assert f"{path}: damaged" in cache.trouble
    assert "Delete it" in cache.trouble


def test_a_file_that_is_no_cache_is_refused_by_name(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and they are long enough to be no database. " * 40)
    with pytest.raises(UserError, match=r"notes.txt: not a cache, or damaged .* --cache"):
        Cache(path)
    assert path.read_text().startswith("These are my notes")


def test_a_cache_of_another_version_is_refused(tmp_path):
    path = tmp_path / "cache.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="another version of evalkit"):
        Cache(path)


def test_the_cache_lies_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EVALKIT_CACHE", raising=False)
    assert default_cache_path() == tmp_path / "evalkit" / "metrics.sqlite"
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "mine.sqlite"))
    assert default_cache_path() == tmp_path / "mine.sqlite"
