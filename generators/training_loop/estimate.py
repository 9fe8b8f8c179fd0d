"""How long a run will take: a few real steps, timed; nothing is written."""

import dataclasses
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from generators.config import RunConfig
from generators.networks import count_parameters
from generators.training_loop.batches import SharedCounters, batches
from generators.training_loop.hardware import (
    Hardware,
    check_hardware,
    few_threads,
    open_fabric,
    reproducible,
)
from generators.training_loop.parts import Parts, build_parts
from generators.training_loop.session import Session
from generators.training_loop.stopping import explained_errors

_MOST_STEPS = 20
_MOST_SECONDS = 20.0


@dataclass(frozen=True)
class Estimate:
    """What a few steps say about a whole run."""

    device: str
    """Where it was timed: `cpu`, or the GPU's name."""
    steps_timed: int
    seconds_per_image: float
    seconds: float
    """For all images of the run, without sample grids and checkpoints."""
    weights: dict[str, int]
    """Player -> number of its weights."""
    peak_memory_mb: float


def estimate(
    config: RunConfig,
    hardware: Hardware = Hardware(),  # noqa: B008  (frozen)
    *,
    build: Callable[[RunConfig], Parts] = build_parts,
) -> Estimate:
    """Time the first steps of a run on one device, after one that warms up.

    Several devices are counted as sharing each batch without loss, so the true figure is a little longer.

    Raises:
        UserError: As `train`.
    """
    check_hardware(hardware, config.training)
    share = config.training.batch_size // hardware.processes
    training = dataclasses.replace(config.training, batch_size=share, total_images=(_MOST_STEPS + 1) * share)
    alone = dataclasses.replace(hardware, devices=1, nodes=1)
    fabric = open_fabric(alone, training)
    with reproducible(training.deterministic), explained_errors(training):
        parts = build(config)
        session = Session(fabric, parts.method, training)
        with few_threads(parts.image_size_px):
            seconds, steps = _timed(session, parts)
    per_image = seconds / steps / config.training.batch_size
    return Estimate(
        device=torch.cuda.get_device_name(fabric.device) if fabric.device.type == "cuda" else "cpu",
        steps_timed=steps,
        seconds_per_image=per_image,
        seconds=per_image * config.training.total_images,
        weights={name: count_parameters(player) for name, player in session.players.items()},
        peak_memory_mb=session.peak_memory_mb(),
    )


def _timed(session: Session, parts: Parts) -> tuple[float, int]:
    """Seconds and steps, loading of the images included; the first step does not count."""
    training = session.training
    counters = SharedCounters(0, training.total_images, training.batch_size)
    on_gpu = session.fabric.device.type == "cuda"
    loading = batches(parts.shown, counters, workers=0, pin_memory=on_gpu)
    session.step(*next(loading))
    began = session.wait_for_device()
    steps = 0
    for source, target in itertools.islice(loading, _MOST_STEPS):
        session.step(source, target)
        steps += 1
        if time.perf_counter() - began > _MOST_SECONDS:
            break
    return session.wait_for_device() - began, steps
