"""Responses -> one table of scored trials, with every exclusion, its reason and its count."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from studies.design import Study
from studies.errors import UserError, did_you_mean
from studies.records import REAL, Arrival, Response, Session, read_csv

_KEPT = (
    *(
        "session",
        "worker",
        "condition",
        "run",
        "phase",
        "trial_index",
        "attempt",
        "choice",
        "outcome",
        "rt_ms",
    ),
    *("void_reason", "refresh_hz"),
    *(
        f"{name}_{slot}"
        for slot in (1, 2)
        for name in ("image", "source_id", "condition", "run", "side", "planned_ms", "exposure_ms")
    ),
)
"""The columns of a response that analyses use."""
_NUMBERS = (
    "run",
    "outcome",
    "rt_ms",
    "refresh_hz",
    *(f"{n}_{s}" for s in (1, 2) for n in ("run", "planned_ms", "exposure_ms")),
)


@dataclass(frozen=True)
class ResponseTable:
    """Everything that analyses read."""

    trials: pd.DataFrame
    """One row per scored trial that was answered or became void, of every session. Beside the columns of Response:
    `image`, `source_id`, `run` (of the fake), `real_source_id`, `fooled` (1 fooled, 0 not, NaN not answered, void or
    no fake shown), `fake_first`, `fake_side`, and of its session `state`, `finished`, `excluded`."""
    sessions: pd.DataFrame
    """One row per session: the columns of Session, `void_trials` and `excluded` (the reason, or empty)."""
    arrivals: pd.DataFrame
    """One row per arrival."""
    design: str
    """between | within."""

    @property
    def observer(self) -> str:
        """What answered, where no person did; empty for people."""
        return "+".join(sorted(set(self.sessions["observer"]) - {""}))

    @cached_property
    def primary(self) -> pd.DataFrame:
        """Scored, answered, non-void trials of finished sessions that no rule excludes."""
        return self._answered[self._answered["finished"] & (self._answered["excluded"] == "")]

    @cached_property
    def with_partial_sessions(self) -> pd.DataFrame:
        """The primary trials and those of sessions that were not finished."""
        return self._answered[self._answered["excluded"] == ""]

    @cached_property
    def without_exclusions(self) -> pd.DataFrame:
        """The primary trials and those of finished sessions that a rule excludes."""
        return self._answered[self._answered["finished"]]

    @cached_property
    def _answered(self) -> pd.DataFrame:
        return self.trials[self.trials["fooled"].notna()]

    def sessions_of(self, condition: str) -> pd.DataFrame:
        """The sessions that show a condition: its own, or all of them in a within design."""
        return (
            self.sessions
            if self.design == "within"
            else self.sessions[self.sessions["condition"] == condition]
        )


def read_table(folder: Path, study: Study, data: str) -> ResponseTable:
    """Read `responses.csv`, `sessions.csv` and `arrivals.csv` of one folder, as the server's export writes them.

    Raises:
        UserError: A file is missing or malformed, or its rows contradict each other or the study.
    """
    responses = read_csv(folder / "responses.csv", Response)
    sessions = read_csv(folder / "sessions.csv", Session)
    arrivals = read_csv(folder / "arrivals.csv", Arrival)
    _check_data(folder, data, [*responses, *sessions, *arrivals])
    return build_table(responses, sessions, arrivals, study)


def build_table(
    responses: Sequence[Response], sessions: Sequence[Session], arrivals: Sequence[Arrival], study: Study
) -> ResponseTable:
    """Join the records, derive what analyses need and apply the study's exclusions.

    Raises:
        UserError: A response names an unknown condition or session, or a trial stands twice.
    """
    every = _response_frame(responses)
    people = _frame(sessions, [field.name for field in dataclasses.fields(Session)])
    _check_rows(every, people, study)
    scored = every[every["phase"] == "scored"].reset_index(drop=True)
    people = _with_exclusions(people, scored, study)
    return ResponseTable(
        trials=_with_session(scored, people),
        sessions=people,
        arrivals=_frame(arrivals, [field.name for field in dataclasses.fields(Arrival)]),
        design=study.study.design,
    )


def _frame(rows: Iterable[Any], names: Sequence[str]) -> pd.DataFrame:
    rows = list(rows)
    return pd.DataFrame({name: [getattr(row, name) for row in rows] for name in names})


def _response_frame(responses: Sequence[Response]) -> pd.DataFrame:
    table = _frame(responses, _KEPT)
    table[list(_NUMBERS)] = table[list(_NUMBERS)].astype(float)
    fake_in_1 = ~table["condition_1"].isin(["", REAL])
    fake_in_2 = ~table["condition_2"].isin(["", REAL]) & ~fake_in_1
    for name, column in (("image", "image"), ("source_id", "source_id"), ("fake_side", "side")):
        table[name] = np.where(fake_in_1, table[f"{column}_1"], np.where(fake_in_2, table[f"{column}_2"], ""))
    table["run"] = np.where(fake_in_1, table["run_1"], np.where(fake_in_2, table["run_2"], np.nan))
    real_in_1, real_in_2 = table["condition_1"] == REAL, table["condition_2"] == REAL
    table["real_source_id"] = np.where(
        real_in_1, table["source_id_1"], np.where(real_in_2, table["source_id_2"], "")
    )
    table["fake_first"] = fake_in_1
    counts = (fake_in_1 | fake_in_2) & (table["void_reason"] == "")
    table["fooled"] = np.where(counts, 1.0 - table["outcome"], np.nan)
    return table


def _with_exclusions(people: pd.DataFrame, scored: pd.DataFrame, study: Study) -> pd.DataFrame:
    """The rules never look at what was answered."""
    void = scored[scored["void_reason"] != ""].groupby("session").size()
    people = people.assign(void_trials=people["session"].map(void).fillna(0).astype(int))
    most = study.exclusions.max_void_trials
    too_many = people["void_trials"] > (np.inf if most is None else most)
    return people.assign(excluded=np.where(too_many, f"more than {most} void scored trials", ""))


def _with_session(scored: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    states = people.set_index("session")["state"]
    reasons = people.set_index("session")["excluded"]
    state = scored["session"].map(states)
    return scored.assign(state=state, finished=state == "finished", excluded=scored["session"].map(reasons))


def _check_data(folder: Path, data: str, rows: Iterable[Response | Session | Arrival]) -> None:
    for row in rows:
        if row.data != data:
            raise UserError(
                f"{folder}: a {type(row).__name__.lower()} of {row.data!r} data among the {data!r} ones"
                f" ({row}). Export the study again; kinds of data are never mixed."
            )


def _check_rows(every: pd.DataFrame, people: pd.DataFrame, study: Study) -> None:
    unknown = sorted(set(every["condition"]) - set(study.conditions))
    if unknown:
        hint = did_you_mean(unknown[0], study.conditions)
        raise UserError(f"responses.csv: condition {unknown[0]!r} is not in study.toml.{hint}")
    doubled = people["session"][people["session"].duplicated()]
    if len(doubled):
        raise UserError(
            f"sessions.csv: session {doubled.iloc[0]!r} stands there twice. Export the study again."
        )
    lost = sorted(set(every["session"]) - set(people["session"]))
    if lost:
        raise UserError(f"responses.csv: session {lost[0]!r} is not in sessions.csv. Export the study again.")
    again = every[every.duplicated(["session", "trial_index", "attempt"])]
    if len(again):
        row = again.iloc[0]
        raise UserError(
            f"responses.csv: session {row['session']!r}, trial_index {row['trial_index']}, attempt {row['attempt']}"
            " stands there twice. Export the study again."
        )
