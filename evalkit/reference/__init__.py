"""Published numbers as data: each with its paper, version and table, what it measures and what its ± means.

Only numbers that were read in the source are here; what a published table has besides is named in `left_out`.
"""

from evalkit.reference.between_studies import BetweenStudyShift, between_study_shifts, not_comparable
from evalkit.reference.published import Paper, PublishedNumber, PublishedTable, Quantity, table, tables

__all__ = [
    "BetweenStudyShift",
    "Paper",
    "PublishedNumber",
    "PublishedTable",
    "Quantity",
    "between_study_shifts",
    "not_comparable",
    "table",
    "tables",
]
