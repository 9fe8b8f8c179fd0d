"""The protocols a study can follow. A new one is a module here plus one line in PROTOCOLS."""

from studies.protocols.base import Button, Frame, Instructions, Issued, Layout, Protocol, Step
from studies.protocols.input_match import InputMatch
from studies.protocols.preference import Preference
from studies.protocols.timed_staircase import TimedStaircase
from studies.protocols.two_afc import TwoAFC
from studies.protocols.yes_no import YesNo

PROTOCOLS: dict[str, type[Protocol]] = {
    "two_afc": TwoAFC,
    "yes_no": YesNo,
    "timed_staircase": TimedStaircase,
    "preference": Preference,
    "input_match": InputMatch,
}

__all__ = [
    "PROTOCOLS",
    "Button",
    "Frame",
    "InputMatch",
    "Instructions",
    "Issued",
    "Layout",
    "Preference",
    "Protocol",
    "Step",
    "TimedStaircase",
    "TwoAFC",
    "YesNo",
]
