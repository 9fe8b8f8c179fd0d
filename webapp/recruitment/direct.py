"""Links handed out by the researcher: `?worker_id=` names the worker, `?invite=` is a single-use link."""

from collections.abc import Mapping
from typing import ClassVar

from webapp.recruitment.base import EntryRefused, Preview, Recruiter, Visitor, text_of


class Direct(Recruiter):
    """Whoever has the link takes part: under the id it carries, taken on trust, or once per invite."""

    name: ClassVar[str] = "direct"
    asks_for_id: ClassVar[bool] = True

    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        """Who holds the `invite` of the query, else its `worker_id`; None if absent, empty or absurdly long.

        An invite is its holder's id, so that two people with one link are one worker.

        Raises:
            EntryRefused: `invites_only`, and the link carries no invite.
        """
        if invite := text_of(query, "invite"):
            return Visitor(invite, invite=invite)
        if self.settings.invites_only:
            raise EntryRefused("invite_needed", "This study is open to people with a personal link only.")
        worker = text_of(query, "worker_id")
        return Visitor(worker) if worker else None

    def participant_link(self, base_url: str) -> str:
        """The address, with a placeholder for the id or the invite."""
        return (
            f"{base_url}/?invite=INVITE" if self.settings.invites_only else f"{base_url}/?worker_id=WORKER_ID"
        )
