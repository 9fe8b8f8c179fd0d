"""What the researcher sees of a running study, and does to it: counts, figures, costs, acts, the password."""

from webapp.admin.acts import (
    Act,
    Running,
    State,
    Who,
    acts,
    choose_reveal,
    note_act,
    record_act,
    running,
    set_state,
)
from webapp.admin.costs import Costs, costs
from webapp.admin.counts import (
    ConditionStatus,
    SessionStatus,
    arrival_counts,
    condition_statuses,
    in_words,
    session_statuses,
)
from webapp.admin.figures import Figures, figures

__all__ = [
    "Act",
    "ConditionStatus",
    "Costs",
    "Figures",
    "Running",
    "SessionStatus",
    "State",
    "Who",
    "acts",
    "arrival_counts",
    "choose_reveal",
    "condition_statuses",
    "costs",
    "figures",
    "in_words",
    "note_act",
    "record_act",
    "running",
    "session_statuses",
    "set_state",
]
