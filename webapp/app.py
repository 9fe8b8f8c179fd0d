"""The Flask application: a factory, so that nothing happens at import."""

import threading
from typing import Any

from flask import Flask, g, jsonify, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, ServiceUnavailable
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as AnyResponse

from studies.texts import told
from webapp import identity, languages, logs
from webapp.hosting import HostedStudy
from webapp.recruitment import recruiter_of
from webapp.sessions import Refusal
from webapp.views import (
    api,
    dashboard,
    ethics,
    hooks,
    language,
    limits,
    participant,
    refusals,
    serving,
    setup,
    sign_in,
)
from webapp.views.snapshot import LiveEstimator, Snapshots

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


class _Server(Flask):
    def log_exception(self, exc_info: Any) -> None:
        """Write a fault down; Flask's own line names the address, which carries tokens."""
        logs.note_error(exc_info)


def create_app(hosted: HostedStudy, live_estimate: LiveEstimator | None = None) -> Flask:
    """The study server for one study and one kind of data.

    Args:
        hosted: The study, with its places already drawn (`webapp.hosting.prepare`).
        live_estimate: Fool rates by algorithm for the dashboard, handed in since this package does no statistics;
            called at most every 30 seconds, and never before they may be shown. None: there are none to show.
    """
    app = _Server(__name__)
    logs.attach(app)
    app.session_interface = sign_in.TwoCookies()
    app.config.update(
        SECRET_KEY=identity.cookie_key(hosted.config.secret_key, hosted.study.id, hosted.data),
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
    recruiter = recruiter_of(hosted.study.recruitment, hosted.data)
    recruiter.connect(hosted)
    app.extensions["evalkit_recruiter"] = recruiter
    app.extensions["evalkit_snapshots"] = Snapshots(hosted, live_estimate)
    app.extensions["evalkit_limits"] = limits.Limits()
    app.extensions["evalkit_draining"] = threading.Event()
    if hosted.config.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]  # Flask's documented way
    app.before_request(limits.refuse_floods)
    protect = CSRFProtect(app)
    for module in (participant, setup, api, sign_in, dashboard, hooks, serving):
        app.register_blueprint(module.blueprint)
    protect.exempt(api.blueprint)  # it asks for the page's nonce in a header instead
    protect.exempt(hooks.blueprint)  # its requests are signed
    app.after_request(_secure)
    languages.install(app, language)
    app.context_processor(lambda: {"banner": _banner(hosted.data), "contact": ethics().contact})
    _register_errors(app)
    return app


BANNERS = {
    "preview": told("PREVIEW: nothing of this session is counted."),
    "simulated": told(
        "SIMULATION: this server is for simulated participants; nothing is counted as a person's answer."
    ),
}


def _banner(data: str) -> str:
    return languages.say(BANNERS[data], language()) if data in BANNERS else ""


def _secure(response: AnyResponse) -> AnyResponse:
    if "form_action" in g:  # the done page of a panel that takes people back by a form
        policy = HEADERS["Content-Security-Policy"].replace(
            "form-action 'self'", f"form-action {g.form_action}"
        )
        response.headers["Content-Security-Policy"] = policy
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        response.headers["Cache-Control"] = (
            "no-cache"  # asked again by its ETag, so that an upgrade reaches all modules at once
        )
    return response


AWAY = "The server cannot store anything at the moment. Please try again in a little while."
RETRY_S = 5


def _register_errors(app: Flask) -> None:
    def wants_json() -> bool:
        return request.blueprint == "api"

    def refused(error: Refusal) -> Any:
        if wants_json():
            return jsonify(error=error.code, message=error.message), error.status
        title, paragraphs = refusals.refusal_text(error)
        return render_template("message.html", title=title, paragraphs=paragraphs), error.status

    def failed(error: HTTPException) -> Any:
        if request.blueprint in ("dashboard", "sign_in"):
            page = render_template("dashboard/message.html", title=error.name, text=error.description or "")
            return page, error.code or 500
        if wants_json():
            return jsonify(
                error=(error.name or "error").lower().replace(" ", "_"), message=error.description
            ), error.code
        title, paragraphs = setup.error_page(error)
        return render_template("message.html", title=title, paragraphs=paragraphs), error.code or 500

    def away(error: SQLAlchemyError) -> Any:
        """The database cannot be reached, or cannot write now; nothing was acknowledged, and the page tries again."""
        logs.note_error((type(error), error, error.__traceback__))
        reply: AnyResponse = app.make_response(failed(ServiceUnavailable(AWAY)))
        reply.headers["Retry-After"] = str(RETRY_S)
        return reply

    for unreachable in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(unreachable, away)
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(CSRFError, failed)
    app.register_error_handler(HTTPException, failed)
