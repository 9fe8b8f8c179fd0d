"""The fool rate on the dashboard: the server does no statistics, so the command line hands it this."""

from collections.abc import Sequence

from studies.records import LiveEstimate, Response


def live_estimate(responses: Sequence[Response]) -> dict[str, LiveEstimate]:
    """Fool rate by condition over all scored answers so far, those of unfinished sessions included."""
    by_condition: dict[str, list[Response]] = {}
    for row in responses:
        if row.phase == "scored" and row.fooled is not None:
            by_condition.setdefault(row.condition, []).append(row)
    estimates = {condition: _estimate(rows) for condition, rows in by_condition.items()}
    return {condition: estimate for condition, estimate in estimates.items() if estimate is not None}


def _estimate(rows: list[Response]) -> LiveEstimate | None:
    from evalkit.stats.proportions import clustered_rate  # scipy: not at every server's start

    fakes = [row.source_id_1 if row.fake_slot == 1 else row.source_id_2 for row in rows]
    reals = [row.source_id_2 if row.fake_slot == 1 else row.source_id_1 for row in rows]
    clusters = {"workers": [row.worker for row in rows], "fakes": fakes}
    if fakes != reals:  # pairs from different inputs
        clusters["reals"] = reals
    result = clustered_rate([row.fooled or 0.0 for row in rows], clusters)
    if result.value is None or result.interval is None:
        return None
    return LiveEstimate(
        result.value, result.interval.low, result.interval.high, len(rows), "95 % interval, clustered"
    )
