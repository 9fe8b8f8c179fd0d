import numpy as np
import pytest

from evalkit.metrics.base import Statistics
from evalkit.metrics.statistics_file import read_statistics, write_statistics
from studies.errors import UserError


def made_up(n=7):
    rows = np.random.default_rng(0).normal(size=(20, 5))
    return Statistics(rows.mean(axis=0), np.cov(rows, rowvar=False), n)


@pytest.mark.parametrize("n", [7, None])
def test_what_was_written_is_read_again(tmp_path, n):
    path = tmp_path / "reals.npz"
    write_statistics(path, made_up(n))
    found = read_statistics(path)
    np.testing.assert_array_equal(found.mean, made_up().mean)
    np.testing.assert_array_equal(found.covariance, made_up().covariance)
    assert found.n == n
    with np.load(path) as stored:  # as pytorch-fid reads it
        np.testing.assert_array_equal(stored["mu"][:], made_up().mean)
        np.testing.assert_array_equal(stored["sigma"][:], made_up().covariance)
    assert [entry.name for entry in tmp_path.iterdir()] == ["reals.npz"]


def test_a_file_of_pytorch_fid_is_read(tmp_path):
    path = tmp_path / "theirs.npz"
    np.savez_compressed(path, mu=made_up().mean.astype(np.float32), sigma=made_up().covariance)
    found = read_statistics(path)
    assert found.n is None
    assert found.mean.dtype == found.covariance.dtype == np.float64
    np.testing.assert_allclose(found.mean, made_up().mean, rtol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mu": np.zeros(5)}, "has no sigma, but mu"),
        ({"act": np.zeros(5)}, "has no mu and no sigma, but act"),
        ({}, "but nothing"),
        ({"mu": np.zeros(5), "sigma": np.zeros((5, 4))}, r"mu has shape \(5,\) and sigma \(5, 4\)"),
        ({"mu": np.zeros((5, 1)), "sigma": np.eye(5)}, r"mu has shape \(5, 1\)"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"mu has shape \(0,\)"),
        ({"mu": np.full(5, np.nan), "sigma": np.eye(5)}, "not finite"),
        ({"mu": np.zeros(5), "sigma": np.triu(np.ones((5, 5)))}, "no covariance"),
        ({"mu": np.zeros(5), "sigma": -np.eye(5)}, "no covariance"),
        ({"mu": np.zeros(5, complex), "sigma": np.eye(5)}, "real numbers"),
        ({"mu": np.array(["a"]), "sigma": np.eye(1)}, "real numbers"),
        ({"mu": np.array([None]), "sigma": np.eye(1)}, "cannot be read"),
    ],
)
def test_what_a_file_lacks_is_said_in_one_line(tmp_path, arrays, words):
    path = tmp_path / "odd.npz"
    np.savez(path, **arrays)
    with pytest.raises(UserError, match=words) as error:
        read_statistics(path)
    assert "odd.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_such_file_is_said_in_one_line(tmp_path):
    whole = tmp_path / "whole.npz"
    write_statistics(whole, made_up())
    bare = tmp_path / "bare.npy"
    np.save(bare, np.zeros(3))
    for name, content in {
        "torn.npz": whole.read_bytes()[:300],
        "empty.npz": b"",
        "text.npz": b"mean,covariance\n",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} cannot be read as a statistics file"):
            read_statistics(tmp_path / name)
    with pytest.raises(UserError, match=r"bare.npy is one bare array"):
        read_statistics(bare)
    with pytest.raises(UserError, match=r"There is no file .*absent.npz"):
        read_statistics(tmp_path / "absent.npz")
    with pytest.raises(UserError, match="cannot be read"):
        read_statistics(tmp_path)


def test_a_damaged_byte_is_said_or_does_no_harm(tmp_path):
    path = tmp_path / "damaged.npz"
    np.savez_compressed(path, mu=made_up(20).mean, sigma=made_up(20).covariance)
    whole, complaints = path.read_bytes(), []
    for place in range(0, len(whole), 29):
        content = bytearray(whole)
        content[place] ^= 0xFF
        path.write_bytes(content)
        try:
            read_statistics(path)
        except UserError as error:
            complaints.append(str(error))
    assert len(complaints) > 10
    assert all(str(path) in complaint for complaint in complaints)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "reals.npz"
    write_statistics(path, made_up(3))

    def full_disk(stream, **arrays):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match=r"reals.npz cannot be written \(No space left on device\)"):
        write_statistics(path, made_up(4))
    assert read_statistics(path).n == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["reals.npz"]


def test_where_and_under_which_name_is_checked(tmp_path):
    with pytest.raises(UserError, match=r"ends in .npz"):
        write_statistics(tmp_path / "reals.txt", made_up())
    with pytest.raises(UserError, match="cannot be written"):
        write_statistics(tmp_path / "absent" / "reals.npz", made_up())
