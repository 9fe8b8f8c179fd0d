"""Real processes, really killed."""

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest

from generators.config import RunConfig
from tests.generators.toy_training import ToySettings, last_state, same_bits, stats, toy_config, train_slowly

CONFIG = toy_config(
    ToySettings(ballast=1_000_000), total_images=30, log_images=3, checkpoint_images=1, sample_images=7
)
"""4 MB at every step, so that much of the time a checkpoint is being written."""


@pytest.fixture(scope="module")
def server() -> ForkServerContext:
    """Starts processes that have imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.generators.toy_training"])
    return context


@pytest.fixture(scope="module")
def undisturbed(server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(server, folder)
    process.join(120)
    assert process.exitcode == 0
    return folder


def start(server: ForkServerContext, folder: Path, config: RunConfig = CONFIG) -> ForkServerProcess:
    process = server.Process(target=train_slowly, args=(folder, config))
    process.start()
    return process


def newest(folder: Path) -> int:
    return max((int(path.stem) for path in (folder / "checkpoints").glob("*.pt")), default=0)


def assert_as_if_nothing_had_happened(folder: Path, undisturbed: Path) -> None:
    assert same_bits(last_state(folder), last_state(undisturbed))
    assert stats(folder) == stats(undisturbed)
    assert sorted(path.name for path in (folder / "samples").iterdir()) == sorted(
        path.name for path in (undisturbed / "samples").iterdir()
    )
    assert not list(folder.rglob("*.writing"))
    for path in (undisturbed / "samples").iterdir():
        assert path.read_bytes() == (folder / "samples" / path.name).read_bytes()


def test_killed_while_checkpoints_are_being_written_the_run_ends_as_if_it_had_not_been(
    server: ForkServerContext, undisturbed: Path, tmp_path: Path
) -> None:
    half_written = 0
    for kill_at in range(1, 30, 5):
        process = start(server, tmp_path)
        while process.is_alive() and not (
            newest(tmp_path) >= kill_at and list((tmp_path / "checkpoints").glob("*.writing"))
        ):
            pass
        process.kill()
        process.join()
        half_written += bool(list((tmp_path / "checkpoints").glob("*.writing")))
    last = start(server, tmp_path)
    last.join(120)
    assert last.exitcode == 0
    assert half_written >= 2
    assert_as_if_nothing_had_happened(tmp_path, undisturbed)


def test_killed_at_random_instants_the_run_ends_as_if_it_had_not_been(
    server: ForkServerContext, undisturbed: Path, tmp_path: Path
) -> None:
    rng = random.Random(0)
    kills = 0
    for _ in range(100):
        before = newest(tmp_path)
        process = start(server, tmp_path)
        process.join(0.02 + rng.random() * 0.2 if kills < 8 else 120)
        if process.exitcode == 0:
            break
        process.kill()
        process.join()
        kills += 1
        assert newest(tmp_path) >= before
    assert kills > 0
    assert newest(tmp_path) == 30
    assert_as_if_nothing_had_happened(tmp_path, undisturbed)


def test_the_next_start_need_not_wait_for_a_killed_one(
    server: ForkServerContext, undisturbed: Path, tmp_path: Path
) -> None:
    process = start(server, tmp_path)
    while not (tmp_path / "checkpoints").exists():
        time.sleep(0.001)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    again = start(server, tmp_path)
    again.join(120)
    assert again.exitcode == 0
    assert_as_if_nothing_had_happened(tmp_path, undisturbed)
