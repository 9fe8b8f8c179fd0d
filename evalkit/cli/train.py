"""`evalkit train`: start a training run, or go on with one."""

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from evalkit.cli.messages import duration, is_first_process, say, telling_bar
from studies.errors import UserError

if TYPE_CHECKING:
    from generators.config import RunConfig
    from generators.training_loop import Hardware, Progress

_PEER_WAIT_S = 3.0
_MOST_LOSSES = 4


def _show_presets(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """`--presets`: what there is to train, then stop."""
    if not wanted:
        return
    from generators.presets import ABOUT

    for name, about in ABOUT.items():
        click.echo(click.style(name, bold=True))
        click.echo(click.wrap_text(about, 100, initial_indent="    ", subsequent_indent="    "))
    context.exit()


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--preset", metavar="NAME", help="What to train, for example pix2pix_facades.")
@click.option(
    "--presets",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_presets,
    help="List the presets with their sources, and stop.",
)
@click.option("--data", help="The dataset: a folder, or a name that `evalkit data list` shows.")
@click.option("--out", type=click.Path(path_type=Path), help="The run folder.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, e.g. total_images=400; repeatable.",
)
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs on each machine.")
@click.option(
    "--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines, sharing the folder."
)
@click.option("--node-rank", type=click.IntRange(0), default=0, help="Number of this machine, from 0.")
@click.option(
    "--master", metavar="HOST:PORT", default="", help="Where the machines meet: an address of machine 0."
)
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU if there is one.",
)
@click.option(
    "--workers", type=click.IntRange(0), help="Processes per device that load images; chosen if not given."
)
@click.option("--tensorboard", is_flag=True, help="Also write FOLDER/tensorboard.")
@click.option(
    "--dry-run", is_flag=True, help="Print the whole config and how long it will take; write nothing."
)
def train(
    folder: Path | None,
    preset: str | None,
    data: str | None,
    out: Path | None,
    assignments: tuple[str, ...],
    devices: int,
    nodes: int,
    node_rank: int,
    master: str,
    accelerator: Literal["auto", "cpu", "cuda"],
    workers: int | None,
    tensorboard: bool,
    dry_run: bool,
) -> None:
    """Train a generator: `--preset NAME --data PATH --out FOLDER` begins, the same again or FOLDER alone goes on.

    In the folder of a run, `--set total_images=N` makes it longer (not where the learning rate falls
    to zero).
    """
    from generators.training_loop import Hardware, check_hardware, inside_torchrun

    if nodes > 1 and ":" not in master and not inside_torchrun():
        raise click.UsageError("--nodes needs --master HOST:PORT, the same on every machine.")
    if node_rank >= nodes:
        raise click.UsageError(f"--node-rank {node_rank}: machines are numbered from 0 to {nodes - 1}.")
    if folder is not None and (preset or data or out):
        raise click.UsageError("FOLDER goes on with a run; --preset, --data and --out begin one.")
    hardware = Hardware(devices, nodes, accelerator, workers)
    asked = _run_there(folder, assignments) if folder else _new_run(preset, data, out, assignments)
    check_hardware(hardware, asked.config.training)
    if dry_run:
        _show_estimate(asked.config, hardware)
        return
    if folder is not None and assignments:
        _keep(asked)
    if hardware.processes > 1 and not inside_torchrun():
        sys.exit(_in_processes(asked, hardware, node_rank, master, tensorboard=tensorboard))
    else:
        with _first_process_speaks():
            _train_here(asked, hardware, tensorboard=tensorboard)


@dataclass(frozen=True)
class _Asked:
    """The run that a command is about."""

    folder: Path
    config: "RunConfig"
    words: list[str]
    """Those of the command that name it."""


def _new_run(preset: str | None, data: str | None, out: Path | None, assignments: tuple[str, ...]) -> _Asked:
    from generators.presets import new_run

    if preset is None or data is None or out is None:
        raise click.UsageError("--preset, --data and --out begin a run; a run's FOLDER goes on with it.")
    config = new_run(preset, data, assignments)
    words = ["--preset", preset, "--data", config.location, "--out", str(out)]
    return _Asked(out, config, words + [word for one in assignments for word in ("--set", one)])


def _run_there(folder: Path, assignments: tuple[str, ...]) -> _Asked:
    """A run that goes on, perhaps for longer."""
    from generators.runs import extend, read_config

    config = extend(folder, assignments) if assignments else read_config(folder)
    return _Asked(folder, config, [str(folder)])


def _keep(asked: _Asked) -> None:
    """Write the config of a run that is to be longer."""
    from generators.runs import only_trainer, write_config

    with only_trainer(asked.folder):
        write_config(asked.folder, asked.config)


def _in_processes(
    asked: _Asked,
    hardware: "Hardware",
    node_rank: int,
    master: str,
    *,
    tensorboard: bool,
) -> int:
    """One process per device, each with this same command."""
    from generators.runs import check_config
    from generators.training_loop import run_in_processes

    check_config(asked.folder, asked.config)
    command = ["evalkit.cli", "train", *asked.words, "--accelerator", hardware.accelerator]
    command += ["--devices", str(hardware.devices), "--nodes", str(hardware.nodes)]
    command += ["--workers", str(hardware.workers)] if hardware.workers is not None else []
    command += ["--tensorboard"] if tensorboard else []
    return run_in_processes(hardware, command, node_rank, master)


def _train_here(asked: _Asked, hardware: "Hardware", *, tensorboard: bool) -> None:
    from generators.training_loop import train as train_run

    run = asked.folder
    try:
        with training_bar(run.name) as show:
            finished = train_run(asked.config, run, hardware, show, tell=say, tensorboard=tensorboard)
    except KeyboardInterrupt:
        raise UserError("Stopped; run the same command to go on from the last checkpoint.") from None
    if not is_first_process():
        return
    if finished.resumed_at == finished.images_shown:
        say(f"{run}: finished already; all {finished.images_shown:,} images have been shown.")
    click.echo(str(run))


def _show_estimate(config: "RunConfig", hardware: "Hardware") -> None:
    from generators.config import to_dict
    from generators.training_loop import estimate

    say("Timing a few steps; nothing is written.")
    found = estimate(config, hardware)
    click.echo(json.dumps({"config": to_dict(config), "estimate": dataclasses.asdict(found)}, indent=2))
    images = config.training.total_images
    say(
        f"About {duration(found.seconds)} for {images:,} images: {found.seconds_per_image:.3g} s per image on "
        f"{found.device}, {found.steps_timed} steps timed. Without --dry-run the run begins."
    )


@contextmanager
def training_bar(label: str) -> Iterator[Callable[["Progress"], None]]:
    """A bar on stderr with images per second, time left and losses; see `telling_bar`."""
    with telling_bar(label, "starting") as show:
        yield lambda progress: show(progress.images_shown, progress.total_images, _told(progress))


def _told(progress: "Progress") -> str:
    parts = [f"{progress.images_shown:,} of {progress.total_images:,} images"]
    if progress.seconds_left is not None and progress.images_shown < progress.total_images:
        parts.append(f"{progress.images_per_second:.3g} images/s, {duration(progress.seconds_left)} left")
    losses = list(progress.losses.items())[:_MOST_LOSSES]
    parts += [f"{name.rpartition('.')[2]} {value:.3g}" for name, value in losses]
    return "  ".join(parts)


@contextmanager
def _first_process_speaks() -> Iterator[None]:
    """Of several processes that meet the same error, or that lose the one which met it, only the first is heard."""
    from generators.training_loop import TrainingStoppedError

    try:
        yield
    except TrainingStoppedError:
        if not is_first_process():
            sys.exit(1)  # they stop together
        raise
    except (UserError, RuntimeError):
        if not is_first_process():
            time.sleep(_PEER_WAIT_S)  # torchrun ends this process as soon as the first one has failed
        raise
