"""How often the output that was made from the input was found; 50 % is chance."""

from evalkit.analyses.base import Context, clustered_share
from evalkit.responses import ResponseTable
from evalkit.results import Result
from studies.design import Study


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition: the share of right answers."""
    results: list[Result] = []
    for condition in study.conditions:
        trials = table.about(table.primary, condition)
        results.append(clustered_share("input_match_share", trials["outcome"], trials, study, condition))
    return results
