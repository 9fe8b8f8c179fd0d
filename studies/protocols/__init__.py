"""The protocols a study can follow. A new one is a module here plus one line in PROTOCOLS."""

from studies.protocols.base import Button, Frame, Issued, Protocol
from studies.protocols.two_afc import TwoAFC

PROTOCOLS: dict[str, type[Protocol]] = {
    "two_afc": TwoAFC,
}

__all__ = ["PROTOCOLS", "Button", "Frame", "Issued", "Protocol", "TwoAFC"]
