"""Prolific: who comes is proven by a look at the submission, or by the signed token in the link."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from studies.errors import UserError
from webapp.recruitment.base import (
    EntryRefused,
    Preview,
    Recruiter,
    Visitor,
    WayBack,
    refuse_setting,
    text_of,
)
from webapp.recruitment.launched import launched
from webapp.recruitment.prolific_api import PanelError, ProlificApi, api_base, api_from_environment
from webapp.recruitment.signed_entry import SignedEntry, TokenRefused, signing_keys

if TYPE_CHECKING:
    from webapp.hosting import HostedStudy

NAME = "prolific"
LINK_PARAMETERS = "PROLIFIC_PID={{%PROLIFIC_PID%}}&STUDY_ID={{%STUDY_ID%}}&SESSION_ID={{%SESSION_ID%}}"  # filled in by Prolific
COMPLETION = "https://app.prolific.com/submissions/complete"
UNDER_WAY = ("RESERVED", "ACTIVE")


class Prolific(Recruiter):
    """Participants of the study that `evalkit study launch` made; SESSION_ID is the submission's id."""

    name: ClassVar[str] = NAME
    keeps_id: ClassVar[bool] = True

    _hosted: "HostedStudy | None" = None
    _api: ProlificApi | None = None
    _signed: SignedEntry | None = None

    def check(self) -> None:
        """Whether filters are JSON objects as Prolific wants them.

        Raises:
            UserError: One is not.
        """
        for text in self.settings.prolific.filters:
            try:
                usable = "filter_id" in dict(json.loads(text))
            except (ValueError, TypeError):
                usable = False
            if not usable:
                raise refuse_setting(
                    "prolific.filters",
                    text,
                    'each one must be JSON, such as {"filter_id": "handedness", ...}.',
                )

    def connect(self, hosted: "HostedStudy") -> None:
        """Keep the study, and what proves entries.

        Raises:
            UserError: Entries are checked through the API and there is no token for it.
        """
        self._hosted = hosted
        if self.settings.prolific.entry == "signed":
            self._signed = SignedEntry(signing_keys(api_base()))
        else:  # a participant waits for the answer: few tries
            self._api = api_from_environment(attempts=3, timeout_s=8.0)

    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        """Who comes, proven.

        Raises:
            EntryRefused: The link is incomplete, of another study, or cannot be proven.
        """
        worker, study, submission = (
            text_of(query, name) for name in ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
        )
        if worker is None and study is None and submission is None:
            return None
        if worker is None or study is None or submission is None or not submission.isalnum():
            raise EntryRefused(
                "incomplete", "This link is incomplete. Please open the study on Prolific again."
            )
        assert self._hosted is not None, "connect() comes first"
        row = launched(self._hosted, NAME)
        if row is None or study != row.external_id:
            raise EntryRefused(
                "other_study", "This link belongs to another study. Please open it on Prolific again."
            )
        if self._signed is not None:
            self._check_token(query, (worker, study, submission), str(row.detail.get("host", "")))
        else:
            self._check_submission(worker, study, submission)
        return Visitor(worker, submission)

    def _check_token(self, query: Mapping[str, str], ids: tuple[str, str, str], host: str) -> None:
        settings = self.settings.prolific
        token = text_of(query, settings.token_parameter, limit=4000)
        if token is None:
            raise EntryRefused(
                "unproven", "This link lacks its signature. Please open the study on Prolific again."
            )
        assert self._signed is not None
        try:
            self._signed.check(token, ids, settings.audience or host, settings.workspace)
        except TokenRefused as error:
            raise EntryRefused("unproven", f"{error} Please open the study on Prolific again.") from error
        except UserError as error:
            raise _try_again() from error

    def _check_submission(self, worker: str, study: str, submission: str) -> None:
        assert self._api is not None
        try:
            found = self._api.get(f"submissions/{submission}/")
        except PanelError as error:
            if error.status == 404:
                raise EntryRefused("unproven", "Prolific does not know this link.") from error
            raise _try_again() from error
        except UserError as error:
            raise _try_again() from error
        participant = found.get("participant") or found.get("participant_id")
        if (participant, found.get("study_id")) != (worker, study):
            raise EntryRefused("unproven", "This link was not made for you.")
        if found.get("status") not in UNDER_WAY:
            raise EntryRefused(
                "ended",
                "On Prolific your submission to this study has ended, so it cannot be begun any more.",
            )

    def participant_link(self, base_url: str) -> str:
        """The study's address on Prolific's side, placeholders included."""
        return f"{base_url}/?{LINK_PARAMETERS}"

    def shown_code(self, code: str) -> str:
        """The study's one code, which Prolific asks for."""
        return self._fixed_code() or code

    def way_back(self, visitor: Visitor | None, code: str) -> WayBack | None:  # noqa: ARG002  (one code for all)
        """Prolific's completion page with the study's one code; who finished, the database knows."""
        fixed = self._fixed_code()
        return WayBack(f"{COMPLETION}?cc={quote(fixed, safe='')}") if fixed else None

    def _fixed_code(self) -> str:
        row = launched(self._hosted, NAME) if self._hosted else None
        return str(row.detail.get("completion_code", "")) if row else ""


def _try_again() -> EntryRefused:
    return EntryRefused(
        "panel_unavailable", "Prolific did not answer just now. Please open the link again in a minute."
    )
