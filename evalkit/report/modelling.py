"""Panels of the mixed model, of equivalence, of who left, and of the stopping rule."""

from collections.abc import Iterable

from evalkit.report.answering import columns, ends
from evalkit.report.cells import Cell, Table, make_table, text_cell
from evalkit.report.collect import Collected
from evalkit.report.numerals import NOTHING, count, decimals, p_value, percent, plain, points
from evalkit.report.panel import Draft, Write, about, by_condition, cell
from evalkit.report.small_plots import Point, SmallPlot, Vertical, small_plots
from evalkit.results import Estimate, Result

GROUPS = {
    "workers": "participants",
    "source_images": "images",
    "source_images_shared": "images: hard in every algorithm alike",
    "source_images_by_algorithm": "images: hard in this algorithm",
    "workers_by_algorithm": "participants: good at this algorithm",
    "real_images": "real images beside the fakes",
    "runs": "training runs",
}
"""Groups of the mixed model in words."""
VERDICTS = ("yes", "no", "cannot tell")


def mixed_model(collected: Collected) -> Draft | None:
    """Variance components first, then fixed effects, marginal rates and their differences."""
    records = collected.records
    whole = records.keyed("mixed_model_fit")
    rates = columns(
        collected,
        "mixed_rates",
        "Labeled real % by the mixed model",
        (("fool_rate_mixed", "labeled real % [interval]", percent),),
    )
    if not whole and rates is None:
        return None
    effects = [
        *records.keyed("fake_left_effect"),
        *records.keyed("fake_first_effect"),
        *records.keyed("order_effect"),
    ]
    pieces = (
        _listed(
            collected,
            "variance_components",
            "Variance components",
            ("group", "SD, logits"),
            _spreads(collected),
        ),
        _listed(
            collected,
            "mixed_effects",
            "Effects that all algorithms share",
            ("effect", "logits"),
            ((one.detail, one, decimals) for one in effects),
        ),
        rates,
        _listed(
            collected,
            "mixed_differences",
            "Differences by the mixed model",
            ("contrast", "points"),
            ((about(one), one, points) for one in records.keyed("fool_rate_difference_mixed")),
        ),
        _listed(
            collected,
            "mixed_fit",
            "The fit",
            ("quantity", "value"),
            (("log-likelihood", one, decimals) for one in whole),
        ),
    )
    images = [one for one in records.keyed("image_fool_rate_mixed") if one.image]
    workers = records.keyed("worker_effect")
    files = (_image_file(collected, images), _worker_file(collected, workers))
    lead = (
        (
            "How much of the differences between answers goes with who answers, and how much with what is shown: standard deviations"
            " on the scale of log odds. The larger the part of the images, the less more participants help."
        ),
        *_beside(images, workers),
    )
    return Draft("Variance components (mixed model)", lead, tuple(filter(None, pieces)), files=files)


def _beside(images: list[Estimate], workers: list[Estimate]) -> list[str]:
    """What is too long for the page, and where it lies."""
    return [
        f"Shrunken values of {count(len(found))} {words}: tables/mixed_{name}.csv."
        for found, words, name in ((images, "images", "images"), (workers, "participants", "workers"))
        if found
    ]


def _spreads(collected: Collected) -> Iterable[tuple[str, Estimate, Write]]:
    for one in collected.records.keyed("standard_deviation"):
        yield GROUPS.get(one.detail, one.detail.replace("_", " ")), one, decimals


def _listed(
    collected: Collected,
    name: str,
    title: str,
    headings: tuple[str, str],
    found: Iterable[tuple[str, Estimate, Write]],
) -> Table | None:
    rows = [
        (
            Cell(
                words,
                {"key": one.key, "condition": one.condition, "versus": one.versus, "detail": one.detail},
                words=True,
            ),
            cell(one, "value", write),
        )
        for words, one, write in found
    ]
    first, second = headings
    return make_table(collected, name, title, (first, f"{second} [interval]"), rows) if rows else None


def _image_file(collected: Collected, found: Iterable[Estimate]) -> Table:
    rows = [
        (
            Cell(one.image, {"condition": one.condition, "image": one.image, "run": one.run}, words=True),
            Cell(count(one.n.get("votes")), {"votes": one.n.get("votes")}),
            cell(one, "fool_rate_mixed", percent),
        )
        for one in found
    ]
    headings = ("image", "votes", "shrunken % [interval]")
    return make_table(collected, "mixed_images", "Images by the mixed model", headings, rows)


def _worker_file(collected: Collected, found: Iterable[Estimate]) -> Table:
    rows = [
        (
            text_cell(one.detail, "worker"),
            Cell(count(one.n.get("trials")), {"trials": one.n.get("trials")}),
            cell(one, "effect", decimals),
        )
        for one in found
    ]
    headings = ("participant (hash)", "trials", "effect, logits [interval]")
    return make_table(collected, "mixed_workers", "Participants by the mixed model", headings, rows)


def verdict(found: Result) -> str:
    """What an equivalence record says: yes, no or cannot tell."""
    said = next((note for note in found.notes if note.startswith("Equivalent: ")), "")
    return next((one for one in VERDICTS if said.startswith(f"Equivalent: {one}.")), NOTHING)


def equivalence(collected: Collected) -> Draft | None:
    """Verdicts of equivalence; none where the study set no margin."""
    real = collected.records.keyed("indistinguishable_from_real")
    pairs = collected.records.keyed("as_good_as")
    if not real and not pairs:
        return None
    rows = []
    for one in (*real, *pairs):
        claim = f"{one.condition} as good as {one.versus}" if one.versus else f"{one.condition} as if real"
        rows.append(
            (
                Cell(claim, {"key": one.key, "condition": one.condition, "versus": one.versus}, words=True),
                cell(one, "value", percent if one in real and _of_chance(one) else points),
                text_cell(one.detail, "asked"),
                text_cell(verdict(one), "verdict"),
            )
        )
    headings = ("claim", "% or points [interval]", "yes means", "verdict")
    table = make_table(collected, "equivalence", "Equivalence within the planned margin", headings, rows)
    return Draft("Equivalence", _told(real, pairs), (table,))


def _of_chance(one: Estimate) -> bool:
    return "0.5 ±" in one.detail


def _told(real: list[Estimate], pairs: list[Estimate]) -> tuple[str, ...]:
    text = []
    for words, found in (("Indistinguishable from real images", real), ("As good as each other", pairs)):
        if not found:
            continue
        by = {said: [about(one) for one in found if verdict(one) == said] for said in VERDICTS}
        told = [
            f"{said}: {', '.join(by[said])}" if len(by[said]) <= 6 else f"{said}: {len(by[said])}"
            for said in VERDICTS
            if by[said]
        ]
        text.append(f"{words}, within the margin – {'; '.join(told)}.")
    return tuple(text)


def attrition(collected: Collected) -> Draft | None:
    """Who finished, and whether those who left answered otherwise."""
    keys: tuple[tuple[str, str, Write], ...] = (
        ("finished_share", "finished, % [interval]", percent),
        ("trials_before_leaving", "trials before leaving, median", plain),
        ("fool_rate_leavers_minus_finishers", "labeled real, leavers − finishers, points", points),
    )
    table = columns(collected, "attrition", "Who left before the end", keys)
    whole = by_condition(collected.records.keyed("finished_share")).get("")
    lead = []
    if whole is not None and whole.value is not None:
        lead.append(
            f"Of {count(whole.n.get('sessions'))} sessions that are over, {percent(whole.value)} % were finished."
        )
    lead += [
        f"Whether leaving differs between algorithms: largest difference {percent(test.value)} points, p"
        f" {_p(test.p_value)} ({test.method})."
        for test in collected.records.tests("attrition_test")
    ]
    if table is None and not lead:
        return None
    return Draft("Who left", tuple(lead), (table,) if table else ())


def _p(p: float | None) -> str:
    text = p_value(p)
    return text if text.startswith("<") else "not tested" if p is None else f"= {text}"


def stopping(collected: Collected) -> Draft | None:
    """The interval that holds at any number of looks, and when the rule stopped."""
    records = collected.records
    latest = records.keyed("sequence_rate")
    if not latest:
        return None
    ended = by_condition(records.keyed("stopped_at"))
    rows = [
        (
            text_cell(one.condition, "condition"),
            cell(one, "sequence_rate", percent),
            Cell(count(one.n.get("workers")), {"workers": one.n.get("workers")}),
            *((_end(ended.get(one.condition)),) if ended else ()),
        )
        for one in latest
    ]
    headings = (
        "algorithm",
        "mean over participants, % [interval]",
        "participants",
        *(("rule met after",) * bool(ended)),
    )
    table = make_table(collected, "stopping", "Confidence sequence at the end", headings, rows)
    lead = ["These intervals hold however often one looked while people came in; they are wider for it."]
    if "" in ended:
        lead += [f"The rule: {ended[''].method}.", *ended[""].notes]
    else:
        lead.append("The study has no stopping rule: every place was to be filled.")
    course = records.keyed("sequence_rate_after")
    figure = _course(collected, course)
    caption = "Mean over participants with the interval as it stood after each, as they finished. Data: tables/stopping_course.csv."
    files = (_course_table(collected, course),) if course else ()
    return Draft("Stopping", tuple(lead), (table,), figure, caption if figure else "", files)


def _end(found: Estimate | None) -> Cell:
    value = found.value if found else None
    return Cell("not met" if value is None else count(value), {"stopped_at": value})


def _course(collected: Collected, course: list[Estimate]) -> str:
    plots = []
    for condition in collected.conditions:
        dots = [
            Point(one.n["workers"], 100 * one.value, y_ends=ends(one))
            for one in course
            if one.condition == condition and one.value is not None
        ]
        plots.append(SmallPlot(condition, dots, "participants"))
    if not any(plot.points for plot in plots):
        return ""
    return small_plots(plots, Vertical("labeled real, %", 50.0), collected.mark, "stopping")


def _course_table(collected: Collected, course: list[Estimate]) -> Table:
    rows = [
        (
            text_cell(one.condition, "condition"),
            Cell(count(one.n["workers"]), {"workers": one.n["workers"]}),
            cell(one, "sequence_rate", percent),
        )
        for one in course
    ]
    headings = ("algorithm", "participants", "mean % [interval]")
    return make_table(collected, "stopping_course", "Confidence sequence as it grew", headings, rows)
