"""Responses -> one table of scored trials, with every exclusion, its reason and its count."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from evalkit.contradictions import check_rows
from evalkit.exclusions import with_exclusions
from evalkit.frames import frame_of, read_frame
from studies.design import Study
from studies.errors import UserError
from studies.records import NOT_GENERATED, REAL, Arrival, Response, Session, columns, read_csv

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.integer[Any]]

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
OF_DEVICE = ("device_pixel_ratio", "zoom")
"""Further ones, which a frame may lack."""
_NUMBERS = (
    "run",
    "target",
    "outcome",
    "rt_ms",
    *("refresh_hz", *OF_DEVICE),
    *(f"{n}_{s}" for s in (1, 2) for n in ("run", "planned_ms", "exposure_ms")),
)


_SLOTTED = ("image", "source_id", "condition", "side")


def _no_trials() -> pd.DataFrame:
    """No rows, the columns of a trial."""
    ids = ("image", "source_id", "real_source_id", "other_source_id", "fake_side")
    texts = [name for name in COLUMNS if name not in _NUMBERS] + [*ids, "state", "excluded"]
    types = dict.fromkeys(texts, "str") | dict.fromkeys([*_NUMBERS, "fooled"], "float64")
    types |= {f"{name}_number": "int32" for name in ("session", "worker", "condition", *ids)}
    types |= {"trial_index": "int64", "attempt": "int64"}
    types |= dict.fromkeys(("counted", "fake_first", "finished", "real_alone"), "bool")
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})


@dataclass(frozen=True)
class ResponseTable:
    """Everything that analyses read."""

    trials: pd.DataFrame
    """One row per scored trial that was answered or became void, of every session, as they were sent. Beside the
    columns of Response: `image`, `source_id`, `run` (of the image that the trial is about: the fake, a single real
    image, of two generated ones the target), `real_source_id`, `other_source_id` (the other input, two_inputs), `counted`
    (answered and not void), `fooled` (1 fooled, 0 not, NaN where no fake stood for real or none was answered),
    `fake_first`, `fake_side`, and of its session `state`, `finished`, `excluded`. Ids stand there as numbers too,
    which are quicker to count and to compare: `session_number`, `image_number` and so on; `real_alone`: one real image
    and no other was shown."""
    sessions: pd.DataFrame
    """One row per session: the columns of Session, `void_trials`, `checks` (attention checks answered), `failed_checks`
    and `excluded` (the reasons, or empty)."""
    arrivals: pd.DataFrame
    """One row per arrival."""
    design: str
    """between | within."""
    layout: str = "real_and_fake"
    """What a trial is made of; see studies.protocols.base.Layout."""
    practice: pd.DataFrame = field(default_factory=_no_trials)
    """One row per practice trial, of every session; the columns of `trials`."""

    @property
    def observer(self) -> str:
        """What answered, where no person did; empty for people."""
        return "+".join(sorted(set(self.sessions["observer"]) - {""}))

    @cached_property
    def primary(self) -> pd.DataFrame:
        """Scored, answered, non-void trials of finished sessions that no rule excludes."""
        return rows_where(self.trials, self._counted & self._finished & self._included)

    @cached_property
    def with_partial_sessions(self) -> pd.DataFrame:
        """The primary trials and those of sessions that were not finished."""
        return rows_where(self.trials, self._counted & self._included)

    @cached_property
    def without_exclusions(self) -> pd.DataFrame:
        """The primary trials and those of finished sessions that a rule excludes."""
        return rows_where(self.trials, self._counted & self._finished)

    @property
    def _counted(self) -> BoolArray:
        return self.trials["counted"].to_numpy(dtype=np.bool_)

    @property
    def _finished(self) -> BoolArray:
        return self.trials["finished"].to_numpy(dtype=np.bool_)

    @property
    def _included(self) -> BoolArray:
        return (self.trials["excluded"] == "").to_numpy(dtype=np.bool_)

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
    responses = read_frame(folder / "responses.csv", Response, ("data", *COLUMNS, *OF_DEVICE))
    sessions = read_frame(folder / "sessions.csv", Session)
    arrivals = read_frame(folder / "arrivals.csv", Arrival)
    _check_data(folder / "responses.csv", Response, responses, data)
    _check_data(folder / "sessions.csv", Session, sessions, data)
    _check_data(folder / "arrivals.csv", Arrival, arrivals, data)
    return table_from_frames(responses, sessions, arrivals, study)


def build_table(
    responses: Sequence[Response], sessions: Sequence[Session], arrivals: Sequence[Arrival], study: Study
) -> ResponseTable:
    """Join the records, derive what analyses need and apply the study's exclusions.

    Raises:
        UserError: A response names an unknown condition or session, or a trial stands twice.
    """
    return table_from_frames(
        frame_of(responses, Response, (*COLUMNS, *OF_DEVICE)),
        frame_of(sessions, Session, columns(Session)),
        frame_of(arrivals, Arrival, columns(Arrival)),
        study,
    )


def table_from_frames(
    responses: pd.DataFrame, sessions: pd.DataFrame, arrivals: pd.DataFrame, study: Study
) -> ResponseTable:
    """As `build_table`, from frames that have the records' columns (of responses, at least COLUMNS).

    Raises:
        UserError: As `build_table`.
    """
    every = _derived(responses, study)
    check_rows(every, sessions, study)
    people = with_exclusions(sessions, every, study)
    return ResponseTable(
        trials=_with_session(_of_phase(every, "scored"), people),
        sessions=people,
        arrivals=arrivals,
        practice=_with_session(_of_phase(every, "practice"), people),
        design=study.study.design,
        layout=study.protocol.layout,
    )


def _of_phase(every: pd.DataFrame, phase: str) -> pd.DataFrame:
    return rows_where(every, (every["phase"] == phase).to_numpy(dtype=np.bool_))


def rows_where(table: pd.DataFrame, wanted: BoolArray) -> pd.DataFrame:
    """The rows that are wanted; the table itself, not a copy of it, where that is all of them."""
    return table if wanted.all() else table[wanted]


def _derived(responses: pd.DataFrame, study: Study) -> pd.DataFrame:
    kept = [*COLUMNS, *(name for name in OF_DEVICE if name in responses.columns)]
    table = responses[kept].astype({name: "float64" for name in kept if name in _NUMBERS})
    slots = {column: numbered(table, *(f"{column}_{slot}" for slot in (1, 2))) for column in _SLOTTED}
    codes, kinds = slots["condition"]
    made = np.array([kind not in ("", *NOT_GENERATED) for kind in kinds], dtype=np.bool_)
    is_real = np.array([kind == REAL for kind in kinds], dtype=np.bool_)
    (generated_1, generated_2), (real_in_1, real_in_2) = made[codes], is_real[codes]
    # Of two generated images the trial is about the target; a single real image is what its trial is about.
    in_2 = generated_2 & (~generated_1 | (table["target"] == 2).to_numpy())
    new: dict[str, Any] = {}
    for name, column in (("image", "image"), ("source_id", "source_id"), ("fake_side", "side")):
        _add(new, name, slots[column], in_2, ~in_2)
    new["run"] = np.where(in_2, table["run_2"], table["run_1"])
    _add(new, "other_source_id", slots["source_id"], ~in_2, in_2)
    _add(new, "real_source_id", slots["source_id"], real_in_2 & ~real_in_1, real_in_1)
    new["fake_first"] = ~in_2
    new["real_alone"] = real_in_1 & (table["image_2"] == "").to_numpy()
    new["counted"] = (table["outcome"].notna() & (table["void_reason"] == "")).to_numpy()
    about_reality = study.protocol.layout in ("real_and_fake", "one_image")
    fooling = new["counted"] & (generated_1 | generated_2) & about_reality
    new["fooled"] = np.where(fooling, 1.0 - table["outcome"], np.nan)
    for name in ("session", "worker", "condition"):
        new[f"{name}_number"] = numbered(table, name)[0][0]
    for name in ("image", "condition"):
        new |= {f"{name}_{slot}_number": slots[name][0][slot - 1] for slot in (1, 2)}
    return table.assign(**new)


def numbered(table: pd.DataFrame, *names: str) -> tuple[IntArray, "pd.Index[str]"]:
    """Columns of text as numbers, shape (columns, rows): equal numbers for equal texts; and the text of each number."""
    texts = pd.concat([table[name] for name in names]) if len(names) > 1 else table[names[0]]
    codes, found = pd.factorize(texts)
    return codes.astype(np.int32).reshape(len(names), len(table)), pd.Index(found, dtype="str")


def _add(
    new: dict[str, Any],
    name: str,
    slots: tuple[IntArray, "pd.Index[str]"],
    in_2: BoolArray,
    in_1: BoolArray,
) -> None:
    """A column that has its text from slot 1 or 2, or none from neither; and its number."""
    (codes_1, codes_2), texts = slots
    texts = texts.union([""], sort=False)
    codes = np.where(in_1, codes_1, np.where(in_2, codes_2, texts.get_indexer(pd.Index([""]))[0]))
    new[name] = texts.array.take(codes)
    new[f"{name}_number"] = codes.astype(np.int32)


def _with_session(trials: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """The trials, numbered anew, with their sessions' state and exclusion."""
    (codes,), sessions = numbered(trials, "session")
    at = pd.Index(people["session"]).get_indexer(sessions)[codes]
    state, reasons = (people[name].array.take(at) for name in ("state", "excluded"))
    found = trials.assign(state=state, finished=state == "finished", excluded=reasons)
    return found.reset_index(drop=True)


def _check_data(path: Path, kind: type[Any], rows: pd.DataFrame, data: str) -> None:
    other = (rows["data"] != data).to_numpy(dtype=np.bool_)
    if other.any():
        row = read_csv(path, kind)[int(other.argmax())]
        raise UserError(
            f"{path.parent}: a {kind.__name__.lower()} of {row.data!r} data among the {data!r} ones"
            f" ({row}). Export the study again; kinds of data are never mixed."
        )
