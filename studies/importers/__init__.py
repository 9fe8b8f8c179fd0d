"""Other tools' responses -> records: readers of anyone's tables, and the study folder that holds what they say.

Nothing here guesses. Which image is real is read from a column or said on the command line, an answer that was not given
stays missing, and every row that is left out is counted under its reason.
"""

from studies.importers.amt import read_amt
from studies.importers.answer_rows import Reading
from studies.importers.answer_tables import read_answers
from studies.importers.folder import write_study
from studies.importers.found import Found
from studies.importers.source import Source, read_source
from studies.importers.worker_tables import read_workers

__all__ = [
    "Found",
    "Reading",
    "Source",
    "read_amt",
    "read_answers",
    "read_source",
    "read_workers",
    "write_study",
]
