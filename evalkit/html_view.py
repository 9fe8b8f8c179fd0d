"""Records as HTML for notebooks: small tables without style sheets or scripts."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalkit.results import Result


def result_html(result: "Result") -> str:
    """One record with what a reader needs to judge it: value, interval or p, sizes, method, notes and mark."""
    return table_html(title(result), (), _rows(result), mark(result))


def table_html(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    mark_text: str = "",
    more: Iterable[str] = (),
) -> str:
    """A table whose first column names its rows; the mark stands in the caption, all texts are escaped.

    Args:
        caption: Its title.
        header: Titles of the columns; none if empty.
        rows: Cells, the first one the row's name.
        mark_text: What must be said wherever these numbers stand.
        more: Sentences that stand beneath.
    """
    marked = f" <strong>{escape(mark_text)}</strong>" if mark_text else ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(first)}</th>'
        + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<table><caption style="text-align:left">{escape(caption)}{marked}</caption>'
        + (f"<thead><tr>{head}</tr></thead>" if header else "")
        + f"<tbody>{body}</tbody></table>"
        + "".join(f"<p>{escape(sentence)}</p>" for sentence in more)
    )


def title(result: "Result") -> str:
    """What the number is and what it is about: `fool_rate, l1_cgan − cgan, run 2`."""
    about = f"{result.condition} − {result.versus}" if result.versus else result.condition
    run = "" if result.run is None else f"run {result.run}"
    image = f"image {result.image}" if result.image else ""
    return ", ".join(part for part in (result.key, about, run, image, result.detail) if part)


def mark(result: "Result") -> str:
    """What must stand wherever the number stands: the kind of data, and of a score its weights."""
    own = getattr(result, "mark", "")
    return ", ".join(part for part in (result.provenance.mark, own) if part)


def number(value: float | None, unit: str = "") -> str:
    """A value as it is read: proportions in percent, `points` between two of them, others with four digits."""
    if value is None:
        return "not estimated"
    in_hundredths = {"proportion": " %", "points": " points"}
    return f"{100 * value:.1f}{in_hundredths[unit]}" if unit in in_hundredths else f"{value:.4g}"


def p_text(p: float) -> str:
    """A p-value; tiny ones as `< 0.0001`."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def with_interval(result: "Result") -> str:
    """Value and interval: `25.0 % [18.1 %, 31.9 %]`."""
    interval = getattr(result, "interval", None)
    unit = "points" if result.versus and result.unit == "proportion" else result.unit
    text = number(result.value, unit)
    if interval is None:
        return text
    return f"{text} [{number(interval.low, unit)}, {number(interval.high, unit)}]"


def _rows(result: "Result") -> Iterator[tuple[str, str]]:
    interval = getattr(result, "interval", None)
    level = f", {100 * interval.confidence_level:g} % interval" if interval else ""
    unit = "" if result.unit in ("proportion", "") else f" ({result.unit})"
    yield f"value{level}", with_interval(result) + unit
    p = getattr(result, "p_value", None)
    if p is not None:
        yield "p", p_text(p)
    adjusted = getattr(result, "p_adjusted", None)
    if adjusted is not None:
        yield "p, adjusted", p_text(adjusted)
    for name in ("null_hypothesis", "alternative"):
        if getattr(result, name, ""):
            yield name.replace("_", " "), getattr(result, name)
    if result.n:
        yield "from", ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.n.items())
    if result.provenance.target:
        yield "about", result.provenance.target
    yield "method", result.method
    for note in result.notes:
        yield "note", note
