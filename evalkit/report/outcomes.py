"""What a report says first where a protocol's outcome is not the fool rate of pairs: words, table and figure."""

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.figures import Axis
from evalkit.report.numerals import count, level, milliseconds, percent
from evalkit.results import Estimate, Interval
from studies.design import Study


@dataclass(frozen=True)
class Outcome:
    """How one analysis is told of."""

    about: str
    """What kind of study it is."""
    question: str
    """The report's title, as a question."""
    heading: str
    rows: Mapping[str, str]
    """Key of a record -> what it is; the first is the primary one, and the one that is drawn."""
    column: str
    """What the numbers are, with their unit."""
    axis: Axis
    note: str
    method: str
    """What the primary estimate is, for the methods paragraph."""


OUTCOMES = {
    "error_rate": Outcome(
        "real-or-fake study of single images",
        "can its images be told from real ones?",
        "Misjudged images",
        {
            "error_rate": "all images",
            "error_rate_on_fakes": "fakes called real",
            "error_rate_on_reals": "real images called fake",
        },
        "misjudged, %",
        Axis("misjudged, %", 50.0, "50 %: nobody can tell", (0.0, 55.0), (0.0, 100.0)),
        "Share of single images that were misjudged (HYPE∞ for all images together, where half of them are real). 50 % is chance;"
        " above it fakes look more real than real images. Not comparable with rates of pairs.",
        "The primary estimate is the error rate over fakes and real images together, pooled over scored, non-void, answered"
        " trials of finished sessions that no rule excludes.",
    ),
    "modal_exposure": Outcome(
        "real-or-fake study with adaptive exposure",
        "how long must people look?",
        "Time that people need",
        {
            "modal_exposure": "exposure met most often",
            "reversal_exposure": "mean of reversals (our addition)",
        },
        "exposure, ms",
        Axis("exposure, ms", 0.0, "", (0.0, 500.0), (0.0, 60_000.0)),
        "Mean over sessions. An exposure becomes shorter after a correct answer and longer after a mistake, so a longer one"
        " means images that are harder to tell from real ones. Two interleaved staircases per session.",
        "The primary estimate is the exposure that a session met most often, averaged over finished sessions that no rule"
        " excludes.",
    ),
    "worker_rates": Outcome(
        "real-or-fake study known by its workers' rates",
        "can its images be told from real ones?",
        "Misjudged images, averaged over workers",
        {
            "error_rate_over_workers": "all images",
            "fool_rate_over_workers": "fakes called real",
            "error_rate_on_reals_over_workers": "real images called fake",
        },
        "misjudged, %",
        Axis("misjudged, %", 50.0, "50 %: nobody can tell", (0.0, 55.0), (0.0, 100.0)),
        "Mean over workers of the share of images that each misjudged, with Student’s interval. Which image was judged is not"
        " known, so the numbers are about these images before other people.",
        "The primary estimate is the mean over workers of the share of images that each misjudged; every worker weighs the"
        " same.",
    ),
    "preference_share": Outcome(
        "preference study",
        "which images do people prefer?",
        "Preferred images",
        {"preference_share": "first-named preferred"},
        "preferred, %",
        Axis("first-named preferred, %", 50.0, "50 %: no preference", (30.0, 70.0), (0.0, 100.0)),
        "Share of comparisons in which the first-named algorithm's image of the input was preferred. Nobody was asked what"
        " is real.",
        "The primary estimate is the share of comparisons in which the first-named algorithm was preferred, pooled over"
        " scored, non-void, answered trials of finished sessions that no rule excludes.",
    ),
    "input_match_share": Outcome(
        "input-matching study",
        "do its images keep to their input?",
        "Outputs matched with their input",
        {"input_match_share": "right input found"},
        "right, %",
        Axis("right, %", 50.0, "50 %: chance, the input cannot be seen", (45.0, 100.0), (0.0, 100.0)),
        "Share of trials in which the output that was made from the input was told from an output of another input. 50 % is"
        " chance: nothing of the input can be seen in the images, however good they look.",
        "The primary estimate is the share of right answers, pooled over scored, non-void, answered trials of finished"
        " sessions that no rule excludes.",
    ),
}
"""By the first analysis of a protocol; the fool rate has pages of its own."""


def outcome_of(study: Study) -> Outcome | None:
    """What the study's report begins with; None where that is the fool rate."""
    return OUTCOMES.get("worker_rates" if _of_workers(study) else study.protocol.analyses[0])


def shows_fooling(study: Study) -> bool:
    """Whether there are single answers about fakes to show."""
    return "fool_rate" in study.protocol.analyses and not _of_workers(study)


def _of_workers(study: Study) -> bool:
    return study.imported is not None and study.imported.of_workers


def estimates(collected: Collected) -> list[Estimate]:
    """The records behind the table, algorithm by algorithm."""
    outcome = outcome_of(collected.study)
    found = [one for key in (outcome.rows if outcome else ()) for one in collected.records.keyed(key)]
    names = collected.conditions
    return sorted(found, key=lambda one: (names.index(one.condition), names.index(one.versus or names[0])))


def primary(collected: Collected) -> list[Estimate]:
    """Those of the first key that could be estimated."""
    outcome = outcome_of(collected.study)
    if outcome is None:
        return []
    records = (collected.records.keyed(key) for key in outcome.rows)
    return [one for one in next(filter(None, records), []) if one.value is not None]


def outcome_table(collected: Collected) -> Table:
    """One row per algorithm (or pair of algorithms) and quantity."""
    outcome = outcome_of(collected.study)
    assert outcome is not None
    rows = []
    for one in estimates(collected):
        low, high = (one.interval.low, one.interval.high) if one.interval else (None, None)
        rows.append(
            (
                Cell(named(one), {"condition": one.condition, "versus": one.versus}, words=True),
                text_cell(outcome.rows[one.key], "quantity"),
                Cell(value(one), {"key": one.key, "value": one.value}),
                Cell(bounds(one.interval, one.unit), {"low": low, "high": high}),
                *(Cell(count(one.n.get(size)), {size: one.n.get(size)}) for size in ("workers", "trials")),
            )
        )
    headings = (
        *("algorithm", "quantity", outcome.column),
        f"{level(collected.study.analysis.confidence_level)} interval",
        *("participants", "trials"),
    )
    return make_table(collected, "outcome", outcome.heading, headings, rows, (outcome.note,))


def sentences(collected: Collected, who: str) -> list[str]:
    """The result in words, one sentence per algorithm or pair; none where there is nothing yet."""
    return [SENTENCES[one.key](collected, one, who) for one in primary(collected)]


def _error_rate(collected: Collected, one: Estimate, who: str) -> str:
    parts = [collected.records.value(f"error_rate_on_{kind}", one.condition) for kind in ("fakes", "reals")]
    return (
        f"In {count(one.n['trials'])} trials, {count(one.n['workers'])} {who} misjudged {percent(one.value)} % of the images"
        f" in {one.condition}’s sessions ({bracket(one)}): {percent(parts[0])} % of its fakes and {percent(parts[1])} % of the"
        " real images."
    )


def _modal_exposure(collected: Collected, one: Estimate, who: str) -> str:  # noqa: ARG001 - as the others
    return (
        f"With {one.condition}’s images, the exposure that {count(one.n['workers'])} {who} met most often was {value(one)} ms"
        f" on average ({bracket(one)})."
    )


def _preference(collected: Collected, one: Estimate, who: str) -> str:  # noqa: ARG001 - as the others
    return (
        f"In {count(one.n['trials'])} comparisons, {count(one.n['workers'])} {who} preferred {one.condition}’s image to"
        f" {one.versus}’s in {percent(one.value)} % ({bracket(one)})."
    )


def _input_match(collected: Collected, one: Estimate, who: str) -> str:  # noqa: ARG001 - as the others
    return (
        f"In {count(one.n['trials'])} trials, {count(one.n['workers'])} {who} found the output of {one.condition} that belongs"
        f" to the input in {percent(one.value)} % ({bracket(one)}); 50 % is chance."
    )


def _worker_rates(collected: Collected, one: Estimate, who: str) -> str:  # noqa: ARG001 - as the others
    what = OUTCOMES["worker_rates"].rows[one.key]
    return (
        f"{count(one.n['workers'])} {who} misjudged {percent(one.value)} % of {one.condition}’s images on average ({what};"
        f" {bracket(one)})."
    )


SENTENCES = {
    **dict.fromkeys(OUTCOMES["worker_rates"].rows, _worker_rates),
    "error_rate": _error_rate,
    "modal_exposure": _modal_exposure,
    "preference_share": _preference,
    "input_match_share": _input_match,
}


def named(one: Estimate) -> str:
    """The algorithm, or the pair."""
    return f"{one.condition} over {one.versus}" if one.versus else one.condition


def value(one: Estimate) -> str:
    """In percent, or in ms."""
    return milliseconds(one.value) if one.unit == "ms" else percent(one.value)


def bounds(interval: Interval | None, unit: str) -> str:
    """The interval in the same unit."""
    if interval is None:
        return "–"
    write = milliseconds if unit == "ms" else percent
    return f"{write(interval.low)}–{write(interval.high)}"


def bracket(one: Estimate) -> str:
    """The interval in words."""
    if one.interval is None:
        return "no interval: too small a sample"
    write, unit = (milliseconds, "ms") if one.unit == "ms" else (percent, "%")
    return f"{level(one)} interval {write(one.interval.low)} to {write(one.interval.high)} {unit}"
