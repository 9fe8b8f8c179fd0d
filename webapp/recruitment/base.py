"""What a recruiter is: how a link says who comes, and how a finished participant gets back. One contract for all."""

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from studies.design import Recruitment
from studies.errors import UserError

if TYPE_CHECKING:
    from webapp.hosting import HostedStudy


@dataclass(frozen=True)
class Visitor:
    """Somebody who opened the link; lives in memory only."""

    worker_id: str = field(repr=False)
    """The raw identity on the panel; the study keeps its hash."""
    submission: str = field(default="", repr=False)
    """The panel's id of this participation."""
    kept: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the way back needs; kept encrypted."""
    invite: str = field(default="", repr=False)
    """The code of a single-use link."""


Preview = Literal["preview"]
"""The panel shows the study to somebody who has not accepted it: nothing is recorded."""


class EntryRefused(Exception):  # noqa: N818  (an outcome, not a fault)
    """The link proves nothing, or not what it claims; `code` chooses the page (`webapp.views.participant`)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class WayBack:
    """Where a finished participant goes."""

    url: str
    fields: Mapping[str, str] | None = None
    """To be posted as a form; None = a plain address."""


class Recruiter(abc.ABC):
    """A source of participants; registered in `webapp.recruitment.RECRUITERS` under its module's name.

    Made once per server process from the study's `[recruitment]`; what it must remember is in the database.
    """

    name: ClassVar[str]
    asks_for_id: ClassVar[bool] = False
    """Whether the entry page may ask for an id that the link lacks."""
    keeps_id: ClassVar[bool] = False
    """Whether payment, or the way back, needs the raw id (encrypted, in `payments`, until the study is closed)."""
    works_in_preview: ClassVar[bool] = False
    """Whether `evalkit study preview` takes its links, so that the way back can be tried."""

    def __init__(self, settings: Recruitment) -> None:
        self.settings = settings
        self.check()

    def check(self) -> None:  # noqa: B027  (most have nothing to check)
        """Whether the settings are usable.

        Raises:
            UserError: Names key, value and what is allowed.
        """

    def connect(self, hosted: "HostedStudy") -> None:  # noqa: B027  (most need nothing but their settings)
        """Called once by the application: what needs the database or the network is made ready here.

        Raises:
            UserError: Something is missing, a token in the environment for example.
        """

    @abc.abstractmethod
    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        """Who comes, from the entry link's query; None if the link names nobody.

        Raises:
            EntryRefused: The link claims somebody and cannot prove it.
        """

    @abc.abstractmethod
    def participant_link(self, base_url: str) -> str:
        """What to send to participants, or to paste into the panel, for a server at `base_url`."""

    def shown_code(self, code: str) -> str:
        """The completion code on the done page: the session's own, unless the panel has one code for all."""
        return code

    def way_back(self, visitor: Visitor | None, code: str) -> WayBack | None:  # noqa: ARG002  (for those that have one)
        """Where a finished participant goes; None = only the completion code is shown.

        Args:
            visitor: Who it is, where `keeps_id`; None once the ids were dropped.
            code: The completion code.
        """
        return None


def text_of(query: Mapping[str, str], parameter: str, limit: int = 200) -> str | None:
    """A parameter's text without surrounding space; None if absent, empty or absurdly long."""
    value = query.get(parameter, "").strip()
    return value if 0 < len(value) <= limit and value.isprintable() else None


def refuse_setting(key: str, value: object, allowed: str) -> UserError:
    """The error for a setting of `[recruitment]` that cannot be."""
    return UserError(f"study.toml: [recruitment] {key} = {value!r}: {allowed}")
