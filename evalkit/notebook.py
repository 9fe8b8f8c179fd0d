"""A study folder as one object, for notebooks and scripts."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import pandas as pd

from evalkit.frames import read_frame
from evalkit.html_view import mark, p_text, table_html, with_interval
from evalkit.results import Estimate, Result, read_results
from evalkit.scores import FILE as SCORES
from studies import design
from studies.errors import UserError, did_you_mean
from studies.records import DATA_KINDS, IMPORTED, DataKind, Response

ESTIMATES = "estimates.jsonl"
SIZES = ("trials", "workers", "source_images", "sessions")
"""What `Study.estimates` tells of the sizes of a number; `Study.results` has all."""
_MOST_ROWS = 30


class Study:
    """A study folder: its settings, its answers, its estimates and its report.

    Which data it is about is settled as on the command line: what was asked for, else live, else what there is.

    >>> study = Study.open("facades")
    >>> estimates = study.analyze()
    >>> estimates.query("key == 'fool_rate'")[["condition", "trials", "workers"]].to_string(index=False).split()
    ['condition', 'trials', 'workers', 'pix2pix', '106', '9', 'cyclegan', '106', '9']
    >>> study.find("fool_rate", "pix2pix").interval.confidence_level
    0.95
    >>> study.report().name
    'report.html'
    """

    def __init__(self, folder: Path, settings: design.Study, data: DataKind | None) -> None:
        self.folder = folder
        """Where it lies."""
        self.settings = settings
        """What study.toml says."""
        self._asked = data

    @classmethod
    def open(cls, folder: str | Path, data: DataKind | None = None) -> "Study":
        """Read the settings of a study; its answers are read when they are asked for.

        Args:
            folder: The study folder.
            data: live, pilot, simulated, preview or imported; None = live, or what there is.

        Raises:
            UserError: There is no study there, its study.toml has a mistake, or there is no such kind of data.
        """
        folder = Path(folder).expanduser()
        settings = design.load_study(folder)
        kinds = [IMPORTED] if settings.imported else [*DATA_KINDS]
        if data is not None and data not in kinds:
            raise UserError(
                f"{folder}: {data!r} is no kind of data of this study. Allowed: {', '.join(kinds)}."
            )
        return cls(folder, settings, data)

    @property
    def id(self) -> str:
        """Its name in every row."""
        return self.settings.id

    @property
    def conditions(self) -> tuple[str, ...]:
        """The algorithms, in the order of study.toml."""
        return tuple(self.settings.conditions)

    @property
    def data(self) -> DataKind:
        """Which data it is about: what was asked for, else the first kind of which there are files.

        Raises:
            UserError: There are none.
        """
        if self._asked is not None:
            return self._asked
        kinds: Sequence[DataKind] = [IMPORTED] if self.settings.imported else DATA_KINDS
        for name in (ESTIMATES, "responses.csv"):
            for kind in kinds:
                if (self.folder / kind / name).is_file():
                    return kind
        raise UserError(f"{self.folder}: no answers here yet. {self._begin}")

    def analyze(self, also: Sequence[str] = ()) -> pd.DataFrame:
        """Export the answers, estimate what the study planned, and return `estimates`.

        Replaces estimates.jsonl, as `evalkit analyze` does. A folder without a database is analysed from the files that
        lie in it.

        Args:
            also: Analyses that the study did not plan; their numbers are marked as unplanned.

        Raises:
            UserError: Nobody has taken part, an input is malformed, or an analysis does not exist.
        """
        self._analyze(also)
        return self.estimates

    def report(self, also: Sequence[str] = ()) -> Path:
        """Analyse, write the report, and return the path of report.html, as `evalkit report` does.

        Raises:
            UserError: As `analyze`.
        """
        from evalkit.report import write_report

        return write_report(self.folder, self._analyze(also))

    def find(
        self, key: str, condition: str = "", versus: str = "", detail: str = "", run: int | None = None
    ) -> Result:
        """The one record about this.

        Args:
            key: Such as `fool_rate`.
            condition: The algorithm; empty for the whole study.
            versus: The algorithm that is subtracted.
            detail: Which part; empty takes the record of the whole, or the only part.
            run: The training run; None for all together.

        Raises:
            UserError: There is none, or there are several (names what there is).
        """
        keyed = [one for one in self.results if one.key == key and not one.image]
        if not keyed:
            raise UserError(
                f"no estimate is called {key!r}.{did_you_mean(key, {one.key for one in self.results})}"
            )
        about = (condition, versus, run)
        found = [one for one in keyed if (one.condition, one.versus, one.run) == about]
        if not found:
            there = dict.fromkeys(f"{(one.condition, one.versus)}" for one in keyed)
            raise UserError(
                f"{key}: nothing about {(condition, versus)}, run {run}. Known: {', '.join(there)}."
            )
        exact = [one for one in found if one.detail == detail] or (found if not detail else [])
        if len(exact) != 1:
            details = ", ".join(repr(one.detail) for one in found)
            raise UserError(f"{key}: {len(exact)} records have detail {detail!r}. Known: {details}.")
        return exact[0]

    @property
    def results(self) -> list[Result]:
        """Every record of the last analysis, whole.

        Raises:
            UserError: There was none yet.
        """
        path = self.folder / self.data / ESTIMATES
        if not path.is_file():
            raise UserError(
                f"{path}: not there yet. Call analyze() first, or run: evalkit analyze {self.folder}"
            )
        return _read(path)

    @property
    def estimates(self) -> pd.DataFrame:
        """The last analysis as a table: one row per record, with `mark` where one must be said."""
        return frame(self.results)

    @property
    def scores(self) -> pd.DataFrame:
        """What `evalkit metrics` has computed, in the columns of `estimates`; no rows where it has not run."""
        path = self.folder / SCORES
        return frame(_read(path) if path.is_file() else [])

    @property
    def responses(self) -> pd.DataFrame:
        """The answers as they were last exported; the columns are those of responses.csv.

        Raises:
            UserError: There is no such file yet, or it is malformed.
        """
        return read_frame(self.folder / self.data / "responses.csv", Response)

    def __repr__(self) -> str:
        return f"Study.open({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        """How a notebook shows it: the planned numbers, or what to do to get some."""
        words = f"Study {self.id}: {', '.join(self.conditions)}"
        path = next(iter(self._present), None)
        if path is None:
            return table_html(words, (), (), more=[f"No estimates yet. {self._begin}"])
        records = _read(path)
        shown = [one for one in records if _is_main(one)]
        rows = [
            (_about(one), with_interval(one), _p(one, records), _sizes(one)) for one in shown[:_MOST_ROWS]
        ]
        left = f" {len(shown) - _MOST_ROWS} more rows are not shown." if len(shown) > _MOST_ROWS else ""
        target = f"About {self.settings.analysis.target}. {len(records)} records in {path}.{left}"
        notes = dict.fromkeys(note for one in shown for note in one.notes)
        header = ("", "value with interval", "p, adjusted", "from")
        return table_html(words, header, rows, mark(records[0]) if records else "", [target, *notes])

    @cached_property
    def _begin(self) -> str:
        return f"`evalkit study serve {self.folder}` is for people; then call analyze()."

    @property
    def _present(self) -> list[Path]:
        """The estimates that there are, those of `data` first."""
        kinds = [self._asked] if self._asked else [*DATA_KINDS, IMPORTED]
        paths = [self.folder / kind / ESTIMATES for kind in kinds]
        return [path for path in paths if path.is_file()]

    def _analyze(self, also: Sequence[str]) -> DataKind:
        if self.settings.imported is None and not self._has_database():
            from evalkit.analyses import analyze

            kind = self.data
            analyze(self.folder, kind, also)
        else:
            from evalkit.cli.numbers import run_analysis

            path = run_analysis(self.folder, self._asked, also)
            kind = next(one for one in (*DATA_KINDS, IMPORTED) if one == path.parent.name)
        self._asked = kind
        return kind

    def _has_database(self) -> bool:
        from webapp.config import database_url

        url = database_url(self.folder)
        return not url.startswith("sqlite") or Path(url.removeprefix("sqlite:///")).is_file()


def frame(results: Sequence[Result]) -> pd.DataFrame:
    """Records as a table, one row each; what a record does not have is missing."""
    return pd.DataFrame([_row(one) for one in results], columns=list(_COLUMNS)).astype(_COLUMNS)


_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys(("key", "condition", "versus"), "str"),
    "run": "Int64",
    **dict.fromkeys(("image", "detail"), "str"),
    **dict.fromkeys(
        ("value", "low", "high", "confidence_level", "standard_error", "p_value", "p_adjusted"), "float64"
    ),
    "unit": "str",
    **dict.fromkeys(SIZES, "Int64"),
    **dict.fromkeys(("status", "analysis", "target", "method", "notes", "mark"), "str"),
}


def _row(result: Result) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(result, name, None) for name in _COLUMNS}
    interval = getattr(result, "interval", None)
    if interval is not None:
        row |= {name: getattr(interval, name) for name in ("low", "high", "confidence_level")}
    row |= {name: result.n.get(name) for name in SIZES}
    row |= {name: getattr(result.provenance, name) for name in ("status", "analysis", "target")}
    return row | {"notes": "; ".join(result.notes), "mark": mark(result)}


def _read(path: Path) -> list[Result]:
    try:
        return read_results(path)
    except ValueError as error:
        raise UserError(f"{error}. Run: evalkit analyze {path.parents[1]}") from error


def _is_main(result: Result) -> bool:
    """Whether it is a planned number about an algorithm or a contrast as a whole."""
    source = result.provenance
    whole = not (result.image or result.detail) and result.run is None and bool(result.condition)
    planned = source.status in ("planned", "at import") and isinstance(result, Estimate)
    return whole and planned and (result.key == source.analysis or bool(result.versus))


def _about(result: Result) -> str:
    versus = f" − {result.versus}" if result.versus else ""
    return f"{result.key}: {result.condition}{versus}"


def _p(result: Result, records: Sequence[Result]) -> str:
    """The adjusted p-value of the test that belongs to a contrast."""
    for one in records if result.versus else ():
        same = (one.condition, one.versus) == (result.condition, result.versus)
        if same and one.key == "difference_test" and getattr(one, "p_adjusted", None) is not None:
            return p_text(one.p_adjusted)  # type: ignore[attr-defined]
    return ""


def _sizes(result: Result) -> str:
    return ", ".join(f"{result.n[name]:,} {name.replace('_', ' ')}" for name in SIZES if name in result.n)
