"""The loop: batch after batch, with a log line, a sample grid and a checkpoint now and then."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from generators.config import RunConfig
from generators.runs import (
    check_config,
    checkpoint_paths,
    clear_leftovers,
    disk_errors,
    last_whole_checkpoint,
    only_trainer,
    settle_config,
)
from generators.training_loop.batches import SharedCounters, batches
from generators.training_loop.hardware import (
    Hardware,
    check_hardware,
    few_threads,
    open_fabric,
    reproducible,
)
from generators.training_loop.log import cut_stats
from generators.training_loop.parts import Parts, build_parts
from generators.training_loop.record import Progress, Record, cut_samples
from generators.training_loop.session import Session
from generators.training_loop.stopping import (
    StopRequest,
    TrainingStoppedError,
    explained_errors,
    stop_on_signal,
)
from generators.training_loop.tensorboard import open_tensorboard


@dataclass(frozen=True)
class Finished:
    """A run that has shown all its images."""

    folder: Path
    checkpoint: Path
    images_shown: int
    resumed_at: int
    """Images that earlier processes had shown; equal to `images_shown` if there was nothing left to do."""


@dataclass(frozen=True)
class Listeners:
    """Who is told what happens; the library itself prints nothing."""

    on_progress: Callable[[Progress], None] | None = None
    tell: Callable[[str], None] | None = None
    tensorboard: bool = False

    def say(self, line: str) -> None:
        """A line for the user."""
        if self.tell is not None:
            self.tell(line)


def train(
    config: RunConfig,
    folder: Path,
    hardware: Hardware = Hardware(),  # noqa: B008  (frozen)
    on_progress: Callable[[Progress], None] | None = None,
    *,
    tell: Callable[[str], None] | None = None,
    tensorboard: bool = False,
    build: Callable[[RunConfig], Parts] = build_parts,
) -> Finished:
    """Train a run to its end, or go on with the one that `folder` holds.

    Args:
        config: All settings; must be those of the run that is there.
        folder: The run folder; made if need be.
        hardware: What to train on. With several processes each of them calls this, under torchrun.
        on_progress: Called a few times per second.
        tell: Takes lines for the user: where it goes on, what the method notes.
        tensorboard: Also write what TensorBoard reads.
        build: Makes dataset and method; the default takes them from the registries.

    Raises:
        UserError: Settings that do not fit the folder, data or devices; no space; no memory; a loss that is not
            finite; another process at the same run.
        TrainingStoppedError: Asked to stop; a checkpoint was written.
    """
    check_hardware(hardware, config.training)
    check_config(folder, config)
    if (finished := _finished(config, folder)) is not None:
        return finished
    with ExitStack() as stack:
        fabric = open_fabric(hardware, config.training)
        stack.enter_context(reproducible(config.training.deterministic))
        stack.enter_context(explained_errors(config.training))
        parts = build(config)
        session = Session(fabric, parts.method, config.training)
        if fabric.is_global_zero:  # nothing was written so far: what cannot be built leaves no run behind
            if parts.grid is not None and config.training.sample_images and not checkpoint_paths(folder):
                parts.grid(
                    session.method, session.place
                )  # test images that cannot serve show now, not hours later
            with disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(only_trainer(folder))
            settle_config(folder, config)
        listeners = Listeners(on_progress, tell if fabric.is_global_zero else None, tensorboard)
        return _resume(session, parts, folder, hardware, listeners)


def _finished(config: RunConfig, folder: Path) -> Finished | None:
    """What is there to return if all images have been shown."""
    paths = checkpoint_paths(folder)
    if not paths or int(paths[-1].stem) < config.training.total_images:
        return None
    checkpoint = last_whole_checkpoint(folder)
    if checkpoint is None or checkpoint.images_shown < config.training.total_images:
        return None
    return Finished(folder, checkpoint.path, checkpoint.images_shown, checkpoint.images_shown)


def _resume(
    session: Session, parts: Parts, folder: Path, hardware: Hardware, listeners: Listeners
) -> Finished:
    """From the last whole checkpoint to the end."""
    fabric = session.fabric
    for note in session.notes:
        listeners.say(note)
    checkpoint = last_whole_checkpoint(folder)
    if checkpoint is not None:
        session.load(checkpoint.state, checkpoint.path)
        listeners.say(f"Going on at {session.images_shown:,} images.")
        for path in checkpoint.damaged:
            listeners.say(f"{path}: damaged and put aside; going on from {checkpoint.path.name}.")
    fabric.barrier()  # all have read before the first one tidies up
    began_at = session.images_shown
    if fabric.is_global_zero:
        clear_leftovers(folder, checkpoint.damaged if checkpoint else ())
        cut_stats(folder, began_at)
        cut_samples(folder, began_at)
    checkpoint = None  # its memory is needed
    board = open_tensorboard(folder, began_at, wanted=listeners.tensorboard and fabric.is_global_zero)
    tiny = few_threads(parts.image_size_px)
    with closing(board), tiny, stop_on_signal(alone=fabric.world_size == 1) as stop:
        _all_steps(session, parts, hardware, Record(folder, session, board, listeners.on_progress), stop)
    fabric.barrier()  # the last checkpoint is there for every process
    return Finished(folder, checkpoint_paths(folder)[-1], session.images_shown, began_at)


def _all_steps(session: Session, parts: Parts, hardware: Hardware, record: Record, stop: StopRequest) -> None:
    training, fabric = session.training, session.fabric
    first, total, size = session.images_shown, training.total_images, training.batch_size
    counters = SharedCounters(first, total, size, fabric.global_rank, fabric.world_size)
    workers = hardware.loading_processes(parts.image_size_px)
    on_gpu = fabric.device.type == "cuda"
    for source, target in batches(parts.shown, counters, workers=workers, pin_memory=on_gpu):
        session.step(source, target)
        line_due = _due(training.log_images, session)
        if line_due:
            record.line()
        if parts.grid is not None and _due(training.sample_images, session):
            record.draw(parts.grid)
        stopping = _agreed(stop, fabric, asking=line_due)
        if stopping or session.images_shown == total or _due(training.checkpoint_images, session):
            record.checkpoint()
        record.progress()
        if stopping and session.images_shown < total:
            raise TrainingStoppedError(
                f"Stopped at {session.images_shown:,} of {total:,} images, which are kept; run the same command to "
                "go on."
            )


def _due(every: int, session: Session) -> bool:
    """Whether the last step came to, or past, a multiple of `every`; the last step of all is always due."""
    shown, size = session.images_shown, session.training.batch_size
    return bool(every) and (
        shown // every > (shown - size) // every or shown >= session.training.total_images
    )


def _agreed(stop: StopRequest, fabric: Fabric, *, asking: bool) -> bool:
    """Whether to stop: at once if alone; several processes agree when they write a line, since asking takes time."""
    if fabric.world_size == 1:
        return stop.requested
    if not asking:
        return False
    return bool(fabric.all_reduce(torch.tensor(float(stop.requested), device=fabric.device), reduce_op="sum"))
