"""Results: every number is a record that says what it is, how it was made and from what.

Knows nothing of tables, studies or plots, so that statistics can return results without importing them.
"""

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA_WORDS: Mapping[str, str] = {"live": "", "pilot": "PILOT", "simulated": "SIMULATED", "preview": "PREVIEW"}
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
    """live | pilot | simulated | preview."""
    observer: str = ""
    """What answered, where no person did (`known`, `seeing`); empty for people."""
    target: str = ""
    """What the number is about: these images | this generator | this loss."""
    status: str = ""
    """planned | unplanned | descriptive."""
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

    higher_is_better: bool
    source: str
    """Paper and implementation that define it."""


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
            stream.write(_encode(result) + "\n")
            count += 1
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    return count


def read_results(path: Path) -> list[Result]:
    """Read a jsonl file; of records about the same thing from the same inputs, the last counts.

    A last line without its newline is what a killed writer leaves behind; it is not a record and is passed over.

    Raises:
        ValueError: Another line is not a record (names file and line).
    """
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    found: dict[tuple[Any, ...], Result] = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            result = _decode(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path}, line {number}: not a record that this version understands: {error}"
            ) from error
        found.pop(_identity(result), None)
        found[_identity(result)] = result
    return list(found.values())


def _identity(result: Result) -> tuple[Any, ...]:
    digests = tuple(sorted(result.provenance.digests.items()))
    about = (result.key, result.condition, result.versus, result.run, result.image, result.detail)
    return (type(result), *about, digests)


def _encode(result: Result) -> str:
    fields = {entry.name: getattr(result, entry.name) for entry in dataclasses.fields(result)}
    return json.dumps(
        {"kind": _NAMES[type(result)], **fields}, default=_plain, allow_nan=False, ensure_ascii=False
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: getattr(value, entry.name) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _decode(tree: dict[str, Any]) -> Result:
    kind = KINDS[tree.pop("kind")]
    if tree.get("interval") is not None:
        tree["interval"] = Interval(**tree["interval"])
    tree["provenance"] = Provenance(**tree["provenance"])
    tree["notes"] = tuple(tree["notes"])
    return kind(**tree)
