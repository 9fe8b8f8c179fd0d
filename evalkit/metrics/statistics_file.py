"""Mean and covariance of features in pytorch-fid's .npz files, which many tools read and write."""

import os
from pathlib import Path
from typing import IO

import numpy as np

from evalkit.metrics.base import Array, Statistics
from studies.errors import UserError

SUFFIX = ".npz"
ADVICE = (
    "A statistics file holds mu (d,) and sigma (d, d); write one with"
    " `evalkit metrics REAL FAKE --write-npz FILE` or pytorch-fid's --save-stats"
)


def read_statistics(path: Path) -> Statistics:
    """Read `mu` (d,), `sigma` (d, d) and, where it is there, the number of images `n` from an .npz file.

    Raises:
        UserError: There is no such file, or it does not hold finite numbers of these shapes.

    Source:
        pytorch-fid 0.3.0 `fid_score.py`, --save-stats.
    """
    try:
        arrays = _arrays(path)
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except UserError:
        raise
    except Exception as error:  # NumPy raises many kinds over a damaged file
        raise UserError(f"{path} cannot be read as a statistics file ({error}). {ADVICE}.") from error
    return _checked(path, *arrays)


def _arrays(path: Path) -> tuple[Array, Array, Array | None]:
    with path.open("rb") as stream:
        stored = np.load(stream, allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            raise UserError(f"{path} is one bare array, no .npz. {ADVICE}.")
        missing = [name for name in ("mu", "sigma") if name not in stored]
        if missing:
            raise UserError(
                f"{path} has no {' and no '.join(missing)}, but {', '.join(stored) or 'nothing'}. {ADVICE}."
            )
        return stored["mu"], stored["sigma"], stored.get("n")


def write_statistics(path: Path, statistics: Statistics) -> None:
    """Replace the .npz file `path` whole or not at all; pytorch-fid reads it (and passes over `n`).

    Raises:
        UserError: The name does not end in .npz, or the file cannot be written.
    """
    if path.suffix != SUFFIX:
        raise UserError(f"{path}: a statistics file's name ends in {SUFFIX}.")
    arrays: dict[str, Array] = {"mu": statistics.mean, "sigma": statistics.covariance}
    if statistics.n is not None:
        arrays["n"] = np.array(statistics.n)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as stream:
            _save(stream, arrays)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None


def _save(stream: IO[bytes], arrays: dict[str, Array]) -> None:
    np.savez(stream, allow_pickle=False, **arrays)
    stream.flush()
    os.fsync(stream.fileno())


def _checked(path: Path, mean: Array, covariance: Array, n: Array | None) -> Statistics:
    if mean.ndim != 1 or not mean.size or covariance.shape != (mean.size, mean.size):
        raise UserError(f"{path}: mu has shape {mean.shape} and sigma {covariance.shape}. {ADVICE}.")
    if mean.dtype.kind not in "fiu" or covariance.dtype.kind not in "fiu":
        raise UserError(
            f"{path}: mu and sigma must be real numbers, not {mean.dtype} and {covariance.dtype}."
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{path}: mu or sigma has values that are not finite; make the file anew.")
    covariance = covariance.astype(np.float64)
    rounding = 1e-6 * np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > rounding or np.diag(covariance).min() < -rounding:
        raise UserError(
            f"{path}: sigma is no covariance (not symmetric, or a variance below 0); make the file anew."
        )
    number = int(n) if n is not None and n.shape == () and n.dtype.kind in "iu" else None
    return Statistics(mean.astype(np.float64), covariance, number)
