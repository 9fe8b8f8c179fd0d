"""The least that a Flask server must do to store an answer: the yardstick of `benchmarks.server_load`.

POST: lock the session's row, insert the answer, update the session, commit. An image is a header only, as where a
proxy sends the file. No cookie, no check, no plan, no truth. Run by gunicorn: `benchmarks.bare_flask:app`.
"""

import os

from flask import Flask, Response, jsonify, request
from sqlalchemy import BigInteger, ForeignKey, Integer, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from webapp.db import Database


class Base(DeclarativeBase):
    """Two tables."""


class BareSession(Base):
    """A participant."""

    __tablename__ = "bare_sessions"
    token: Mapped[str] = mapped_column(String(32), primary_key=True)
    answers: Mapped[int] = mapped_column(Integer, default=0)


class BareAnswer(Base):
    """An answer."""

    __tablename__ = "bare_answers"
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    token: Mapped[str] = mapped_column(ForeignKey("bare_sessions.token"), index=True)
    choice: Mapped[str] = mapped_column(String(8))
    rt_ms: Mapped[int] = mapped_column(Integer)


def prepare(url: str, participants: int) -> None:
    """Make the tables and the sessions `0`, `1`, ... of an empty database."""
    database = Database(url)
    Base.metadata.create_all(database.engine)
    with database.write() as db:
        db.add_all(BareSession(token=str(number)) for number in range(participants))
    database.close()


app = Flask(__name__)
database = Database(os.environ.get("BARE_DATABASE_URL", "sqlite://"))


@app.post("/answer/<token>")
def answer(token: str) -> Response:
    """Store it."""
    given = request.get_json()
    with database.write() as db:
        session = db.scalars(select(BareSession).where(BareSession.token == token).with_for_update()).one()
        db.add(BareAnswer(token=token, choice=given["choice"], rt_ms=given["rt_ms"]))
        session.answers += 1
    return jsonify(ok=True)


@app.get("/i/<name>")
def image(name: str) -> Response:
    """Leave the file to a proxy."""
    return Response(headers={"X-Accel-Redirect": f"/images/{name}.png"}, mimetype="image/png")


@app.get("/ready")
def ready() -> Response:
    """It runs."""
    return jsonify(ready=True)
