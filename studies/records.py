"""The records that travel from plan to report, and their CSV files.

A session's trials are counted from 0 over practice and scored trials together. `outcome` is what the
protocol's `grade` returned (for two-alternative trials: 1 correct, 0 fooled); a missing answer is empty,
never a click.
"""

import csv
import dataclasses
import operator
import os
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from studies.errors import UserError

REAL = "real"
"""The condition name of the reference images; no generator may have it."""
INPUT = "input"
"""The condition name of the pictures that the images were made from; no generator may have it."""
CHECK = "check"
"""The condition name of the images of attention checks; no generator may have it."""
NOT_GENERATED = (REAL, INPUT, CHECK)
"""What an image may be other than an algorithm's."""

Phase = Literal["practice", "scored", "check"]
Side = Literal["left", "right", "centre"]
Question = Literal["fake", "real"]
Asked = Literal["fake", "real", "real_or_fake", "better", "closer", "match"]
"""What a trial asks: which image was fake, which real; real or fake; which is better, closer, made from the input."""
Choice = Literal["first", "second", "real", "fake", "unsure"]
DataKind = Literal["live", "pilot", "simulated", "preview", "imported"]
SessionState = Literal["active", "finished", "stopped", "expired"]

EXPOSURE_FRAMES = 1.5
"""A display off by more frames than this is flagged. Our choice: more than one frame's rounding at either end."""
ASSUMED_REFRESH_HZ = 60.0
"""Where the page could not tell the screen's refresh rate."""

DATA_KINDS: tuple[DataKind, ...] = ("live", "pilot", "simulated", "preview")
"""What a server writes."""
IMPORTED: DataKind = "imported"
"""What `evalkit study import` writes: answers that people gave elsewhere, to another tool."""


@dataclass(frozen=True)
class Stimulus:
    """One image of the bundle."""

    id: str
    """Name inside the bundle: random-looking, tells nothing of its origin."""
    condition: str
    """The algorithm that made it, or `real`."""
    run: int
    """Index of the training run within its condition; 0 for real images."""
    source_id: str
    """The input it was made from, shared by all conditions and the reference."""
    digest: str
    """SHA-256 of mode, size and decoded RGB uint8 pixels."""
    file: str
    """File name inside the bundle folder."""
    file_digest: str
    """SHA-256 of the file's bytes, padding included; serves only the freeze."""


@dataclass(frozen=True)
class Slot:
    """One image as a trial shows it."""

    image: str
    """Stimulus id."""
    source_id: str
    condition: str
    run: int
    side: Side
    planned_ms: int
    """0 = until the question is answered."""


@dataclass(frozen=True)
class Trial:
    """One trial with its truth; never leaves the server."""

    phase: Phase
    trial_index: int
    """Position in the session, from 0, practice included; a replacement keeps the index it replaces."""
    attempt: int
    """0, or how many void trials this one replaces."""
    question: Asked
    slots: tuple[Slot, ...]
    """In order of showing: one or two."""
    target: int | None
    """The slot (1 or 2) that answers the question, or by which the protocol defines its outcome; None where no slot
    does."""
    context: Slot | None = None
    """Slot 0: a picture that the question refers to and that is not judged itself, such as the input."""

    def slot(self, number: int) -> Slot:
        """The picture of a slot: 0 the context, 1 and 2 the images in order of showing."""
        if number:
            return self.slots[number - 1]
        assert self.context is not None
        return self.context

    @property
    def shown(self) -> dict[int, Slot]:
        """Every picture of the trial by the number of its slot."""
        context = {} if self.context is None else {0: self.context}
        return context | dict(enumerate(self.slots, 1))


@dataclass(frozen=True)
class SessionPlan:
    """Everything one session will show, drawn before it begins."""

    trials: tuple[Trial, ...]
    reserve: tuple[Trial, ...]
    """Ordered stand-ins for void scored trials; their index and attempt are set when they are used."""


@dataclass(frozen=True)
class Response:
    """One row of `responses.csv`: one trial that was answered or became void."""

    study: str
    data: str
    session: str
    worker: str
    """Keyed hash of the worker id."""
    condition: str
    """The session's algorithm; in a within design, the trial's."""
    run: int | None
    """Training run of the fake image."""
    design: str
    protocol: str
    phase: str
    trial_index: int
    attempt: int
    question: str
    image_1: str
    source_id_1: str
    condition_1: str
    run_1: int | None
    side_1: str
    planned_ms_1: int | None
    """Empty = until the question was answered."""
    exposure_ms_1: float | None
    max_frame_gap_ms_1: float | None
    """Longest gap between animation frames while the image was shown."""
    image_2: str
    source_id_2: str
    condition_2: str
    run_2: int | None
    side_2: str
    planned_ms_2: int | None
    exposure_ms_2: float | None
    max_frame_gap_ms_2: float | None
    target: int | None
    choice: str
    """first | second | real | fake | unsure; empty = missing."""
    outcome: float | None
    rt_ms: float | None
    """From the moment the question appeared to the answer, by the page's clock."""
    void_reason: str
    """Why the trial does not count; empty for one that does."""
    flags: str
    """Space-separated: `exposure` (off by more than 1.5 frames), `frame_gap` (over 50 ms), `slow` (long after issue),
    `clock` (the page claims more time than passed on the server)."""
    input: str
    """key | mouse | touch."""
    issued_at: str
    """When the server sent the pair; ISO 8601, UTC."""
    answered_at: str
    refresh_hz: float | None
    device_pixel_ratio: float | None
    zoom: float | None
    """The browser's page zoom as far as the page can tell; 1 = none."""
    pixel_scale: int | None
    """Device pixels per image pixel."""
    screen_px: str
    """WIDTHxHEIGHT in CSS pixels."""
    window_px: str
    bytes_1: int | None = None
    """Size of the image's file as it came over the network."""
    fetch_ms_1: float | None = None
    """From asking for the image to having its bytes."""
    decode_ms_1: float | None = None
    onset_ms_1: float | None = None
    """Timestamp of the animation frame that showed the image; the page's clock, from the load of the page."""
    onset_next_ms_1: float | None = None
    """Timestamp of the frame after: the image appeared on the screen between the two."""
    offset_ms_1: float | None = None
    """Timestamp of the frame that took the image away."""
    frames_1: int | None = None
    """Animation frames that showed the image."""
    frames_expected_1: int | None = None
    """As many as the planned exposure has at the screen's refresh rate."""
    bytes_2: int | None = None
    """Size of the image's file as it came over the network."""
    fetch_ms_2: float | None = None
    """From asking for the image to having its bytes."""
    decode_ms_2: float | None = None
    onset_ms_2: float | None = None
    """Timestamp of the animation frame that showed the image; the page's clock, from the load of the page."""
    onset_next_ms_2: float | None = None
    """Timestamp of the frame after: the image appeared on the screen between the two."""
    offset_ms_2: float | None = None
    """Timestamp of the frame that took the image away."""
    frames_2: int | None = None
    """Animation frames that showed the image."""
    frames_expected_2: int | None = None
    """As many as the planned exposure has at the screen's refresh rate."""
    question_ms: float | None = None
    """Timestamp of the frame that showed the question."""
    event_ms: float | None = None
    """Timestamp of the key press or click that answered."""
    client_ms: float | None = None
    """From learning of the trial to answering it, by the page's clock; it must fit into the server's interval."""
    client_clock: str = ""
    """The device's own date and time of the report; ISO 8601, UTC."""
    hidden_ms: float | None = None
    """For how long the page was hidden during the trial."""
    blur_count: int | None = None
    """How often the window lost the focus during the trial."""
    fullscreen: int | None = None
    """1 = the page filled the screen."""
    begun_at: str = ""
    """When the server heard that the images were about to appear."""
    ended_at: str = ""
    """When it heard that they were gone."""
    ua_family: str = ""
    """The browser's family and major version."""
    client_version: str = ""
    """Digest of the scripts that the page ran."""
    image_0: str = ""
    """The picture that the question refers to, such as the input; empty where there is none."""
    source_id_0: str = ""
    condition_0: str = ""
    planned_ms_0: int | None = None
    exposure_ms_0: float | None = None

    @property
    def fooled(self) -> float | None:
        """1 where the fake was taken for the real image, 0 where not, 0.5 for `unsure`; None if missing or void."""
        return None if self.outcome is None or self.void_reason else 1.0 - self.outcome

    @property
    def fake_slot(self) -> int | None:
        """The slot that showed a generated image; None where there was none."""
        for slot, condition in ((1, self.condition_1), (2, self.condition_2)):
            if condition and condition not in NOT_GENERATED:
                return slot
        return None

    @property
    def fake_first(self) -> bool | None:
        """Whether the generated image was shown first; None where there was none."""
        return None if self.fake_slot is None else self.fake_slot == 1

    @property
    def fake_side(self) -> str | None:
        """Where the generated image stood; None where there was none."""
        return None if self.fake_slot is None else (self.side_1 if self.fake_slot == 1 else self.side_2)


@dataclass(frozen=True)
class Session:
    """One row of `sessions.csv`: one session that began, whatever became of it."""

    study: str
    data: str
    session: str
    worker: str
    condition: str
    """The place's algorithm; empty in a within design."""
    place_index: int
    """The k-th place of every condition carries the same inputs in the same order."""
    state: str
    """active | finished | stopped | expired."""
    started_at: str
    finished_at: str
    consent_version: str
    comment: str
    """As typed, on one line; what a spreadsheet would run as a formula begins with an apostrophe."""
    observer: str
    """What answered, for simulated data (`known`, `seeing`); empty for people."""
    recruiter: str = ""
    """How the participant came: direct, panel, prolific ..."""
    language: str = ""
    """Of the participant page."""
    flags: str = ""
    """`disturbed`: as many scored trials became void as `[exclusions] max_void_trials` allows, or more."""
    colour_vision: str = ""
    """Whether there is a colour vision deficiency, as the participant says: no | yes | unknown | undisclosed."""
    device_px_per_mm: float | None = None
    """Device pixels per millimetre of the screen, from the outline of a bank card."""
    viewing_distance: str = ""
    """As the participant says: `60 cm`, or `1 arm` for an arm's length."""


@dataclass(frozen=True)
class Arrival:
    """One row of `arrivals.csv`: somebody opened the participant link."""

    study: str
    data: str
    at: str
    worker: str
    outcome: str
    """admitted | resumed | returning | full | consent (left before consenting)."""
    condition: str


@dataclass(frozen=True)
class AdminAct:
    """One row of `admin_acts.csv`: something a researcher did to the study while it ran."""

    study: str
    data: str
    at: str
    who: str
    """dashboard | command line."""
    act: str
    detail: str
    """In words."""


@dataclass(frozen=True)
class WorkerValue:
    """One row of `workers.csv`: what one worker's answers came to, where the answers themselves are not known."""

    study: str
    data: str
    worker: str
    condition: str
    quantity: str
    """error_rate | fool_rate | error_rate_on_reals | trials."""
    value: float | None
    """A proportion, or a count of trials; empty = missing."""


@dataclass(frozen=True)
class LiveEstimate:
    """A fool rate for the dashboard while a study runs."""

    rate: float
    low: float
    high: float
    n: int
    method: str


Record = TypeVar("Record", Response, Session, Arrival, AdminAct, WorkerValue)


def columns(kind: type[Any]) -> list[str]:
    """The column names of a record's CSV file, in order."""
    return [field.name for field in dataclasses.fields(kind)]


def write_csv(path: Path, kind: type[Record], rows: Iterable[Record]) -> int:
    """Write records to `path` whole or not at all (beside it, then moved); returns the number of rows."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    count = 0
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        names = columns(kind)
        values = operator.attrgetter(*names)  # records are flat; astuple would copy every value
        writer.writerow(names)
        for row in rows:
            writer.writerow(map(_cell, values(row)))
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    return count


def _cell(value: object) -> object:
    """What stands in a cell; a carriage return would end the row for a reader."""
    if value is None:
        return ""
    return value.replace("\r", "\n") if isinstance(value, str) else value


def read_csv(path: Path, kind: type[Record]) -> list[Record]:
    """Read the records of one CSV file.

    Raises:
        UserError: The file is missing, its columns are not those of `kind`, or a value is not of its type
            (names file, row and column).
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file. `evalkit study export` writes it.")
    wanted = columns(kind)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        missing = [name for name in wanted if name not in header]
        if missing:
            raise UserError(
                f"{path}: column {missing[0]!r} is missing. Export the study again with this version."
            )
        cells = [(header.index(name), cast) for name, cast in zip(wanted, _casts(kind), strict=True)]
        return [_record(kind, path, number, row, cells) for number, row in enumerate(reader, 2)]


def _record(
    kind: type[Record], path: Path, number: int, row: Sequence[str], cells: Sequence[tuple[int, Any]]
) -> Record:
    try:
        values: list[Any] = [row[place] if cast is str else cast(row[place]) for place, cast in cells]
        return kind(*values)
    except (ValueError, IndexError) as error:
        raise UserError(f"{path}, row {number}, {_first_bad_cell(kind, row, cells)}") from error


def _first_bad_cell(kind: type[Any], row: Sequence[str], cells: Sequence[tuple[int, Any]]) -> str:
    for name, (place, cast) in zip(columns(kind), cells, strict=True):
        if place >= len(row):
            return f"column {name!r}: nothing is not allowed here."
        try:
            cast(row[place])
        except ValueError:
            return f"column {name!r}: {row[place]!r} is not allowed here."
    raise AssertionError("every cell can be read")


def _casts(kind: type[Any]) -> list[Any]:
    hints = typing.get_type_hints(kind)
    return [_cast(hints[name]) for name in columns(kind)]


def _cast(hint: Any) -> Any:
    if isinstance(hint, types.UnionType):
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        return lambda text: inner(text) if text != "" else None
    return hint
