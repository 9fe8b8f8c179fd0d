"""Hundreds of simulated participants at one study server, and what became of every answer.

    python -m benchmarks.server_load                       # SQLite, 500 participants, three minutes
    python -m benchmarks.server_load --database postgresql --participants 500 --seconds 180 --workers 3

The server is `evalkit study serve` in its own processes; client and server share the machine and the loopback. Each
participant keeps a person's pace: 3.6 s until the question, then about 1.5 s for the answer, in practice 2.4 s of
feedback; images are fetched and read, the display is reported, as the participant page does it. Afterwards every acknowledged answer is compared with
the database. Then 32 participants answer as fast as they can, and the same is asked of `benchmarks.bare_flask`.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import click
from PIL import Image
from sqlalchemy import func, select

from benchmarks import bare_flask
from benchmarks.serving import bare_server, postgresql, study_server
from studies.design import parse_study
from studies.simulate import Known
from studies.stimuli import build_bundle
from studies.study_toml import render_study_toml
from webapp.config import create_secret_key
from webapp.db import Database
from webapp.simulated_participants import SimulatedParticipant
from webapp.tables import ResponseRow, TrialRow
from webapp.views.api import PAGE_HEADER

FLAT_OUT_CLIENTS = 32
BLANK_S, SHOWN_S, DELAY_S, FEEDBACK_S = 0.9, 2.6, 0.1, 2.4
"""Before the first image, both images and the gap between them, before the question: 3.6 s; and after a practice answer."""
TIMEOUT = aiohttp.ClientTimeout(total=30)
TRIALS = 50


@dataclass(frozen=True)
class Load:
    """What is asked of the server."""

    participants: int = 500
    seconds: float = 180.0
    """Of the human pace, once all have entered."""
    flat_out_seconds: float = 20.0
    workers: int = 3
    size_px: int = 256
    flat_out_participants: int = 150


@dataclass
class Tally:
    """What the clients saw."""

    latencies_ms: list[float] = field(default_factory=list)
    """From sending an answer to having read the reply."""
    acknowledged: dict[int, str] = field(default_factory=dict)
    """Trial -> choice, of each answer that the server confirmed."""
    images: int = 0
    image_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Every reply but 200, and every broken connection."""

    def percentile(self, share: float) -> float:
        """Of the latencies, by nearest rank."""
        ordered = sorted(self.latencies_ms)
        return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True)
class Figures:
    """One row of the table in docs/reliability.md."""

    database: str
    workers: int
    participants: int
    seconds: float
    answers: int
    answers_per_s: float
    images_per_s: float
    megabytes_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float
    errors: int
    lost: int
    """Acknowledged answers that the database does not hold, or holds otherwise."""
    doubled: int
    """Answers in the database that nobody was told of, or that stand twice."""
    server_cpu_ms_per_answer: float
    """Processor time of all server processes, images and display reports included; without the database server's."""
    flat_out_per_s: float = 0.0
    flat_out_p99_ms: float = 0.0
    bare_per_s: float = 0.0
    """`benchmarks.bare_flask`: as many requests per answer, none of the work."""


def make_load_study(folder: Path, load: Load) -> Path:
    """A study with a place for everybody; images of about 100 kB, as photographs of 256 px have."""
    places = load.participants + load.flat_out_participants
    study = parse_study(
        {
            "study": {"id": "load", "participants_per_condition": math.ceil(places / 2), "seed": 1},
            "protocol": {"practice": 10, "scored": TRIALS - 10, "reserve": 3},
            "reference": {"images": "images/real"},
            "conditions": {name: {"images": [f"images/{name}"]} for name in ("alpha", "beta")},
            "ethics": {"approval": "IRB 1", "contact": "study@lab.example"},
        },
        "load",
    )
    rng = random.Random(5)
    for name in ("real", "alpha", "beta"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(60):
            _photograph(load.size_px, rng).save(folder / "images" / name / f"{number}.png")
    (folder / "study.toml").write_text(render_study_toml(study, None), encoding="utf-8")
    create_secret_key(folder)
    build_bundle(study, folder)
    return folder


def _photograph(size_px: int, rng: random.Random) -> Image.Image:
    """Soft patches and grain: as many bytes as a photograph."""
    size = (size_px, size_px)
    patches = Image.frombytes("RGB", (8, 8), rng.randbytes(192)).resize(size, Image.Resampling.BICUBIC)
    grain = Image.frombytes("RGB", size, rng.randbytes(size_px**2 * 3))
    return Image.blend(patches, grain, 0.05)


@dataclass
class Client:
    """One participant's browser."""

    http: aiohttp.ClientSession
    url: str
    cookie: str
    tally: Tally
    rng: random.Random
    page: str = ""
    _fetched: set[int] = field(default_factory=set)

    async def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        headers = {"Cookie": self.cookie, PAGE_HEADER: self.page}
        try:
            async with self.http.request(
                method, self.url + path, json=body, headers=headers, timeout=TIMEOUT
            ) as reply:
                content = await reply.read()
                if reply.status != 200:
                    self.tally.errors[f"{reply.status} {path.split('/')[-1][:8]}"] += 1
                    raise _RefusedError(f"{reply.status} {content[:200]!r}")
                return content
        except (aiohttp.ClientError, TimeoutError) as error:
            self.tally.errors[type(error).__name__] += 1
            raise _RefusedError(repr(error)) from error

    async def _post(self, path: str, body: Any) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(await self._ask("POST", path, body))
        return reply

    async def _fetch_new(self, state: dict[str, Any]) -> None:
        new = [order for order in state["trials"] if order["id"] not in self._fetched]
        self._fetched.update(order["id"] for order in new)
        addresses = [address for order in new for address in order["images"].values()]
        for content in await asyncio.gather(*(self._ask("GET", address) for address in addresses)):
            self.tally.images += 1
            self.tally.image_bytes += len(content)

    async def take_part(self, going_on: Callable[[], bool], *, human: bool) -> None:
        """Open the page and answer while it goes on; an error ends this participant, and is counted."""
        with contextlib.suppress(_RefusedError):
            if human:
                await asyncio.sleep(self.rng.uniform(0, 5))
            state = await self._post("/api/page", {})
            self.page = state["page"]
            await self._fetch_new(state)
            while state["trials"] and going_on():
                state = await self._trial(state["trials"], human)
                await self._fetch_new(state)

    async def _trial(self, orders: list[dict[str, Any]], human: bool) -> dict[str, Any]:
        trial, scored = orders[0]["id"], orders[0]["phase"] == "scored"

        async def wait(seconds: float) -> None:
            if human:
                await asyncio.sleep(seconds)

        display = {"slots": {slot: {"exposure_ms": 1000.0, "frames": 60} for slot in "12"}, "refresh_hz": 60}
        await wait(BLANK_S)
        if not orders[0]["begun"]:
            await self._post(f"/api/trials/{trial}/begun", {})
        await wait(SHOWN_S)
        await self._post(f"/api/trials/{trial}/ended", display)
        think = 1.3 * math.exp(self.rng.gauss(0.0, 0.5))  # 1.5 s on average
        await wait(DELAY_S + think)
        choice = self.rng.choice(["first", "second"])
        body = {"choice": choice, "rt_ms": 1000 * think, "input": "key", "display": display}
        if scored and len(orders) > 1:
            body["begins"] = orders[1]["id"]
        start = time.perf_counter()
        state = await self._post(f"/api/trials/{trial}/answer", body)
        self.tally.latencies_ms.append(1000 * (time.perf_counter() - start))
        self.tally.acknowledged[trial] = choice
        if not scored:
            await wait(FEEDBACK_S)
        return state


class _RefusedError(Exception):
    """Counted already."""


def enter(url: str, names: list[str]) -> list[str]:
    """Everybody follows the link and consents; returns their cookies."""

    def one(name: str) -> str:
        person = SimulatedParticipant(url, name, Known({}), random.Random(0))
        with person.http:
            assert person.enter() == "", name
            return "; ".join(f"{key}={value}" for key, value in person.http.cookies.items())

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, names))


def _http() -> aiohttp.ClientSession:
    # Connections are given up before the server does it, as a proxy in front of it would.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=1.0)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


async def _human_pace(url: str, cookies: list[str], seconds: float) -> Tally:
    tally, end = Tally(), time.monotonic() + seconds
    async with _http() as http:
        clients = [
            Client(http, url, cookie, tally, random.Random(number)) for number, cookie in enumerate(cookies)
        ]
        await asyncio.gather(
            *(client.take_part(lambda: time.monotonic() < end, human=True) for client in clients)
        )
    return tally


async def _flat_out(
    seconds: float, participants: list[Callable[[aiohttp.ClientSession, Tally], Awaitable[None]]]
) -> tuple[Tally, float]:
    """So many at a time, the next one when one is done."""
    tally, start = Tally(), time.monotonic()
    async with _http() as http:

        async def one_after_the_other() -> None:
            while participants and time.monotonic() < start + seconds:
                await participants.pop()(http, tally)

        await asyncio.gather(*(one_after_the_other() for _ in range(FLAT_OUT_CLIENTS)))
    return tally, time.monotonic() - start


async def _study_flat_out(url: str, cookies: list[str], seconds: float) -> tuple[Tally, float]:
    end = time.monotonic() + seconds

    def visit(cookie: str) -> Callable[[aiohttp.ClientSession, Tally], Awaitable[None]]:
        return lambda http, tally: Client(http, url, cookie, tally, random.Random(cookie)).take_part(
            lambda: time.monotonic() < end, human=False
        )

    return await _flat_out(seconds, [visit(cookie) for cookie in cookies])


async def _bare_flat_out(url: str, seconds: float) -> tuple[Tally, float]:
    """Two posts and two images per answer, as the participant page makes them in scored trials."""
    end = time.monotonic() + seconds

    def visit(token: int) -> Callable[[aiohttp.ClientSession, Tally], Awaitable[None]]:
        async def answers(http: aiohttp.ClientSession, tally: Tally) -> None:
            client = Client(http, url, "", tally, random.Random(token))
            while time.monotonic() < end:
                await asyncio.gather(client._ask("GET", "/i/a"), client._ask("GET", "/i/b"))
                for _ in range(2):
                    start = time.perf_counter()
                    await client._post(f"/answer/{token}", {"choice": "first", "rt_ms": 1000})
                tally.latencies_ms.append(1000 * (time.perf_counter() - start))

        return answers

    return await _flat_out(seconds, [visit(token) for token in range(FLAT_OUT_CLIENTS)])


def compare(database_url: str, acknowledged: dict[int, str]) -> tuple[int, int]:
    """Acknowledged answers that are not stored as given; stored answers that nobody was told of or that stand twice."""
    database = Database(database_url)
    with database.read() as db:
        stored = {row.trial_id: row.choice for row in db.scalars(select(ResponseRow))}
        rows = db.scalar(select(func.count()).select_from(ResponseRow)) or 0
        trials = select(TrialRow.session_id, TrialRow.trial_index).join(ResponseRow)
        positions = db.execute(trials).all()
    database.close()
    lost = sum(stored.get(trial) != choice for trial, choice in acknowledged.items())
    twice = rows - len(stored) + len(positions) - len(set(positions))
    return lost, twice + len(stored.keys() - acknowledged.keys())


def measure(folder: Path, database_url: str, load: Load) -> Figures:
    """Run the load against the study in `folder`; its database must be empty."""
    names = [f"w{number}" for number in range(load.participants + load.flat_out_participants)]
    with study_server(folder, database_url, load.workers) as server:
        cookies = enter(server.url, names)
        cpu, start = server.cpu_seconds(), time.monotonic()
        tally = asyncio.run(_human_pace(server.url, cookies[: load.participants], load.seconds))
        seconds, cpu = time.monotonic() - start, server.cpu_seconds() - cpu
        flat, flat_seconds = Tally(), 1.0
        if load.flat_out_seconds:
            flat, flat_seconds = asyncio.run(
                _study_flat_out(server.url, cookies[load.participants :], load.flat_out_seconds)
            )
    lost, doubled = compare(database_url, tally.acknowledged | flat.acknowledged)
    answers = len(tally.latencies_ms)
    for name, seen in (("human pace", tally), ("flat out", flat)):
        if seen.errors:
            click.echo(f"{name}: {dict(seen.errors)}")
    return Figures(
        database=database_url.split(":")[0].split("+")[0],
        workers=load.workers,
        participants=load.participants,
        seconds=round(seconds, 1),
        answers=answers,
        answers_per_s=round(answers / seconds, 1),
        images_per_s=round(tally.images / seconds, 1),
        megabytes_per_s=round(tally.image_bytes / seconds / 1e6, 1),
        p50_ms=round(tally.percentile(0.50), 1),
        p95_ms=round(tally.percentile(0.95), 1),
        p99_ms=round(tally.percentile(0.99), 1),
        worst_ms=round(tally.percentile(1.0), 1),
        errors=sum(tally.errors.values()) + sum(flat.errors.values()),
        lost=lost,
        doubled=doubled,
        server_cpu_ms_per_answer=round(1000 * cpu / max(1, answers), 1),
        flat_out_per_s=round(len(flat.latencies_ms) / flat_seconds, 1),
        flat_out_p99_ms=round(flat.percentile(0.99), 1),
    )


def measure_bare(database_url: str, load: Load) -> float:
    """Answers per second of the bare server, flat out; its tables are made in the same database."""
    bare_flask.prepare(database_url, FLAT_OUT_CLIENTS)
    with bare_server(database_url, load.workers) as server:
        tally, seconds = asyncio.run(_bare_flat_out(server.url, load.flat_out_seconds))
    assert not tally.errors, tally.errors
    return round(len(tally.latencies_ms) / seconds, 1)


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[str]:
    """An empty database: `sqlite` beside the study, or a `postgresql` of its own."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'study.sqlite'}"
    else:
        with postgresql() as server:
            yield server.url


def run(kind: str, load: Load) -> Figures:
    """All of it on one database."""
    with tempfile.TemporaryDirectory(prefix="evalkit-load-") as name:
        folder = make_load_study(Path(name) / "study", load)
        with database_of(kind, folder) as url:
            figures = measure(folder, url, load)
        with database_of(kind, Path(name)) as url:
            return Figures(**(asdict(figures) | {"bare_per_s": measure_bare(url, load)}))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--participants", type=int, default=Load.participants)
    parser.add_argument("--seconds", type=float, default=Load.seconds)
    parser.add_argument("--flat-out-seconds", type=float, default=Load.flat_out_seconds)
    parser.add_argument("--workers", type=int, default=Load.workers)
    given = parser.parse_args()
    load = Load(given.participants, given.seconds, given.flat_out_seconds, given.workers)
    click.echo(json.dumps(asdict(run(given.database, load)), indent=1))
    click.echo(f"load of the machine: {os.getloadavg()}")


if __name__ == "__main__":
    main()
