"""What a panel reports and what it is told to pay: reports and polling, what is due, and the acts that move money."""

from webapp.payouts.acts import BonusDraft, Outcome, bonus_draft, carry_out, not_paid, settle
from webapp.payouts.due import Bonus, Due, Line, due, read_amounts
from webapp.payouts.reports import HEADERS, Forged, receive
from webapp.payouts.states import Submission, Synced, sync

__all__ = [
    "HEADERS",
    "Bonus",
    "BonusDraft",
    "Due",
    "Forged",
    "Line",
    "Outcome",
    "Submission",
    "Synced",
    "bonus_draft",
    "carry_out",
    "due",
    "not_paid",
    "read_amounts",
    "receive",
    "settle",
    "sync",
]
