"""The researcher's pages: panels that renew themselves, the acts, the files. Signing in is `sign_in`."""

import datetime
from collections.abc import Callable
from typing import Any, cast

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    g,
    redirect,
    render_template,
    request,
    url_for,
)

from studies.errors import UserError
from webapp import admin, export
from webapp.admin import password
from webapp.views import hosted
from webapp.views.sign_in import refuse_strangers
from webapp.views.snapshot import Snapshot, Snapshots

blueprint = Blueprint("dashboard", __name__, url_prefix="/dashboard")
blueprint.before_request(refuse_strangers)

SEE_OTHER = 303
SESSIONS_PER_PAGE = 25
FILES = ("responses.csv", "sessions.csv", "arrivals.csv", "admin_acts.csv")


@blueprint.get("")
def show() -> str:
    """The whole dashboard."""
    study = hosted()
    return render_template(
        "dashboard/page.html",
        study=study.study.id,
        question=str(study.study.protocol.instructions(study.study.question).asked),
        rated=_rated(),
        design=study.study.study.design,
        data=study.data,
        panels={name: _render(name) for name in PANELS},
        running=_running(),
        acts=admin.acts(study),
        failed=password.failed_sign_ins(study),
        in_words=admin.in_words,
        files=_files(),
    )


@blueprint.get("/panels/<name>")
def panel(name: str) -> str:
    """One panel, as it stands now."""
    if name not in PANELS:
        abort(404)
    return _render(name)


def _render(name: str) -> str:
    return render_template(f"dashboard/{name}.html", name=name, **PANELS[name]())


def _running() -> admin.Running:
    """Asked once per request, by all panels together."""
    if "running" not in g:
        g.running = admin.running(hosted())
    return cast(admin.Running, g.running)


def _snapshot() -> Snapshot:
    if "snapshot" not in g:
        snapshots = cast(Snapshots, current_app.extensions["evalkit_snapshots"])
        g.snapshot = snapshots.newest(revealed=_running().revealed)
    return cast(Snapshot, g.snapshot)


def _places() -> dict[str, Any]:
    study = hosted()
    rows = admin.condition_statuses(study)
    numbers = ("quota", "finished", "started", "active", "stopped", "expired", "answers", "void", "missing")
    totals = {name: sum(getattr(row, name) for row in rows) for name in numbers}
    return {
        "rows": rows,
        "totals": totals,
        "now": admin.in_words(study.clock()),
        "state": _running().state,
    }


def _people() -> dict[str, Any]:
    return {"arrivals": admin.arrival_counts(hosted()), "figures": _snapshot().figures}


def _rated() -> bool:
    """Whether the protocol has fool rates at all."""
    return "fool_rate" in hosted().study.protocol.analyses


def _rate() -> dict[str, Any]:
    return {
        "running": _running(),
        "estimates": _snapshot().estimates,
        "in_words": admin.in_words,
        "rated": _rated(),
        "numbers": hosted().study.protocol.analyses,
    }


def _timing() -> dict[str, Any]:
    untimed = getattr(hosted().study.protocol, "exposure_ms", None) == 0
    return {"figures": _snapshot().figures, "untimed": untimed}


def _answers() -> dict[str, Any]:
    protocol = hosted().study.protocol
    sequential = getattr(protocol, "presentation", "") == "sequential"
    return {"figures": _snapshot().figures, "sequential": sequential, "sides": protocol.images_per_trial > 1}


def _money() -> dict[str, Any]:
    return {"costs": admin.costs(hosted())}


def _sessions() -> dict[str, Any]:
    study = hosted()
    number = max(1, request.args.get("page", 1, type=int))
    figures = _snapshot().figures
    listed = admin.session_statuses(study, SESSIONS_PER_PAGE + 1, (number - 1) * SESSIONS_PER_PAGE)
    return {
        "sessions": listed[:SESSIONS_PER_PAGE],
        "number": number,
        "more": len(listed) > SESSIONS_PER_PAGE,
        "flags": figures.flags if figures else {},
        "of": study.study.trials_per_session,
    }


PANELS: dict[str, Callable[[], dict[str, Any]]] = {
    "places": _places,
    "rate": _rate,
    "people": _people,
    "money": _money,
    "timing": _timing,
    "answers": _answers,
    "views": _timing,
    "sessions": _sessions,
}
"""Name of a panel, and of its template -> what it shows."""


@blueprint.post("/state")
def change_state() -> Any:
    """Pause, resume or close."""
    study, wanted = hosted(), request.form.get("state", "")
    if wanted not in ("open", "paused", "closed"):
        abort(422)
    if wanted == "closed" and not _confirmed():
        flash("Not closed: type the study's name to confirm.")
        return _back()
    try:
        admin.set_state(study, cast(admin.State, wanted), "dashboard")
    except UserError as error:
        flash(str(error))
    return _back()


@blueprint.post("/reveal")
def reveal() -> Any:
    """Settle from when on fool rates are shown."""
    study, when = hosted(), request.form.get("when", "")
    try:
        at = _moment(when, request.form.get("at", ""))
    except ValueError:
        flash("Not changed: give the moment as date and time (UTC).")
        return _back()
    if at is not None and _running().begun and not _confirmed():
        flash(
            "Not changed: people have taken part, so an earlier look needs the study's name as confirmation. It is "
            "recorded, and exported with the data."
        )
        return _back()
    admin.choose_reveal(study, at, "dashboard")
    return _back()


def _moment(when: str, at: str) -> int | None:
    if when == "complete":
        return None
    if when == "now":
        return hosted().clock()
    return round(datetime.datetime.fromisoformat(at).replace(tzinfo=datetime.UTC).timestamp() * 1000)


def _confirmed() -> bool:
    return request.form.get("confirm", "").strip() == hosted().study.id


@blueprint.post("/export")
def make_files() -> Any:
    """Write the CSV files."""
    study = hosted()
    early = "" if _running().revealed else " Before the fool rates were due."
    admin.record_act(study, "dashboard", "export", f"The data were exported.{early}")
    _path, rows = export.export(study)
    flash(f"{rows} responses exported.")
    return _back()


@blueprint.get("/files/<name>")
def download(name: str) -> Any:
    """One of the CSV files."""
    path = hosted().config.folder.resolve() / hosted().data / name
    if name not in FILES or not path.is_file():
        abort(404)
    reply = Response(path.read_bytes(), mimetype="text/csv")
    reply.headers["Content-Disposition"] = f"attachment; filename={name}"
    return reply


def _files() -> list[dict[str, Any]]:
    folder = hosted().config.folder / hosted().data
    found = [folder / name for name in FILES if (folder / name).is_file()]
    return [
        {
            "name": path.name,
            "kb": max(1, path.stat().st_size // 1000),
            "at": admin.in_words(int(path.stat().st_mtime * 1000)),
        }
        for path in found
    ]


def _back() -> Any:
    return redirect(url_for("dashboard.show"), SEE_OTHER)
