"""The pages a participant walks through: entry, consent, session, finish, completion, stopped."""

import hashlib
import secrets
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, request, session, url_for

from webapp import identity, sessions
from webapp.hosting import HostedStudy
from webapp.recruitment import Visitor
from webapp.views import cookie_token, hosted, recruiter

if TYPE_CHECKING:
    from webapp.tables import SessionRow

blueprint = Blueprint("participant", __name__)

SEE_OTHER = 303
CONSENT_TEXT = "1"
"""templates/consent/1.html; a text that people agreed to is never edited, a new one gets the next number."""


@blueprint.get("/")
def enter() -> Any:
    """The participant link: learn who it is, record the arrival, go on at a clean address."""
    study, visitor = hosted(), recruiter().visitor(request.args)
    worker = visitor.worker_id if isinstance(visitor, Visitor) else None
    if worker is None:
        known = sessions.find_session(study, cookie_token())
        if known is not None and (study.data != "preview" or known.state == "active"):
            return redirect(url_for("participant.take_part"), SEE_OTHER)
        if study.data == "preview":  # a preview may be taken again and again
            worker = f"preview-{secrets.token_hex(8)}"
    if worker is None:
        problem = "Please enter an id of at most 200 characters." if "worker_id" in request.args else None
        return render_template("entry.html", problem=problem)
    hashed = identity.worker_hash(study.config.secret_key, worker)
    token = _token_of(hashed)
    welcome, arrival = sessions.arrive(study, hashed, token)
    if welcome == "resumed":
        session["token"] = token
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    if welcome in ("returning", "full"):
        raise sessions.Refusal(403, welcome, "")
    session.permanent = True
    if session.get("worker") != hashed:
        session["ticket"] = sessions.new_token()
    session["worker"], session["arrival"] = hashed, arrival
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
        return redirect(url_for("participant.enter"), SEE_OTHER)
    return _consent_page(None)


def _consent_page(problem: str | None) -> str:
    return render_template(
        "consent.html",
        ethics=hosted().study.ethics,
        consent_text=CONSENT_TEXT,
        consent_version=consent_version(hosted()),
        problem=problem,
    )


@blueprint.post("/consent")
def accept() -> Any:
    """The worker consents: claim a place, begin the session."""
    study = hosted()
    if "worker" not in session:
        return redirect(url_for("participant.enter"), SEE_OTHER)
    version = consent_version(study)
    if request.form.get("consent_version", version) != version:
        return _consent_page("This page has changed since you opened it. Please read it once more."), 422
    if not request.form.get("agree"):
        return _consent_page("Please tick the box if you agree, or close this page if you do not."), 422
    known = sessions.find_session(study, cookie_token())
    if known is None or known.worker != session["worker"]:
        admission = sessions.claim(
            study, session["worker"], session.get("arrival"), consent_version(study), session.get("ticket")
        )
        session["token"] = admission.token
    return redirect(url_for("participant.take_part"), SEE_OTHER)


def consent_version(study: HostedStudy) -> str:
    """Names the consent text and the values in it; stored with each acceptance."""
    values = hashlib.sha256(study.study.ethics.model_dump_json().encode()).hexdigest()
    return f"{CONSENT_TEXT}-{values[:12]}"


@blueprint.get("/session")
def take_part() -> Any:
    """The page that shows the trials, or where the session has come to instead."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is None:
        return redirect(url_for("participant.enter"), SEE_OTHER)
    if row.state == "stopped":
        return render_template("stopped.html", pay=hosted().study.ethics.pay)
    if row.state == "finished":
        return redirect(url_for("participant.done"), SEE_OTHER)
    return render_template("session.html", page=_page_settings(hosted()), can_stop=True)


def _page_settings(study: HostedStudy) -> dict[str, Any]:
    protocol = study.study.protocol
    return {
        "question": study.study.question,
        "practice": protocol.practice,
        "scored": protocol.scored,
        "image_px": [study.bundle.width_px, study.bundle.height_px],
        "pixel_scale": study.study.display.pixel_scale,
        "exposure_ms": getattr(protocol, "exposure_ms", None),
        "presentation": getattr(protocol, "presentation", None),
        "minutes": study.study.ethics.minutes,
    }


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
    code = identity.completion_code(hosted().config.secret_key, row.id)
    return render_template("done.html", code=code, question=hosted().study.question)


@blueprint.get("/expired")
def expired() -> Any:
    """The place went to somebody else while the participant was away."""
    row = sessions.find_session(hosted(), cookie_token())
    if row is None or row.state != "expired":
        return redirect(url_for("participant.take_part"), SEE_OTHER)
    paragraphs = [
        "You were away for longer than your place could be kept, and meanwhile it went to somebody else.",
        "Thank you for your time! What you answered has been saved, and nothing more is asked of you.",
        f"About payment: {hosted().study.ethics.pay}",
    ]
    return render_template("message.html", title="Your session has ended", paragraphs=paragraphs)


@blueprint.post("/stop")
def stop() -> Any:
    """The participant stops, or does not begin; what was answered stays, the place goes to somebody else."""
    if cookie_token() is not None:
        sessions.stop(hosted(), cookie_token())
    return render_template("stopped.html", pay=hosted().study.ethics.pay)


def refusal_text(error: sessions.Refusal) -> tuple[str, list[str]]:
    """A kind page for a refusal: title and paragraphs."""
    contact = f"If you think this is a mistake, please write to {hosted().study.ethics.contact}."
    if error.code == "returning":
        return "You have already taken part", [
            "Thank you! Each person can take part in this study once, and we have a session under your id already.",
            "If it was interrupted, open the study again in the same browser that you began with.",
            contact,
        ]
    if error.code == "full":
        return "All places are taken", [
            "Thank you for your interest. At the moment every place in this study is taken.",
            "Places sometimes become free again: you are welcome to try the link later.",
        ]
    return "That did not work", [error.message, contact]
