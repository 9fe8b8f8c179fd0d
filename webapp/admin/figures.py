"""What the dashboard draws of the responses so far. Pure; looks at no outcome but that of attention checks."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from studies.records import Response

FAST_MS = 200.0
"""Nobody judges an image and moves a finger in less; our choice."""
FAST_SHARE = 0.1
"""A session with more such answers than this is flagged."""
SAME_SIDE_RUN = 15
"""So many answers on one side in a row come by chance in less than one session of a thousand."""
EXPOSURE_SHARE = 0.1
"""A session with more trials than this shown too long or too short is flagged."""


@dataclass(frozen=True)
class Bin:
    """One bar."""

    low: float | None
    """None: everything below."""
    high: float | None
    """None: everything from `low` on."""
    count: int


@dataclass(frozen=True)
class Spread:
    """Measured values, summed up and as a histogram."""

    n: int
    low: float
    """5 % quantile."""
    median: float
    high: float
    """95 % quantile."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Share:
    """How often one of two things that ought to be even was chosen."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.count / self.n

    @property
    def chance(self) -> float:
        """How far from one half twice the standard error reaches, were all answers coin flips."""
        return 1 / math.sqrt(self.n)

    @property
    def lopsided(self) -> bool:
        """Further from one half than that."""
        return abs(self.share - 0.5) > self.chance


@dataclass(frozen=True)
class Views:
    """How often the images were shown in scored trials that count."""

    images: int
    """Images shown at least once."""
    unseen: int
    """Images of the bundle not shown yet."""
    least: int
    median: float
    most: int
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Figures:
    """Everything that is worked out from the responses, apart from the fool rate."""

    voids: dict[str, int]
    """Void trials by reason, the most frequent first."""
    exposures: Spread | None
    """Shown minus planned, in ms."""
    displays_off: int
    """Trials with a display off by more than 1.5 frames."""
    reactions: Spread | None
    """Response times of scored answers, in ms."""
    checks: Share | None
    """Attention checks passed."""
    left: Share | None
    """Answers on the left."""
    first: Share | None
    """Answers for the image that was shown first."""
    views: Views | None
    flags: dict[str, tuple[str, ...]]
    """What is odd about a session, in words, by its id."""


def figures(responses: Sequence[Response], images: int, max_void_trials: int | None) -> Figures:
    """Work all figures out.

    Args:
        responses: All trials that were answered or became void.
        images: Images in the bundle.
        max_void_trials: The study's rule of exclusion.
    """
    kept = [row for row in responses if not row.void_reason]
    scored = [row for row in kept if row.phase == "scored"]
    checks = [row for row in kept if row.phase == "check" and row.outcome is not None]
    voids = Counter(row.void_reason for row in responses if row.void_reason)
    sided = [side for side in map(_chosen_side, scored) if side in ("left", "right")]
    ordered = [row.choice for row in scored if row.choice in ("first", "second")]
    return Figures(
        voids=dict(voids.most_common()),
        exposures=spread(_deviations(responses), _even_edges(-50, 50, 5)),
        displays_off=sum("exposure" in row.flags.split() for row in responses),
        reactions=spread(
            (row.rt_ms for row in scored if row.rt_ms is not None), _even_edges(0, 5000, 250)[1:]
        ),
        checks=_share(sum(row.outcome == 1 for row in checks), len(checks)),
        left=_share(sided.count("left"), len(sided)),
        first=_share(ordered.count("first"), len(ordered)),
        views=_views(scored, images),
        flags=_flags(responses, max_void_trials),
    )


def _share(count: int, n: int) -> Share | None:
    return Share(count, n) if n else None


def _deviations(responses: Iterable[Response]) -> Iterable[float]:
    for row in responses:
        for shown, planned in ((row.exposure_ms_1, row.planned_ms_1), (row.exposure_ms_2, row.planned_ms_2)):
            if shown is not None and planned:
                yield shown - planned


def _chosen_side(row: Response) -> str:
    return {"first": row.side_1, "second": row.side_2}.get(row.choice, "")


def _even_edges(low: int, high: int, step: int) -> list[float]:
    return [float(edge) for edge in range(low, high + 1, step)]


def spread(values: Iterable[float], edges: Sequence[float]) -> Spread | None:
    """Sum values up; the first bar takes all below the first edge, the last all from the last edge on."""
    ordered = sorted(values)
    if not ordered:
        return None
    last = len(ordered) - 1
    return Spread(
        n=len(ordered),
        low=ordered[round(0.05 * last)],
        median=statistics.median(ordered),
        high=ordered[round(0.95 * last)],
        bins=_bins(ordered, edges),
    )


def _bins(values: Iterable[float], edges: Sequence[float]) -> tuple[Bin, ...]:
    counts = Counter(sum(value >= edge for edge in edges) for value in values)
    bounds = [None, *edges, None]
    return tuple(Bin(bounds[n], bounds[n + 1], counts[n]) for n in range(len(edges) + 1))


def _views(scored: Iterable[Response], images: int) -> Views | None:
    seen = Counter(image for row in scored for image in (row.image_1, row.image_2) if image)
    if not seen:
        return None
    counts = sorted(seen.values())
    step = max(1, math.ceil((counts[-1] + 1 - counts[0]) / 20))
    edges = [float(edge) for edge in range(counts[0], counts[-1] + step + 1, step)]
    return Views(
        images=len(counts),
        unseen=max(0, images - len(counts)),
        least=counts[0],
        median=statistics.median(counts),
        most=counts[-1],
        bins=_bins(counts, edges)[1:-1],  # every count lies within the edges
    )


def _flags(responses: Iterable[Response], max_void_trials: int | None) -> dict[str, tuple[str, ...]]:
    by_session: dict[str, list[Response]] = {}
    for row in responses:
        by_session.setdefault(row.session, []).append(row)
    found = {session: tuple(_odd(rows, max_void_trials)) for session, rows in by_session.items()}
    return {session: flags for session, flags in found.items() if flags}


def _odd(rows: Sequence[Response], max_void_trials: int | None) -> Iterable[str]:
    """What a researcher should look at; none of it excludes anybody by itself but the void limit."""
    voids = sum(row.phase == "scored" and bool(row.void_reason) for row in rows)
    if max_void_trials is not None and voids > max_void_trials:
        yield f"{voids} void trials, limit {max_void_trials}"
    kept = [row for row in rows if not row.void_reason]
    failed = sum(row.phase == "check" and row.outcome == 0 for row in kept)
    if failed:
        yield f"{failed} of {sum(row.phase == 'check' for row in kept)} checks failed"
    scored = [row for row in kept if row.phase == "scored"]
    fast = sum(row.rt_ms is not None and row.rt_ms < FAST_MS for row in scored)
    if scored and fast > FAST_SHARE * len(scored):
        yield f"{fast} answers under {FAST_MS:.0f} ms"
    # Where one image is asked about, each answer has a side of its own.
    run = _longest_run([_chosen_side(row) or row.choice for row in scored])
    if run >= SAME_SIDE_RUN:
        yield f"{run} times the same side in a row"
    off = sum("exposure" in row.flags.split() for row in kept)
    if off > EXPOSURE_SHARE * len(rows):
        yield f"{off} trials shown too long or too short"
    slow = sum("slow" in row.flags.split() for row in kept)
    if slow:
        yield f"{slow} trials left open for long"


def _longest_run(sides: Iterable[str]) -> int:
    longest, length, before = 0, 0, ""
    for side in sides:
        length = length + 1 if side and side == before else int(bool(side))
        longest, before = max(longest, length), side
    return longest
