"""What the page settles before the trials: the language, and what it asks about device and eyes."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from webapp import sessions
from webapp.device import ASKED, CARD_WIDTH_MM, Device, record
from webapp.languages import NAMES, TAGS, script_texts
from webapp.views import cookie_token, hosted, language

if TYPE_CHECKING:
    from webapp.tables import SessionRow

blueprint = Blueprint("setup", __name__)

SEE_OTHER = 303
STATIC = Path(__file__).parents[1] / "static"


@blueprint.get("/language")
def choose_language() -> Any:
    """Which language? Asked before the consent, so that people agree to what they can read."""
    if not _may_choose():
        return redirect(url_for("participant.enter"), SEE_OTHER)
    return render_template("language.html")


@blueprint.post("/language")
def set_language() -> Any:
    """The participant chose; from the consent on the language stays."""
    chosen = request.form.get("language", "")
    if _may_choose() and chosen in hosted().study.page.languages:
        session["language"] = chosen
    to = "participant.consent" if "worker" in session else "participant.enter"
    return redirect(url_for(to), SEE_OTHER)


def _may_choose() -> bool:
    known = sessions.find_session(hosted(), cookie_token())
    begun = known is not None and known.worker == session.get("worker")
    return len(hosted().study.page.languages) > 1 and not begun


def must_ask(row: "SessionRow") -> bool:
    """Whether the page has something to ask this session before its first trial."""
    return hosted().study.page.asks and ASKED not in row.device


@blueprint.get("/setup")
def ask() -> Any:
    """Colour vision, the size of a pixel, the viewing distance: what the study wants to know of it."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is None or row.state != "active" or not must_ask(row):
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    return _setup_page(None)


@blueprint.post("/setup")
def keep() -> Any:
    """Keep the answers, once, and go on to the trials."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is not None and row.state == "active" and must_ask(row):
        try:
            given = {key: value for key, value in request.form.items() if value.strip()}
            device = Device.model_validate(given)
        except ValidationError:
            return _setup_page(_("Please look at the numbers once more: one of them cannot be right.")), 422
        sessions.keep_device(hosted(), cookie_token(), record(device))
    return redirect(url_for("participant.take_part"), SEE_OTHER)


def _setup_page(problem: str | None) -> str:
    page = hosted().study.page
    return render_template("setup.html", asks=page, card_width_mm=CARD_WIDTH_MM, problem=problem)


@blueprint.app_context_processor
def _names() -> dict[str, Any]:
    return {
        "languages": [{"code": code, "name": NAMES[code], "tag": TAGS[code]} for code in _languages()],
        "page_settings": page_settings,
        "asks_device": hosted().study.page.asks,
    }


def _languages() -> tuple[str, ...]:
    return hosted().study.page.languages


def page_settings() -> dict[str, Any]:
    """What the page's scripts need to know of the study; tells nothing of any image."""
    study, bundle = hosted().study, hosted().bundle
    return {
        "practice": study.protocol.practice,
        "scored": study.main_trials,
        "feedback": study.protocol.gives_feedback,
        "image_px": [bundle.width_px, bundle.height_px],
        "pixel_scale": study.display.pixel_scale,
        "across": study.protocol.images_per_trial,
        "max_voids": study.exclusions.max_void_trials,
        "version": client_version(),
        "texts": script_texts(language()),
    }


@lru_cache
def client_version() -> str:
    """Digest of the scripts and the style that a page loads; each trial says which it ran."""
    digest = hashlib.sha256()
    for path in sorted([*STATIC.glob("*.js"), *STATIC.glob("*.css")]):
        if not path.name.startswith("dashboard"):
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def error_page(error: HTTPException) -> tuple[str, list[str]]:
    """Title and paragraphs for an address or a form that does not work."""
    if error.code == 404:
        return _("There is no such page"), [
            _("Please open the study's link again, as you got it."),
        ]
    return _("That did not work"), [
        _("Please go back, load the page again, and try once more."),
    ]
