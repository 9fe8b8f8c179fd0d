"""The pages a participant walks through: entry, consent, session, finish, completion, stopped."""

import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Blueprint, g, redirect, render_template, request, session, url_for
from flask_babel import gettext as _

from webapp import identity, invites, payments, sessions
from webapp.hosting import HostedStudy
from webapp.recruitment import EntryRefused, Visitor, WayBack
from webapp.views import chosen_language, cookie_token, ethics, hosted, language, recruiter, setup

if TYPE_CHECKING:
    from sqlalchemy.orm import Session as DatabaseSession

    from webapp.tables import SessionRow

blueprint = Blueprint("participant", __name__)

SEE_OTHER = 303
CONSENT_TEXT = "2"
"""templates/consent/2.LANGUAGE.html; a text that people agreed to is never edited, a new one gets the next number."""


@blueprint.get("/")
def enter() -> Any:
    """The participant link: learn who it is, record the arrival, go on at a clean address."""
    study, refused = hosted(), sessions.Refusal(403, "nobody", "")
    try:
        visitor = recruiter().visitor(request.args)
    except EntryRefused as error:
        visitor, refused = None, sessions.Refusal(403, error.code, error.message)
    if visitor == "preview":
        return render_template("panel_preview.html", **_consent_text())
    if visitor is not None:
        return _welcome(visitor)
    known = sessions.find_session(study, cookie_token())
    if known is not None and (study.data != "preview" or known.state == "active"):
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    if study.data == "preview":  # a preview may be taken again and again
        return _welcome(Visitor(f"preview-{secrets.token_hex(8)}"))
    if refused.code != "nobody" or not recruiter().asks_for_id:
        raise refused
    problem = _("Please enter an id of at most 200 characters.") if "worker_id" in request.args else None
    return render_template("entry.html", problem=problem)


def _welcome(visitor: Visitor) -> Any:
    """Record the arrival, and carry who it is to the consent: hashed, and encrypted where the claim needs the id."""
    study = hosted()
    if visitor.invite and not invites.is_known(study, visitor.invite):
        raise sessions.Refusal(403, "invite_unknown", "")
    sealed = payments.seal(study, visitor) if recruiter().keeps_id or visitor.invite else ""
    if len(sealed) > payments.MAX_SEALED:
        raise sessions.Refusal(403, "incomplete", "The link is too long.")
    hashed = identity.worker_hash(study.config.secret_key, visitor.worker_id)
    token = _token_of(hashed)
    welcome, arrival = sessions.arrive(study, hashed, token)
    if welcome == "resumed":
        session["token"] = token
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    if welcome != "consent":
        raise sessions.Refusal(
            403, "invite_used" if visitor.invite and welcome == "returning" else welcome, ""
        )
    session.permanent = True
    if session.get("worker") != hashed:
        session["ticket"] = sessions.new_token()
        if "worker" in session:  # somebody else at the same browser
            session.pop("language", None)
    session["worker"], session["arrival"], session["visitor"] = hashed, arrival, sealed
    return redirect(url_for("participant.consent"), SEE_OTHER)


def _token_of(worker: str) -> str | None:
    """The token that this browser has for a worker, or will have once it consents.

    It is given out before the consent, so that a consent sent twice, or whose reply was lost, locks nobody out.
    """
    ticket = session.get("ticket")
    return ticket if session.get("worker") == worker and isinstance(ticket, str) else cookie_token()


@blueprint.get("/consent")
def consent() -> Any:
    """What taking part means; nothing is claimed yet."""
    if "worker" not in session:
        if not request.cookies:  # the entry set one, so a browser that has none did not keep it
            raise sessions.Refusal(403, "cookies", "")
        return redirect(url_for("participant.enter"), SEE_OTHER)
    if chosen_language() is None:
        return redirect(url_for("setup.choose_language"), SEE_OTHER)
    return _consent_page(None)


def _consent_page(problem: str | None) -> str:
    return render_template(
        "consent.html",
        **_consent_text(),
        consent_version=consent_version(hosted(), language()),
        problem=problem,
    )


def _consent_text() -> dict[str, Any]:
    return {
        "ethics": ethics(),
        "consent_text": f"{CONSENT_TEXT}.{language()}",
        "keeps_id": recruiter().keeps_id,
    }


@blueprint.post("/consent")
def accept() -> Any:
    """The worker consents: claim a place, begin the session."""
    study = hosted()
    if "worker" not in session:
        return redirect(url_for("participant.enter"), SEE_OTHER)
    if chosen_language() is None:
        return redirect(url_for("setup.choose_language"), SEE_OTHER)
    version = consent_version(study, language())
    if request.form.get("consent_version", version) != version:
        return _consent_page(_("This page has changed since you opened it. Please read it once more.")), 422
    if not request.form.get("agree"):
        return _consent_page(_("Please tick the box if you agree, or close this page if you do not.")), 422
    known = sessions.find_session(study, cookie_token())
    if known is None or known.worker != session["worker"]:
        visitor = payments.unseal(study, session.get("visitor"))
        declined = "visitor" not in session
        if declined or (visitor is None and session["visitor"]):  # or the key was changed meanwhile
            return redirect(url_for("participant.enter"), SEE_OTHER)
        session["token"] = _claim(visitor)
    session.pop("visitor", None)
    return redirect(url_for("participant.take_part"), SEE_OTHER)


def _claim(visitor: Visitor | None) -> str:
    """Begin the session; what belongs to it (invite, payment) is kept with it or not at all. Returns its token."""
    study, invite = hosted(), visitor.invite if visitor else ""
    asked = (
        session["worker"],
        session.get("arrival"),
        consent_version(study, language()),
        session.get("ticket"),
    )
    try:
        return sessions.claim(study, *asked, admitted=_admitted(visitor)).token
    except sessions.Refusal as error:
        if invite and error.code == "returning":
            raise sessions.Refusal(403, "invite_used", "") from error
        raise


def _admitted(visitor: Visitor | None) -> "Callable[[DatabaseSession, SessionRow], None]":
    study, source = hosted(), recruiter()

    def keep(db: "DatabaseSession", row: "SessionRow") -> None:
        row.recruiter, row.language = source.name, language()
        if visitor is not None and visitor.invite and not invites.use(study, db, visitor.invite, row.id):
            raise sessions.Refusal(403, "invite_used", "")
        if visitor is not None and source.keeps_id:
            payments.remember(study, db, row, visitor)

    return keep


def consent_version(study: HostedStudy, language: str) -> str:
    """Names the consent text, its language and the values in it; stored with each acceptance."""
    values = hashlib.sha256(study.study.ethics_in(language).model_dump_json().encode()).hexdigest()
    return f"{CONSENT_TEXT}-{language}-{values[:10]}"


@blueprint.get("/session")
def take_part() -> Any:
    """The page that shows the trials, or where the session has come to instead."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is None:
        return redirect(url_for("participant.enter"), SEE_OTHER)
    if row.state == "stopped" and row.end_reason != "participant":
        return _given_back()
    if row.state == "stopped":
        return render_template("stopped.html", pay=ethics().pay)
    if row.state == "finished":
        return redirect(url_for("participant.done"), SEE_OTHER)
    if setup.must_ask(row):
        return redirect(url_for("setup.ask"), SEE_OTHER)
    study = hosted().study
    page = {**setup.page_settings(), "voids": sessions.count_voids(hosted(), row)}
    told = study.protocol.instructions(study.question)
    return render_template(
        "session.html", page=page, instructions=told, minutes=study.ethics.minutes, can_stop=True
    )


def _finished() -> "SessionRow | None":
    row = sessions.find_session(hosted(), cookie_token())
    return row if row is not None and row.state == "finished" else None


@blueprint.get("/finish")
def finish() -> Any:
    """All trials are done: an optional comment."""
    if _finished() is None:
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    return render_template("finish.html")


@blueprint.post("/comment")
def comment() -> Any:
    """Keep the comment, if there is one, and go on to the completion page."""
    if _finished() is not None and request.form.get("comment", "").strip():
        sessions.comment(hosted(), cookie_token(), request.form["comment"])
    return redirect(url_for("participant.done"), SEE_OTHER)


@blueprint.get("/done")
def done() -> Any:
    """Debriefing and the completion code; again on every return."""
    row = _finished()
    if row is None:
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    way_back, protocol = _way_back(row), hosted().study.protocol
    if way_back is not None and way_back.fields is not None:
        g.form_action = "{0.scheme}://{0.netloc}".format(
            urlsplit(way_back.url)
        )  # webapp.app allows it for this page
    return render_template(
        "done.html",
        code=recruiter().shown_code(_code(row)),
        debriefing=protocol.instructions(hosted().study.question).debriefing,
        way_back=way_back,
        back_to=urlsplit(way_back.url).hostname if way_back else "",
    )


@blueprint.get("/back")
def back() -> Any:
    """To the panel, by an address that no page of ours carries."""
    row = _finished()
    way_back = _way_back(row) if row is not None else None
    if way_back is None or way_back.fields is not None:
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    return redirect(way_back.url, SEE_OTHER)


def _code(row: "SessionRow") -> str:
    return identity.completion_code(hosted().config.secret_key, row.id)


def _way_back(row: "SessionRow") -> WayBack | None:
    visitor = payments.visitor_of(hosted(), row.id) if recruiter().keeps_id else None
    return recruiter().way_back(visitor, _code(row))


def _given_back() -> str:
    """The panel reported the participant as gone, and may have sent somebody else already."""
    paragraphs = [
        _(
            "The site that you came from told us that you had left the study, so your place went to somebody else."
        ),
        _("Thank you for your time! What you answered has been saved, and nothing more is asked of you."),
        _("About payment: %(rule)s", rule=ethics().pay),
    ]
    return render_template("message.html", title=_("Your session has ended"), paragraphs=paragraphs)


@blueprint.get("/expired")
def expired() -> Any:
    """The place went to somebody else while the participant was away."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is None or row.state != "expired":
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    paragraphs = [
        _("You were away for longer than your place could be kept, and meanwhile it went to somebody else."),
        _("Thank you for your time! What you answered has been saved, and nothing more is asked of you."),
        _("About payment: %(rule)s", rule=ethics().pay),
    ]
    return render_template("message.html", title=_("Your session has ended"), paragraphs=paragraphs)


@blueprint.post("/stop")
def stop() -> Any:
    """The participant stops, or does not begin; what was answered stays, the place goes to somebody else."""
    session.pop("visitor", None)  # who declines leaves no id, not even an encrypted one in the own cookie
    if cookie_token() is not None and not _declines_beside_somebody():
        sessions.stop(hosted(), cookie_token())
    return render_template("stopped.html", pay=ethics().pay)


def _declines_beside_somebody() -> bool:
    """Whether this is the consent page's No of somebody new, at a browser in which somebody else has a session."""
    known = sessions.find_session(hosted(), cookie_token())
    return "declined" in request.form and known is not None and known.worker != session.get("worker")
