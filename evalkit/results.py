"""Results: every number is a record that says what it is, how it was made and from what.

Knows nothing of tables, studies or plots, so that statistics can return results without importing them.
"""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

RANDOM = "random, seed "
"""How `Score.settings` begin to name weights that were drawn instead of trained."""
RANDOM_MARK = "random features, not comparable"
"""Said wherever a number stands that was made with them."""
YARDSTICKS = ("reals", "labels")
"""Digests of the image sets that a score holds the fakes against."""
REAL_FILES, FAKE_FILES = "files of the reals", "files of the fakes"
"""Digests of the same sets by their files instead of their pixels, where the images are those of a study."""

DATA_WORDS: Mapping[str, str] = {
    "live": "",
    "pilot": "PILOT",
    "simulated": "SIMULATED",
    "preview": "PREVIEW",
    "imported": "IMPORTED",
}
"""The word that stands in every title, figure and row made from this kind of data; none for live data."""


@dataclass(frozen=True)
class Interval:
    """A range of values and what kind of range it is."""

    low: float
    high: float
    confidence_level: float
    """Between 0 and 1, such as 0.95."""
    method: str
    degrees_of_freedom: float | None = None
    """Of the t distribution, where one was used."""


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from; the same for every record of one analysis."""

    study: str = ""
    data: str = ""
    """live | pilot | simulated | preview | imported."""
    observer: str = ""
    """What answered, where no person did (`known`, `seeing`); empty for people."""
    target: str = ""
    """What the number is about: these images | this generator | this loss."""
    status: str = ""
    """planned | at import (chosen when the answers were imported) | unplanned | descriptive."""
    analysis: str = ""
    """Key in evalkit.analyses.ANALYSES."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file, and of the study's frozen settings, that it was computed from."""
    software: Mapping[str, str] = field(default_factory=dict)
    """Version of each package that took part."""

    @property
    def mark(self) -> str:
        """What every title, figure and row made from this must say; empty for people's live answers."""
        return data_mark(self.data, self.observer)


def data_mark(data: str, observer: str = "") -> str:
    """The words that mark data which are not people's live answers; empty for those.

    >>> data_mark("simulated", "seeing")
    'SIMULATED (observer: seeing)'
    """
    word = DATA_WORDS.get(data, data.upper())
    if not observer:
        return word
    return f"{word or 'MACHINE OBSERVER'} (observer: {observer})"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One number with everything a reader needs to judge it."""

    key: str
    """What was computed, such as `fool_rate`."""
    value: float | None
    """None where it could not be estimated; `notes` says why."""
    unit: str
    """proportion | count | ms | ..."""
    method: str
    """How it was computed, in words."""
    n: Mapping[str, int] = field(default_factory=dict)
    """Sizes it rests on: trials, workers, source_images ..."""
    condition: str = ""
    """The algorithm it is about; empty for the whole study."""
    versus: str = ""
    """For a contrast: the algorithm that is subtracted."""
    run: int | None = None
    """Training run, where it is about one."""
    image: str = ""
    """Stimulus id, where it is about one image."""
    detail: str = ""
    """Which part it is of what the key counts, such as the reason of an exclusion."""
    seed: int | None = None
    """Of the random numbers used; None where there were none."""
    notes: tuple[str, ...] = ()
    """What a reader must know: a fallback taken, something that could not be estimated."""
    provenance: Provenance = Provenance()

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        from evalkit.html_view import result_html

        return result_html(self)


@dataclass(frozen=True, kw_only=True)
class Estimate(Result):
    """A number with its uncertainty, where it has one."""

    interval: Interval | None = None
    standard_error: float | None = None
    """On the scale of `value`."""


@dataclass(frozen=True, kw_only=True)
class HypothesisTest(Result):
    """A test; `value` is the estimate that it is about."""

    statistic: float | None
    p_value: float | None
    p_adjusted: float | None = None
    """Adjusted for the family of tests that `detail` names."""
    null_hypothesis: str
    alternative: str
    n_resamples: int | None = None


@dataclass(frozen=True, kw_only=True)
class Score(Result):
    """A metric computed on images (FID, LPIPS ...), per condition and run."""

    interval: Interval | None = None
    """Over images, where the metric has one."""
    standard_error: float | None = None
    """On the scale of `value`."""
    higher_is_better: bool
    source: str
    """Paper and implementation that define it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """All that the value depends on besides the images: SHA-256 of weights, precision, resize ..."""

    def __str__(self) -> str:
        """Key, value, interval and mark on one line."""
        value = "not estimated" if self.value is None else f"{self.value:.4g}"
        interval = f" [{self.interval.low:.4g}, {self.interval.high:.4g}]" if self.interval else ""
        return f"{self.key} {value}{interval}{f' ({self.mark})' if self.mark else ''}"

    @property
    def mark(self) -> str:
        """What must stand wherever the number stands; empty where nothing must."""
        return RANDOM_MARK if any(RANDOM in value for value in self.settings.values()) else ""

    def difference(self, other: "Score") -> str:
        """What keeps two scores from being compared, in words; empty if nothing does.

        They differ by design in condition, run and fakes. Everything in `settings` counts (weights, precision, resize,
        version of the recipe), and so do the reals and the label maps that they were held against.
        """
        if self.key != other.key:
            return f"quantity: {self.key} and {other.key}"
        for name in dict.fromkeys([*self.settings, *other.settings]):
            told = [score.settings.get(name, "not said") for score in (self, other)]
            if told[0] != told[1]:
                return f"{name}: {_shortened(told[0])} and {_shortened(told[1])}"
        for name in YARDSTICKS:
            digests = [score.provenance.digests.get(name, "") for score in (self, other)]
            if all(digests) and digests[0] != digests[1]:
                return f"{name}: SHA-256 {_shortened(digests[0])} and {_shortened(digests[1])}"
        return ""


def _shortened(text: str) -> str:
    """A digest by its first digits; other words whole."""
    return f"{text[:16]}..." if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


KINDS: Mapping[str, type[Result]] = {"estimate": Estimate, "hypothesis_test": HypothesisTest, "score": Score}
"""Name of each record type in a jsonl file."""
_NAMES = {kind: name for name, kind in KINDS.items()}


def write_results(path: Path, results: Iterable[Result]) -> int:
    """Replace the jsonl file `path` whole or not at all; returns the number of records.

    Raises:
        ValueError: A value is NaN or infinite; use None and a note.
    """
    partial = path.with_name(f".{path.name}.partial")
    count = 0
    with partial.open("w", encoding="utf-8") as stream:
        for result in results:
            stream.write(encode_record(result) + "\n")
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    return count


def append_results(path: Path, results: Iterable[Result]) -> int:
    """Add records at the end of the jsonl file `path`, all or none; on disk when this returns.

    A last line without its newline is what a killed writer left behind; it is cut off first, so that it does not run
    into the first new record. Two processes that append to one file wait for each other.

    Returns:
        The number of records.

    Raises:
        ValueError: A value is NaN or infinite; use None and a note. The file is as it was.
    """
    lines = [encode_record(result) + "\n" for result in results]
    if not lines:
        return 0
    is_new = not path.exists()
    with path.open("ab+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # ends with the process, however it ends
        stream.truncate(_length_of_whole_lines(stream))
        stream.write("".join(lines).encode())
        stream.flush()
        os.fsync(stream.fileno())
    if is_new:
        _sync_folder(path.parent)
    return len(lines)


def _length_of_whole_lines(stream: BinaryIO) -> int:
    """Bytes up to and with the last newline."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        stream.seek(start)
        newline = stream.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _sync_folder(folder: Path) -> None:
    """A new file's name lives in its folder, which has to reach the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_results(path: Path) -> list[Result]:
    """Read a jsonl file; of records about the same thing from the same inputs, the last counts.

    A last line without its newline is what a killed writer leaves behind; it is not a record and is passed over.

    Raises:
        ValueError: Another line is not a record (names file and line).
    """
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    found: dict[tuple[Any, ...], Result] = {}
    lines = whole.split("\n") if whole else []  # splitlines would split at U+2028 too, which texts may hold
    for number, line in enumerate(lines, start=1):
        try:
            result = decode_record(line)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}: not a record that this version understands: {error}"
            ) from error
        found.pop(_identity(result), None)
        found[_identity(result)] = result
    return list(found.values())


def _identity(result: Result) -> tuple[Any, ...]:
    digests = tuple(sorted(result.provenance.digests.items()))
    if isinstance(result, Score):
        digests += tuple(sorted(result.settings.items()))
    about = (result.key, result.condition, result.versus, result.run, result.image, result.detail)
    return (type(result), *about, digests)


def encode_record(result: Result) -> str:
    """One line of JSON, without its newline. Raises ValueError if a value is NaN or infinite."""
    fields = {entry.name: getattr(result, entry.name) for entry in dataclasses.fields(result)}
    if isinstance(result, Score) and result.mark:
        # It follows from the settings; here it is for whoever reads the file with other tools.
        fields["mark"] = result.mark
    return json.dumps(
        {"kind": _NAMES[type(result)], **fields}, default=_plain, allow_nan=False, ensure_ascii=False
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")


def decode_record(line: str) -> Result:
    """The record that `encode_record` wrote. Raises ValueError, TypeError or KeyError on anything else."""
    tree = json.loads(line)
    if not isinstance(tree, dict):
        raise TypeError("not a JSON object")
    kind = KINDS[tree.pop("kind")]
    tree.pop("mark", None)
    if tree.get("interval") is not None:
        tree["interval"] = Interval(**tree["interval"])
    tree["provenance"] = Provenance(**tree["provenance"])
    tree["notes"] = tuple(tree["notes"])
    return kind(**tree)
