"""The Flask application: a factory, so that nothing happens at import."""

from collections.abc import Callable, Sequence
from typing import Any

from flask import Flask, jsonify, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from studies.records import LiveEstimate, Response
from webapp import identity
from webapp.hosting import HostedStudy
from webapp.recruitment import recruiter_of
from webapp.sessions import Refusal
from webapp.views import api, dashboard, participant

LiveEstimator = Callable[[Sequence[Response]], dict[str, LiveEstimate]]
"""Fool rates by condition from the responses so far; handed in, since this package does no statistics."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}


def create_app(hosted: HostedStudy, live_estimate: LiveEstimator | None = None) -> Flask:
    """The study server for one study and one kind of data.

    Args:
        hosted: The study, with its places already drawn (`webapp.hosting.prepare`).
        live_estimate: Estimates for the dashboard; called at most every 30 seconds. None hides them.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=identity.cookie_key(hosted.config.secret_key),
        SESSION_COOKIE_NAME=f"evalkit_{hosted.study.id}_{hosted.data}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=hosted.config.secure_cookies,
        PERMANENT_SESSION_LIFETIME=90 * 24 * 3600,
        SESSION_REFRESH_EACH_REQUEST=False,  # no cookie on images, or on static files that a proxy may keep
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,  # Referrer-Policy: no-referrer leaves nothing to compare
    )
    app.extensions["evalkit_study"] = hosted
    app.extensions["evalkit_recruiter"] = recruiter_of(hosted.study.recruitment)
    app.extensions["evalkit_estimates"] = dashboard.EstimateCache(live_estimate, hosted.clock)
    protect = CSRFProtect(app)
    for module in (participant, api, dashboard):
        app.register_blueprint(module.blueprint)
    protect.exempt(api.blueprint)  # it asks for the page's nonce in a header instead
    app.after_request(_secure)
    app.context_processor(
        lambda: {"banner": BANNERS.get(hosted.data, ""), "contact": hosted.study.ethics.contact}
    )
    _register_errors(app)
    return app


BANNERS = {
    "preview": "PREVIEW: nothing of this session is counted.",
    "simulated": "SIMULATION: this server is for simulated participants; nothing is counted as a person's answer.",
    "pilot": "",
    "live": "",
}


def _secure(response: AnyResponse) -> AnyResponse:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        response.headers["Cache-Control"] = (
            "no-cache"  # asked again by its ETag, so that an upgrade reaches all modules at once
        )
    return response


def _register_errors(app: Flask) -> None:
    def wants_json() -> bool:
        return request.blueprint == "api"

    def refused(error: Refusal) -> Any:
        if wants_json():
            return jsonify(error=error.code, message=error.message), error.status
        title, paragraphs = participant.refusal_text(error)
        return render_template("message.html", title=title, paragraphs=paragraphs), error.status

    def failed(error: HTTPException) -> Any:
        if wants_json():
            return jsonify(
                error=(error.name or "error").lower().replace(" ", "_"), message=error.description
            ), error.code
        text = error.description or ""
        return render_template("message.html", title=error.name, paragraphs=[text]), error.code or 500

    app.register_error_handler(Refusal, refused)
    app.register_error_handler(CSRFError, failed)
    app.register_error_handler(HTTPException, failed)
