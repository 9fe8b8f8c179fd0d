"""A link handed out by the researcher: `?worker_id=` names the worker, and the page asks where it is missing."""

from collections.abc import Mapping
from typing import ClassVar

from webapp.recruitment.base import Recruiter

MAX_LENGTH = 200


class Direct(Recruiter):
    """Whoever has the link takes part under the id it carries; the id is taken on trust."""

    name: ClassVar[str] = "direct"

    def worker_id(self, query: Mapping[str, str]) -> str | None:
        """The `worker_id` of the query, without surrounding space; None if absent, empty or absurdly long."""
        value = query.get("worker_id", "").strip()
        return value if 0 < len(value) <= MAX_LENGTH else None

    def participant_link(self, base_url: str) -> str:
        """The address, with a placeholder for the id."""
        return f"{base_url}/?worker_id=WORKER_ID"
