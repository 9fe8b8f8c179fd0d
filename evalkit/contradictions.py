"""Rows that contradict each other or the study: one line that says where, and what to do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from studies.design import Study
from studies.errors import UserError, did_you_mean

IntArray = npt.NDArray[np.integer[Any]]
AGAIN = "Export the study again."
"""What to do where a file is not as evalkit wrote it."""


def check_rows(every: pd.DataFrame, people: pd.DataFrame, study: Study) -> None:
    """Refuse what no analysis could make sense of.

    Args:
        every: One row per trial of every phase, as `evalkit.responses` derives it.
        people: One row per session.
        study: Whose conditions they name.

    Raises:
        UserError: An unknown condition or session, a session or trial that stands twice, a session of two workers, an
            image of two conditions, an outcome that is no share.
    """
    _check_conditions(every, study)
    _check_sessions(every, people)
    _check_trials(every)
    _check_images(every)


def similar_names(workers: Sequence[str]) -> list[tuple[str, ...]]:
    """Worker ids that differ only in case or in the space around them, together; most likely one person each.

    >>> similar_names(["A1", "a1 ", "B2", "B2"])
    [('A1', 'a1 ')]
    """
    alike: dict[str, dict[str, None]] = {}
    for worker in workers:
        alike.setdefault(worker.strip().casefold(), {})[worker] = None
    return [tuple(names) for names in alike.values() if len(names) > 1]


def _first_of_each(keys: Sequence[IntArray]) -> IntArray:
    """Rows at which a combination of numbers (each at least 0) stands for the first time."""
    joint = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        joint = joint * (int(key.max(initial=0)) + 1) + key
    return np.flatnonzero(~pd.Series(joint).duplicated().to_numpy())


def _check_conditions(every: pd.DataFrame, study: Study) -> None:
    # A check belongs to its session's algorithm; mixed sessions have none.
    is_check = (every["phase"] == "check").to_numpy().astype(np.int64)
    found = every[["phase", "condition"]].iloc[
        _first_of_each([every["condition_number"].to_numpy(np.int64), is_check])
    ]
    named = found[(found["phase"] != "check") | (found["condition"] != "")]
    # Nor has a real image that was judged alone in an imported session of several algorithms.
    none = {""} if study.protocol.layout == "one_image" and study.study.design == "within" else set()
    unknown = sorted(set(named["condition"]) - set(study.conditions) - none)
    if unknown:
        hint = did_you_mean(unknown[0], study.conditions)
        raise UserError(f"responses.csv: condition {unknown[0]!r} is not in study.toml.{hint}")


def _check_sessions(every: pd.DataFrame, people: pd.DataFrame) -> None:
    doubled = people["session"][people["session"].duplicated()]
    if len(doubled):
        raise UserError(f"sessions.csv: session {doubled.iloc[0]!r} stands there twice. {AGAIN}")
    keys = [every[f"{name}_number"].to_numpy() for name in ("session", "worker")]
    pairs = every[["session", "worker"]].iloc[_first_of_each(keys)]
    whose = pairs["session"].map(people.set_index("session")["worker"])
    lost = sorted(set(pairs["session"][whose.isna()]))
    if lost:
        raise UserError(f"responses.csv: session {lost[0]!r} is not in sessions.csv. {AGAIN}")
    others = pairs[(pairs["worker"] != whose).to_numpy()]
    if len(others):
        session, worker = others.iloc[0]
        raise UserError(
            f"responses.csv: session {session!r} has an answer of worker {worker!r}, in sessions.csv it is"
            f" {whose[others.index[0]]!r}'s. A session has one worker. {AGAIN}"
        )


def _check_trials(every: pd.DataFrame) -> None:
    numbers = [every[name].to_numpy(dtype=np.int64) for name in ("session_number", "trial_index", "attempt")]
    for name, values in zip(("trial_index", "attempt"), numbers[1:], strict=True):
        if values.min(initial=0) < 0:
            row = every.iloc[int(values.argmin())]
            raise UserError(
                f"responses.csv: session {row['session']!r}: {name} {row[name]} is below 0. {AGAIN}"
            )
    first = _first_of_each(numbers)
    if len(first) < len(every):
        again = np.setdiff1d(np.arange(len(every)), first)
        row = every.iloc[int(again[0])]
        raise UserError(
            f"responses.csv: session {row['session']!r}, trial_index {row['trial_index']}, attempt {row['attempt']}"
            f" stands there twice. {AGAIN}"
        )
    outcome = every["outcome"].to_numpy(dtype=np.float64)
    odd = (outcome < 0) | (outcome > 1)
    if odd.any():
        row = every.iloc[int(odd.argmax())]
        raise UserError(
            f"responses.csv: session {row['session']!r}, trial_index {row['trial_index']}: outcome {row['outcome']:g} is"
            f" not allowed; it is between 0 and 1, or empty where nothing was answered. {AGAIN}"
        )


def _check_images(every: pd.DataFrame) -> None:
    """An image of two conditions, or somebody's fake that is a real image too, would be counted for both."""
    keys = [
        np.concatenate([every[f"{name}_{slot}_number"].to_numpy() for slot in (1, 2)])
        for name in ("image", "condition")
    ]
    places = _first_of_each(keys)  # far fewer than trials
    slots, rows = np.divmod(places, max(len(every), 1))
    text = {
        name: np.where(slots == 0, every[f"{name}_1"].iloc[rows], every[f"{name}_2"].iloc[rows])
        for name in ("image", "condition")
    }
    found = pd.DataFrame(text)[text["image"] != ""]
    twice = found["image"][found["image"].duplicated()]
    if len(twice):
        image = twice.iloc[0]
        one, other = found["condition"][found["image"] == image].iloc[:2]
        raise UserError(
            f"responses.csv: image {image!r} stands there as {one!r} and as {other!r}. An image has one origin: give"
            " the same picture of two algorithms two names."
        )
