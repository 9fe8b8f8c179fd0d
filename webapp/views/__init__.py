"""What the server answers to which address; a few lines each, the work is done elsewhere."""

from typing import cast

from flask import current_app, session

from webapp.hosting import HostedStudy
from webapp.recruitment import Recruiter


def hosted() -> HostedStudy:
    """The study of the running application."""
    return cast(HostedStudy, current_app.extensions["evalkit_study"])


def recruiter() -> Recruiter:
    """Where the participants of the running application come from."""
    return cast(Recruiter, current_app.extensions["evalkit_recruiter"])


def cookie_token() -> str | None:
    """The session token of this browser's cookie."""
    token = session.get("token")
    return token if isinstance(token, str) else None
