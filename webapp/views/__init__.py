"""What the server answers to which address; a few lines each, the work is done elsewhere."""

from typing import cast

from flask import current_app, session

from studies.design import Ethics
from webapp.hosting import HostedStudy
from webapp.recruitment import Recruiter


def hosted() -> HostedStudy:
    """The study of the running application."""
    return cast(HostedStudy, current_app.extensions["evalkit_study"])


def recruiter() -> Recruiter:
    """Where the participants of the running application come from."""
    return cast(Recruiter, current_app.extensions["evalkit_recruiter"])


def language() -> str:
    """The language of the page: the study's only one, or what the participant chose; the first until then."""
    return chosen_language() or hosted().study.page.languages[0]


def chosen_language() -> str | None:
    """The language, once there is no choice left; never guessed from the browser's headers."""
    allowed = hosted().study.page.languages
    chosen = session.get("language")
    if len(allowed) == 1:
        return allowed[0]
    return chosen if chosen in allowed else None


def ethics() -> Ethics:
    """What participants are told, in the language of the page."""
    return hosted().study.ethics_in(language())


def cookie_token() -> str | None:
    """The session token of this browser's cookie."""
    token = session.get("token")
    return token if isinstance(token, str) else None
