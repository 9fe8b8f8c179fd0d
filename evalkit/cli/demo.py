"""`evalkit demo`: a loss ablation, its metrics and its study on made-up images, from nothing to a report and a running study."""

import shutil
from pathlib import Path

import click

from evalkit.cli.messages import say
from evalkit.cli.numbers import run_report
from evalkit.cli.study_build import build_study
from evalkit.cli.study_init import create_study, images_of_ablation, labels_of_ablation
from evalkit.cli.study_serve import serve_study
from evalkit.cli.study_simulate import run_simulation
from studies.errors import UserError
from studies.presets import load_preset
from webapp.config import server_config

MARK = ".evalkit-demo"
FACADES, TEST_FACADES, SIZE_PX, SEED = 316, 116, 64, 2017
WITH_DRAWN_WEIGHTS = ("fid", "lpips_alex", "input_sensitivity_lpips")
"""What the demo shows with drawn weights where there are no pretrained ones; the rest waits for them."""
LOSSES = ("l1", "gan", "cgan", "l1_cgan")


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("demo"), show_default=True)
@click.option(
    "--participants",
    type=click.IntRange(2, 1000),
    default=8,
    show_default=True,
    help="Simulated participants per algorithm.",
)
@click.option(
    "--images-per-loss",
    type=click.IntRange(4),
    default=2000,
    show_default=True,
    help="Images that each generator is shown in training, a multiple of 4.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option(
    "--serve/--no-serve",
    default=True,
    help="Leave the study running in preview mode, or stop after the report.",
)
def demo(folder: Path, participants: int, images_per_loss: int, port: int, serve: bool) -> None:
    """Train four losses on made-up facades, run a whole study with simulated participants, leave it running for you."""
    _make_room(folder)
    study, ablation = folder / "toy-facades", folder / "ablation"
    say(f"1/6  Training {len(LOSSES)} small generators on made-up facades, one per loss")
    _train(folder / "facades", ablation, images_per_loss)
    say("2/6  Setting up the study")
    real, fakes, target = images_of_ablation(ablation)
    create_study(
        study,
        load_preset("pix2pix2017"),
        real,
        fakes,
        {"approval": "none: a demonstration", "contact": "nobody: a demonstration"},
        SEED,
        [
            *target,
            *labels_of_ablation(ablation, study),
            "metrics.segmenter=../segmenter",
            f"study.participants_per_condition={participants}",
            "display.pixel_scale=4",
        ],
    )
    say("3/6  Building the stimuli")
    build_study(study)
    say("4/6  Metrics on the same images, FCN-scores by a small segmenter trained on real facades")
    _score(folder, study)
    people = len(LOSSES) * participants
    say(f"5/6  {people} simulated participants take part over HTTP (they judge pixels; they are not people)")
    run_simulation(study, None, "seeing", (), SEED, replace=False)
    say("6/6  Estimates and report")
    report = run_report(study, "simulated")
    say("")
    say(f"The ablation: {(ablation / 'index.html').resolve()}")
    say(f"The report:   {report.resolve()}")
    say("              SIMULATED participants: it shows how a report looks, and says nothing about people.")
    if not serve:
        click.echo(report)
        return
    say("Now take part yourself (preview: nothing is counted):")
    _serve_preview(study, port)


def _make_room(folder: Path) -> None:
    """Remove the folder of an earlier demo; never anything else."""
    if folder.is_file():
        raise UserError(f"{folder}: is a file. Choose another place with --folder.")
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise UserError(
                f"{folder}: exists and is not an earlier demo. Choose another place with --folder."
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _train(facades: Path, ablation: Path, images: int) -> None:
    """Draw the facades, train one generator per loss, translate the held-out label maps."""
    from evalkit.cli.ablate import ablation_bars
    from generators.ablation import ablate
    from generators.presets import new_run
    from generators.toy_facades import write_toy_facades

    write_toy_facades(facades, FACADES, SIZE_PX, SEED, n_test=TEST_FACADES)
    with ablation_bars() as show:
        ablate(
            new_run("pix2pix_toy_facades", str(facades), [f"total_images={images}"]),
            LOSSES,
            1,
            ablation,
            show,
        )


def _score(folder: Path, study: Path) -> None:
    """Train the segmenter, then score: with pretrained weights as far as they are here, else with drawn ones, so marked."""
    from evalkit.cli.metrics import compute
    from evalkit.cli.metrics_inputs import Asked, open_task
    from evalkit.cli.train import training_bar
    from generators.segmenter.toy import train_toy_segmenter

    with training_bar("segmenter") as show:
        train_toy_segmenter(folder / "facades", folder / "segmenter", show, size_px=SIZE_PX)
    for keys, seed in quantities_by_weights():
        asked = Asked(
            (str(study),),
            ",".join(keys),
            random_weights=seed,
            cache=folder / "metrics.sqlite",
            accelerator="cpu",
        )
        if seed is not None:
            say(
                f"     Pretrained weights are not here (`evalkit weights`): drawn ones for {', '.join(keys)}, so marked."
            )
        compute(open_task(asked), asked)


def quantities_by_weights() -> list[tuple[list[str], int | None]]:
    """What can be computed honestly, then what needs weights that are not here, with the seed of those to be drawn."""
    from evalkit.metrics import METRICS
    from evalkit.metrics.scoring import chosen
    from evalkit.metrics.weights import is_there

    honest: list[str] = []
    drawn: list[str] = []
    for name, keys in chosen(tuple(METRICS)).items():
        for key in keys:
            if all(is_there(weights) for weights in METRICS[name].weights((key,))):
                honest.append(key)
            elif key in WITH_DRAWN_WEIGHTS:
                drawn.append(key)
    return [(honest, None), *([(drawn, SEED)] if drawn else [])]


def _serve_preview(study: Path, port: int) -> None:
    from evalkit.cli.server import check_port, free_port

    try:
        check_port("127.0.0.1", port)
    except UserError:
        port = free_port()
    serve_study(server_config(study, "preview"), ("127.0.0.1", port))
