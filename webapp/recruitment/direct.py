"""Links handed out by the researcher: `?worker_id=` names the worker, and the page asks where it is missing."""

from collections.abc import Mapping
from typing import ClassVar

from webapp.recruitment.base import Preview, Recruiter, Visitor, text_of


class Direct(Recruiter):
    """Whoever has the link takes part under the id it carries; the id is taken on trust."""

    name: ClassVar[str] = "direct"
    asks_for_id: ClassVar[bool] = True

    def visitor(self, query: Mapping[str, str]) -> Visitor | Preview | None:
        """The `worker_id` of the query; None if absent, empty or absurdly long."""
        worker = text_of(query, "worker_id")
        return Visitor(worker) if worker else None

    def participant_link(self, base_url: str) -> str:
        """The address, with a placeholder for the id."""
        return f"{base_url}/?worker_id=WORKER_ID"
