"""JSON for the participant page. Every request but the first carries the page's nonce in a header."""

from typing import Any, TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ValidationError

from webapp import sessions, trials
from webapp.device import browser_family
from webapp.views import cookie_token, hosted

blueprint = Blueprint("api", __name__)

TRIAL = f"/api/trials/<int(max={2**63 - 1}):trial_id>"
"""Above this no database has a number."""

PAGE_HEADER = "X-Evalkit-Page"

Body = TypeVar("Body", bound=BaseModel)


def _page() -> str:
    return request.headers.get(PAGE_HEADER, "")


def _body(kind: type[Body]) -> Body:
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # thousands of brackets
        body = None
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "body"
        raise sessions.Refusal(422, "invalid", f"{where}: {problem['msg']}") from error


def _with_browser(display: trials.Display) -> trials.Display:
    """The display with what the server itself read of the browser."""
    return display.model_copy(update={"ua_family": browser_family(request.user_agent.string)})


@blueprint.before_request
def _same_origin() -> None:
    """Refuse requests that another site's page makes in this browser's name."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None and origin.split("://")[-1] != request.host:
        raise sessions.Refusal(403, "origin", "This request came from another site.")


@blueprint.post("/api/page")
def open_page() -> Any:
    """A page was loaded."""
    page = sessions.open_page(hosted(), cookie_token())
    return jsonify(page=page, **trials.current_state(hosted(), cookie_token(), page))


@blueprint.post("/api/alive")
def alive() -> Any:
    """Somebody is there: the place stays theirs."""
    return jsonify(stage=sessions.alive(hosted(), cookie_token(), _page()))


@blueprint.post(f"{TRIAL}/begun")
def begun(trial_id: int) -> Any:
    """A pair is about to appear."""
    trials.begun(hosted(), cookie_token(), _page(), trial_id)
    return jsonify(ok=True)


@blueprint.post(f"{TRIAL}/ended")
def ended(trial_id: int) -> Any:
    """A pair is gone from the screen."""
    display = _with_browser(_body(trials.Display))
    return jsonify(trials.ended(hosted(), cookie_token(), _page(), trial_id, display))


@blueprint.post(f"{TRIAL}/answer")
def answer(trial_id: int) -> Any:
    """An answer."""
    given = _body(trials.Answer)
    if given.display is not None:
        given = given.model_copy(update={"display": _with_browser(given.display)})
    return jsonify(trials.answer(hosted(), cookie_token(), _page(), trial_id, given))


@blueprint.get("/i/<address>")
def image(address: str) -> Response:
    """One image; the same headers, length and path for real and fake."""
    return Response(trials.image(hosted(), cookie_token(), address), mimetype="image/png")
