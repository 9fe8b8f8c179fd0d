"""How often single images were misjudged, fakes and reals apart and together (HYPE-infinity)."""

from evalkit.analyses.base import Context, clustered_share
from evalkit.responses import ResponseTable
from evalkit.results import Result
from studies.design import Study
from studies.records import REAL


def run(table: ResponseTable, study: Study, context: Context) -> list[Result]:  # noqa: ARG001 - the contract
    """Per condition: the share of mistaken answers over all images, over the fakes, over the real images.

    Together it is 50 % where nobody can tell real from fake, above it where fakes look more real than real images.
    """
    results: list[Result] = []
    for condition in study.conditions:
        trials = table.about(table.primary, condition)
        real = trials["condition_1"] == REAL
        for key, mine in (
            ("error_rate", trials),
            ("error_rate_on_fakes", trials[~real]),
            ("error_rate_on_reals", trials[real]),
        ):
            results.append(clustered_share(key, 1.0 - mine["outcome"], mine, study, condition))
    return results
