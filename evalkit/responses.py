"""Responses -> one table of scored trials, with every exclusion, its reason and its count."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.exclusions import with_exclusions
from studies.design import Study
from studies.errors import UserError, did_you_mean
from studies.records import NOT_GENERATED, REAL, Arrival, Response, Session, read_csv

COLUMNS = (
    *(
        "session",
        "worker",
        "condition",
        "run",
        "phase",
        "trial_index",
        "attempt",
        "target",
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
    "target",
    "outcome",
    "rt_ms",
    "refresh_hz",
    *(f"{n}_{s}" for s in (1, 2) for n in ("run", "planned_ms", "exposure_ms")),
)


@dataclass(frozen=True)
class ResponseTable:
    """Everything that analyses read."""

    trials: pd.DataFrame
    """One row per scored trial that was answered or became void, of every session, as they were sent. Beside the
    columns of Response: `image`, `source_id`, `run` (of the image that the trial is about: the fake, a single real
    image, of two generated ones the target), `real_source_id`, `other_source_id` (the other input, two_inputs), `counted`
    (answered and not void), `fooled` (1 fooled, 0 not, NaN where no fake stood for real or none was answered),
    `fake_first`, `fake_side`, and of its session `state`, `finished`, `excluded`."""
    sessions: pd.DataFrame
    """One row per session: the columns of Session, `void_trials`, `checks` (attention checks answered), `failed_checks`
    and `excluded` (the reasons, or empty)."""
    arrivals: pd.DataFrame
    """One row per arrival."""
    design: str
    """between | within."""
    layout: str = "real_and_fake"
    """What a trial is made of; see studies.protocols.base.Layout."""

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
        return self.trials[self.trials["counted"]]

    def about(self, trials: pd.DataFrame, condition: str) -> pd.DataFrame:
        """The trials that a condition takes part in; a comparison of two belongs to both."""
        if self.layout == "two_algorithms":
            return trials[(trials["condition_1"] == condition) | (trials["condition_2"] == condition)]
        return trials[trials["condition"] == condition]

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
    people = _frame(sessions, [field.name for field in dataclasses.fields(Session)])
    came = _frame(arrivals, [field.name for field in dataclasses.fields(Arrival)])
    return table_from_frames(_frame(responses, COLUMNS), people, came, study)


def table_from_frames(
    responses: pd.DataFrame, sessions: pd.DataFrame, arrivals: pd.DataFrame, study: Study
) -> ResponseTable:
    """As `build_table`, from frames that have the records' columns (of responses, at least COLUMNS).

    Raises:
        UserError: As `build_table`.
    """
    every = _derived(responses, study)
    _check_rows(every, sessions, study)
    people = with_exclusions(sessions, every, study)
    scored = every[every["phase"] == "scored"].reset_index(drop=True)
    return ResponseTable(
        trials=_with_session(scored, people),
        sessions=people,
        arrivals=arrivals,
        design=study.study.design,
        layout=study.protocol.layout,
    )


def _frame(rows: Iterable[Any], names: Sequence[str]) -> pd.DataFrame:
    rows = list(rows)
    return pd.DataFrame({name: [getattr(row, name) for row in rows] for name in names})


def _derived(responses: pd.DataFrame, study: Study) -> pd.DataFrame:
    table = responses[list(COLUMNS)].copy()
    table[list(_NUMBERS)] = table[list(_NUMBERS)].astype(float)
    generated_1 = ~table["condition_1"].isin(["", *NOT_GENERATED])
    generated_2 = ~table["condition_2"].isin(["", *NOT_GENERATED])
    # Of two generated images the trial is about the target; a single real image is what its trial is about.
    in_2 = generated_2 & (~generated_1 | (table["target"] == 2))
    for name, column in (("image", "image"), ("source_id", "source_id"), ("fake_side", "side")):
        table[name] = np.where(in_2, table[f"{column}_2"], table[f"{column}_1"])
    table["run"] = np.where(in_2, table["run_2"], table["run_1"])
    table["other_source_id"] = np.where(in_2, table["source_id_1"], table["source_id_2"])
    real_in_1, real_in_2 = table["condition_1"] == REAL, table["condition_2"] == REAL
    table["real_source_id"] = np.where(
        real_in_1, table["source_id_1"], np.where(real_in_2, table["source_id_2"], "")
    )
    table["fake_first"] = ~in_2
    table["counted"] = table["outcome"].notna() & (table["void_reason"] == "")
    about_reality = study.protocol.layout in ("real_and_fake", "one_image")
    fooling = table["counted"] & (generated_1 | generated_2) & about_reality
    table["fooled"] = np.where(fooling, 1.0 - table["outcome"], np.nan)
    return table


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
    # A check belongs to its session's algorithm; mixed sessions have none.
    named = every[(every["phase"] != "check") | (every["condition"] != "")]
    unknown = sorted(set(named["condition"]) - set(study.conditions))
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
