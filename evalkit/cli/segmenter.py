"""`evalkit segmenter`: train the network of FCN-scores on labelled photos, and see how far it can be trusted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from evalkit.cli.messages import progress_bar, say, warn
from studies.errors import UserError

if TYPE_CHECKING:
    from evalkit.metrics.label_maps import Classes
    from evalkit.metrics.segmenters import Segmenter
    from generators.segmenter import Row

_NEAR_CHANCE = 0.05


@click.group()
def segmenter() -> None:
    """Train the network that FCN-scores ask, and verify it on real photos."""


@segmenter.command()
@click.option("--images", required=True, metavar="DIR", help="Real photos, none of those to be scored.")
@click.option("--labels", required=True, metavar="DIR", help="Their label maps, of the same names.")
@click.option(
    "--classes",
    metavar="FILE",
    help="classes.json, or `cityscapes`; found beside the label maps if not given.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the segmenter; again: goes on."
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, e.g. total_images=4000, height_px=128, architecture=fcn_resnet50; repeatable.",
)
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU if there is one.",
)
@click.option("--workers", type=click.IntRange(0), help="Processes that load photos; chosen if not given.")
@click.option("--dry-run", is_flag=True, help="Print the whole config; write nothing.")
def train(
    images: str,
    labels: str,
    classes: str | None,
    out: Path,
    assignments: tuple[str, ...],
    accelerator: Literal["auto", "cpu", "cuda"],
    workers: int | None,
    dry_run: bool,
) -> None:
    """Train an FCN on labelled photos; the same command again goes on where it stopped.

    A tenth of the photos is held out to score it. Photos are resized to height_px x width_px, in training and whenever
    the segmenter is used: choose the size at which generators will be scored.
    """
    from evalkit.cli.train import training_bar
    from generators.config import to_dict
    from generators.segmenter import segmenter_config, train_segmenter
    from generators.training_loop import Hardware, check_hardware

    known = _classes(classes, labels)
    config = segmenter_config(images, labels, known, assignments)
    hardware = Hardware(accelerator=accelerator, workers=workers)
    check_hardware(hardware, config.training)
    if dry_run:
        click.echo(json.dumps(to_dict(config), indent=2))
        return
    try:
        with training_bar(out.name) as show:
            trained = train_segmenter(config, known, out, hardware, show, tell=say)
    except KeyboardInterrupt:
        raise UserError("Stopped; run the same command to go on from the last checkpoint.") from None
    if trained.resumed_at == config.training.total_images:
        say(f"{out}: finished already.")
    told = ", ".join(f"{_TITLES[key]} {value:.3f}" for key, value in trained.validation.items())
    say(f"Trained on {trained.n_train} photos; on the {trained.n_validation} held out: {told}.")
    say(
        f"Now verify it on photos that it has never seen: evalkit segmenter verify {out} --images ... --labels ..."
    )
    click.echo(str(out))


@segmenter.command()
@click.argument("folder", metavar="SEGMENTER")
@click.option("--images", required=True, metavar="DIR", help="Real photos that it was not trained on.")
@click.option("--labels", required=True, metavar="DIR", help="Their label maps.")
@click.option(
    "--absent",
    type=click.Choice(["zero", "skip"]),
    default="zero",
    show_default=True,
    help="Classes that no label has: count as 0, as in pix2pix, or not at all.",
)
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where.",
)
def verify(folder: str, images: str, labels: str, absent: Literal["zero", "skip"], accelerator: str) -> None:
    """Score real photos: the ceiling of FCN-scores, and what blur and wrong labels make of it."""
    from evalkit.metrics.pictures import picture_set
    from evalkit.metrics.segmenters import ceiling_note, open_segmenter
    from generators.segmenter import verify as verified

    found = open_segmenter(Path(folder).expanduser())
    photos = picture_set(images)
    for line in ceiling_note(found, photos):
        warn(f"{images}: {line}.")
    with progress_bar("Verifying") as advance:
        rows = verified(found, images, labels, device=accelerator, absent=absent, on_progress=advance)
    _show(found, rows, len(photos), absent)
    for line in _complaints(rows):
        warn(line)


_TITLES = {
    "fcn_pixel_accuracy": "per-pixel accuracy",
    "fcn_class_accuracy": "per-class accuracy",
    "fcn_class_iou": "class IoU",
}


def _classes(told: str | None, labels: str) -> "Classes":
    from evalkit.metrics.label_maps import classes_beside, open_classes

    if told is not None:
        return open_classes(told)
    found = classes_beside(labels)
    if found is None:
        raise UserError(
            f"{labels}: no classes.json there or in the two folders above. Give --classes FILE, or --classes cityscapes."
        )
    say(f"Classes from {found.title}: {', '.join(found.names)}.")
    return found


def _show(found: "Segmenter", rows: Sequence["Row"], n_photos: int, absent: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(_table(f"Segmenter {found.name} on {n_photos:,} real photos (absent classes: {absent})", "photos", [
        (row.title, (row.found.pixel_accuracy, row.found.class_accuracy, row.found.class_iou)) for row in rows
    ], list(_TITLES.values())))  # fmt: skip
    table = Table(title="Real photos, class by class", title_justify="left")
    for heading in ("class", "pixels", "accuracy", "IoU"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    first = rows[0]
    for name, pixels, accuracy, iou in zip(
        found.classes.names, first.pixels_by_class, first.found.accuracies, first.found.ious, strict=True
    ):
        table.add_row(escape(name), f"{pixels:,}", _number(accuracy), _number(iou))
    console.print(table)


def _table(
    title: str, first: str, rows: Sequence[tuple[str, tuple[Any, ...]]], headings: Sequence[str]
) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, numbers in rows:
        table.add_row(name, *map(_number, numbers))
    return table


def _number(value: Any) -> str:
    return "–" if value != value else f"{float(value):.3f}"


def _complaints(rows: Sequence["Row"]) -> list[str]:
    """What makes such a segmenter useless for scoring."""
    real, blurred, shuffled = rows[0].found, rows[1].found, rows[-1].found
    lines = []
    if not real.class_iou > shuffled.class_iou + _NEAR_CHANCE:
        lines.append(
            f"on real photos class IoU is {real.class_iou:.3f}, by chance {shuffled.class_iou:.3f}: it does not see what is in "
            "the photos, so FCN-scores by it say nothing. Check --labels, the size of the photos (trained at another one?), "
            "or train longer."
        )
    elif not blurred.class_iou < real.class_iou:
        lines.append(
            "blurred photos score no worse than sharp ones, so FCN-scores by it will not see missing detail."
        )
    return lines
