"""What supervisors and balancers ask: is the process alive, may it get participants."""

import threading
from typing import Any, cast

from flask import Blueprint, current_app, jsonify
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp.views import hosted

blueprint = Blueprint("serving", __name__)


@blueprint.get("/health")
def health() -> Any:
    """The process answers; says nothing of the database."""
    return jsonify(alive=True)


@blueprint.get("/ready")
def ready() -> Any:
    """Whether this server can take participants: its database answers, and it is not about to stop."""
    if draining().is_set():
        return jsonify(ready=False, reason="draining"), 503
    try:
        with hosted().database.read() as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return jsonify(ready=False, reason="database"), 503
    return jsonify(ready=True, study=hosted().study.id, data=hosted().data)


def draining() -> threading.Event:
    """Set once the process was told to stop."""
    return cast(threading.Event, current_app.extensions["evalkit_draining"])
