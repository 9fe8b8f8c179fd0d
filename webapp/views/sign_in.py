"""Signing in to the dashboard: a cookie of its own, beside the participants' and never mixed up with it."""

import hmac
from typing import Any

from flask import Blueprint, Flask, Request, Response, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin

from webapp.admin import password
from webapp.views import hosted

blueprint = Blueprint("sign_in", __name__, url_prefix="/dashboard")

SIGNED_IN_MS = 12 * 3600 * 1000
SEE_OTHER = 303
FOLDER = "/dashboard"


class _DashboardCookie(SecureCookieSessionInterface):
    salt = "evalkit-dashboard"

    def get_cookie_name(self, app: Flask) -> str:
        return f"{super().get_cookie_name(app)}_dashboard"

    def get_cookie_path(self, app: Flask) -> str:  # noqa: ARG002  (Flask's signature)
        return FOLDER

    def get_cookie_samesite(self, app: Flask) -> str:  # noqa: ARG002
        return "Strict"


class TwoCookies(SessionInterface):
    """Flask's session: under /dashboard the researcher's cookie, everywhere else the participant's."""

    def __init__(self) -> None:
        self._participant, self._dashboard = SecureCookieSessionInterface(), _DashboardCookie()

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Read the cookie that belongs to the address."""
        return self._of(request).open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Write the cookie that belongs to the address."""
        self._of(request).save_session(app, session, response)

    def _of(self, asked: Request) -> SecureCookieSessionInterface:
        inside = asked.path == FOLDER or asked.path.startswith(f"{FOLDER}/")
        return self._dashboard if inside else self._participant


def signed_in() -> bool:
    """Whether this browser signed in with the password of now, within the last 12 hours."""
    expected, carried, since = password.mark(hosted()), session.get("mark"), session.get("since")
    if not expected or not isinstance(carried, str) or not isinstance(since, int):
        return False
    return hmac.compare_digest(expected, carried) and 0 <= hosted().clock() - since < SIGNED_IN_MS


def refuse_strangers() -> Any:
    """For `before_request`: None for who is signed in, else the way to sign in."""
    if signed_in():
        return None
    there = url_for("sign_in.form")
    if request.headers.get("HX-Request"):
        return "", 401, {"HX-Redirect": there}
    return redirect(there, SEE_OTHER)


@blueprint.get("/sign-in")
def form() -> Any:
    """The page that asks for the password."""
    return redirect(url_for("dashboard.show"), SEE_OTHER) if signed_in() else _page(None)


@blueprint.post("/sign-in")
def enter() -> Any:
    """A try to sign in."""
    study = hosted()
    if not password.may_try(study):
        return (
            _page("Too many tries within a minute, by whomever. Please wait a minute."),
            429,
            {"Retry-After": "60"},
        )
    if not password.is_right(study, request.form.get("password", "")):
        return _page("That is not the password."), 403
    session.clear()  # a new signature and a new CSRF token for who is now somebody else
    session["mark"], session["since"] = password.mark(study), study.clock()
    return redirect(url_for("dashboard.show"), SEE_OTHER)


@blueprint.post("/sign-out")
def leave() -> Any:
    """Forget the browser."""
    session.clear()
    return redirect(url_for("sign_in.form"), SEE_OTHER)


def _page(problem: str | None) -> str:
    study = hosted()
    return render_template("dashboard/sign_in.html", study=study.study.id, data=study.data, problem=problem)
