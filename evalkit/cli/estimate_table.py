"""Estimates on a terminal: one page, the planned ones first, each with what it rests on and what must be known of it."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evalkit.report.numerals import NOTHING, count, level
from evalkit.report.records import Line, Section, sections, words
from evalkit.results import Estimate, HypothesisTest, Result

_FILE_WIDTH = 120
"""Columns where the page does not go to a terminal."""
_ELSEWHERE = ("flow", "image_rates", "exposure")
"""Analyses of which the page says the sum only; report.html has the rest."""
_MOST_BESIDE = 3
"""Algorithms that fit beside each other; more stand beneath each other."""
_MOST_OF_A_KEY = 12
"""Records of one key and algorithm that the page lists."""
_SIZES = ("trials", "workers", "source_images", "sessions")
"""What a row says of the sizes that its first number rests on."""
_ORDER = ("planned", "at import", "unplanned", "descriptive")
_EXPLAINED = {
    **dict.fromkeys(("fool_rate", "pairwise_differences", "equivalence", "ranks"), "estimates"),
    **dict.fromkeys(("signal_detection", "agreement"), "signal-detection"),
    **dict.fromkeys(("response_quality", "attrition", "learning"), "data-quality"),
    **dict.fromkeys(("worker_rates", "accuracy"), "importing"),
    **dict.fromkeys(("preference_share", "error_rate", "input_match_share", "modal_exposure"), "protocols"),
    "mixed_model": "mixed-model",
    "people_and_metrics": "people-and-metrics",
    "stopping": "stopping",
}
"""Page of docs/ that says what the rows of an analysis are."""
_PRIMARY = "fool_rate"
"""The analysis whose rows are one quantity by many methods, the study's own first."""
_FLOW = (
    ("sessions_started", "started"),
    ("sessions_finished", "finished"),
    ("sessions_excluded", "excluded by rule"),
    ("sessions_analysed", "analysed"),
    ("trials", "trials"),
    ("trials_missing", "unanswered"),
    ("trials_void", "void"),
)


def show_estimates(results: Sequence[Result]) -> None:
    """Print the page to stderr, so that stdout is left for the path of the records."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console = Console(stderr=True, highlight=False, width=_FILE_WIDTH)
    for line in _head(results):
        console.print(line, soft_wrap=True)
    found = [section for section in sections(results) if section.analysis not in _ELSEWHERE]
    for section in sorted(found, key=lambda one: _ORDER.index(one.status)):
        _show(console, section)
    here = ", ".join(
        dict.fromkeys(one.provenance.analysis for one in results if one.provenance.analysis in _ELSEWHERE)
    )
    if here:
        console.print(f"\nNot on this page: {here}; `evalkit report` shows them.", soft_wrap=True)


def _head(results: Sequence[Result]) -> Iterable[str]:
    source = results[0].provenance
    kind = source.mark or ("IMPORTED data" if source.data == "imported" else "people's live answers")
    yield f"[bold]{escape(source.study)}[/bold]: {escape(kind)}; target of inference: {escape(source.target)}"
    conditions = dict.fromkeys(one.condition for one in results if one.condition)
    by_trial = source.data != "imported" or any(
        one.value for one in results if one.key in ("trials", "trials_missing") and one.condition
    )
    for condition in conditions:
        counts = {
            one.key: one.value
            for one in results
            if one.condition == condition and not one.detail and one.unit == "count"
        }
        told = [
            f"{count(counts[key])} {words}"
            for key, words in _FLOW
            if counts.get(key) is not None and (by_trial or not key.startswith("trials"))
        ]
        if told:
            yield f"  {escape(condition)}: {', '.join(told)}"
    levels = {one.interval.confidence_level for one in results if isinstance(one, Estimate) and one.interval}
    if len(levels) == 1:
        yield f"Intervals: {level(levels.pop())} unless a note says otherwise."


def _show(console: Console, section: Section) -> None:
    status = {"at import": "chosen at import", "unplanned": "NOT PLANNED"}.get(section.status, section.status)
    page = _EXPLAINED.get(section.analysis)
    where = f"  [dim]docs/{page}.md[/dim]" if page else ""
    console.print(f"\n[bold]{escape(section.title.removesuffix(' (unplanned)'))}[/bold] ({status})" + where)
    if section.analysis == _PRIMARY:
        console.print(
            "The first row is the estimate of the study; the others are the same rate by other methods, or of other sessions.",
            soft_wrap=True,
        )
    pairs, many = _few_of_each(section)
    conditions = list(dict.fromkeys(record.condition for record, _ in pairs if _is_of_one(record)))
    beside = 0 < len(conditions) <= _MOST_BESIDE
    if beside:
        console.print(_beside([pair for pair in pairs if _is_of_one(pair[0])], conditions))
    rest = [pair for pair in pairs if not (beside and _is_of_one(pair[0]))]
    if rest:
        console.print(_beneath(rest))
    told = {number for _, line in pairs for number in line.notes}
    for number, note in enumerate(section.notes, 1):
        if number in told:
            console.print(f"  [{number}] {note}", markup=False, soft_wrap=True)
    for line in many:
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _few_of_each(section: Section) -> tuple[list[tuple[Result, Line]], list[str]]:
    """Records with their lines; of keys with many records about one thing each, such as sessions, only how many."""
    sizes: dict[tuple[str, str], int] = {}
    for record in section.records:
        about = (record.key, record.condition)
        sizes[about] = sizes.get(about, 0) + 1
    many = {key: 0 for (key, _), size in sizes.items() if size > _MOST_OF_A_KEY}
    kept = []
    for record, line in zip(section.records, section.lines, strict=True):
        if record.key in many:
            many[record.key] += 1
        else:
            kept.append((record, line))
    return kept, [f"{words(key)}: {size} records, in estimates.jsonl." for key, size in many.items()]


def _is_of_one(record: Result) -> bool:
    return bool(record.condition) and not record.versus and not isinstance(record, HypothesisTest)


def _beside(pairs: Sequence[tuple[Result, Line]], conditions: Sequence[str]) -> Table:
    """Algorithms beside each other; first what their numbers rest on."""
    rows: dict[str, dict[str, Line]] = {}
    for record, line in pairs:
        rows.setdefault(f"{line.what}{'' if record.run is None else f', run {record.run}'}", {})[
            record.condition
        ] = line
    table = _empty("what")
    for condition in conditions:
        table.add_column(escape(condition), justify="right", overflow="fold")
    own = {name: [record for record, _ in pairs if record.condition == name] for name in conditions}
    same = all(_rest_on_the_same(records) for records in own.values())
    sizes = (f"[dim]{escape(_rests_on(*own[name]))}[/dim]" for name in conditions)
    table.add_row(f"[dim]{'n' if same else 'n, at most'}[/dim]", *sizes)
    for what, lines in rows.items():
        shared = set.intersection(*(set(line.notes) for line in lines.values()))
        cells = (
            _with_interval(lines[name]) + _marks(set(lines[name].notes) - shared) if name in lines else ""
            for name in conditions
        )
        table.add_row(escape(what + _marks(shared)), *map(escape, cells))
    return table


def _beneath(pairs: Sequence[tuple[Result, Line]]) -> Table:
    """One row each: contrasts, tests, numbers about the whole study, and algorithms where there are many."""
    table = _empty("what")
    table.add_column("about", overflow="fold")
    table.add_column("value", justify="right", overflow="fold")
    tests = any(line.p for _, line in pairs)
    if tests:
        table.add_column("p", justify="right", overflow="fold")
    sized = not tests and any(record.n for record, _ in pairs)
    if sized:
        table.add_column("n", justify="right", overflow="fold")
    for record, line in pairs:
        last = (line.p,) if tests else (_rests_on(record),) if sized else ()
        table.add_row(*map(escape, (line.what + _marks(line.notes), line.about, _with_interval(line), *last)))
    return table


def _empty(heading: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), show_edge=False)
    table.add_column(heading, overflow="fold", min_width=30)
    return table


def _marks(notes: Iterable[int]) -> str:
    return "".join(f" [{number}]" for number in sorted(notes))


def _with_interval(line: Line) -> str:
    return line.value if line.interval == NOTHING else f"{line.value} ({line.interval})"


def _rest_on_the_same(records: Sequence[Result]) -> bool:
    return all(len({record.n[name] for record in records if name in record.n}) <= 1 for name in _SIZES)


def _rests_on(*records: Result) -> str:
    """The largest of each size; where nobody has one of the usual sizes, what the first record counts."""
    largest = {
        name: max((record.n[name] for record in records if name in record.n), default=0) for name in _SIZES
    }
    found = {name: size for name, size in largest.items() if size}
    if not found:
        unusual = [name for name in records[0].n if name not in _SIZES]
        found = {
            name: records[0].n[name]
            for name in [*(name for name in _SIZES if name in records[0].n), *unusual][:1]
        }
    return ", ".join(f"{count(size)} {words(name)}" for name, size in found.items())
