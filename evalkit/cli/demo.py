"""`evalkit demo`: a whole study on made-up images, from nothing to a report and a running study."""

import shutil
from pathlib import Path

import click

from evalkit.cli.messages import say
from evalkit.cli.numbers import run_report
from evalkit.cli.study_build import build_study
from evalkit.cli.study_init import create_study
from evalkit.cli.study_serve import serve_study
from evalkit.cli.study_simulate import run_simulation
from studies.errors import UserError
from studies.presets import load_preset
from webapp.config import server_config

MARK = ".evalkit-demo"
FACADES, TEST_FACADES, SIZE_PX, SEED = 216, 116, 96, 2017


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--participants",
    type=click.IntRange(2, 1000),
    default=12,
    show_default=True,
    help="Simulated participants per algorithm.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--serve/--no-serve",
    default=True,
    help="Leave the study running in preview mode, or stop after the report.",
)
def demo(folder: Path, participants: int, port: int, serve: bool) -> None:
    """Run a whole study on made-up facades with simulated participants, then leave it running for you to try."""
    _make_room(folder)
    study = folder / "toy-facades"
    say("1/5  Drawing made-up facades, and two baselines that make fakes from their label maps")
    fakes = _draw(folder / "images")
    say("2/5  Setting up the study")
    create_study(
        study,
        load_preset("pix2pix2017"),
        str(folder / "images/facades/test/photos"),
        fakes,
        {"approval": "none: a demonstration", "contact": "nobody: a demonstration"},
        SEED,
        [f"study.participants_per_condition={participants}", "display.pixel_scale=3"],
    )
    say("3/5  Building the stimuli")
    build_study(study)
    say(
        f"4/5  {2 * participants} simulated participants take part over HTTP (they judge pixels; they are not people)"
    )
    run_simulation(study, None, "seeing", (), SEED, replace=False)
    say("5/5  Estimates and report")
    report = run_report(study, "simulated")
    say("")
    say(f"The report:  {report.resolve()}")
    say("             SIMULATED participants: it shows how a report looks, and says nothing about people.")
    if not serve:
        click.echo(report)
        return
    say("Now take part yourself (preview: nothing is counted):")
    _serve_preview(study, port)


def _make_room(folder: Path) -> None:
    """Remove the folder of an earlier demo; never anything else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise UserError(
                f"{folder}: exists and is not an earlier demo. Choose another place with --folder."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _draw(folder: Path) -> list[str]:
    """Real photos, label maps and two image sets of fakes; returns the --fake arguments."""
    from generators.baselines import write_mean_colour, write_nearest_patches
    from generators.toy_facades import write_toy_facades

    write_toy_facades(folder / "facades", FACADES, SIZE_PX, SEED, n_test=TEST_FACADES)
    train, labels = folder / "facades/train", folder / "facades/test/labels"
    write_mean_colour(train / "labels", train / "photos", labels, folder / "mean_colour")
    write_nearest_patches(train / "labels", train / "photos", labels, folder / "nearest_patches")
    return [f"{name}={folder / name}" for name in ("mean_colour", "nearest_patches")]


def _serve_preview(study: Path, port: int) -> None:
    from evalkit.cli.server import check_port, free_port

    try:
        check_port("127.0.0.1", port)
    except UserError:
        port = free_port()
    serve_study(server_config(study, "preview"), ("127.0.0.1", port))
