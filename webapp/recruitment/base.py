"""What a recruiter is: how a link names its worker, and what the link looks like."""

import abc
from collections.abc import Mapping
from typing import ClassVar


class Recruiter(abc.ABC):
    """A source of participants; registered in `webapp.recruitment.RECRUITERS` under its module's name."""

    name: ClassVar[str]

    @abc.abstractmethod
    def worker_id(self, query: Mapping[str, str]) -> str | None:
        """The worker's identity from the entry link's query, or None if the link names nobody."""

    @abc.abstractmethod
    def participant_link(self, base_url: str) -> str:
        """What to send to participants, for a server at `base_url`."""
