"""`evalkit generate`: a trained generator and a folder of inputs -> an image set."""

import json
from pathlib import Path
from typing import Any, Literal

import click

from evalkit.cli.messages import progress_bar, say

NORMS = ("batch", "instance", "none")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--inputs",
    required=True,
    metavar="PATH",
    help="Folder of source images, or a dataset, of which the test split is taken.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the image set; appears when it is whole.",
)
@click.option(
    "--dropout/--no-dropout",
    default=True,
    show_default=True,
    help="Dropout in generating, as in the pix2pix paper.",
)
@click.option(
    "--normalisation",
    type=click.Choice(["batch", "running"]),
    help="Batch norm: statistics of the test batch (one image), or those gathered in training. Default: of the batch, as "
    "in the pix2pix paper; perceptual: of training.",
)
@click.option(
    "--real",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Also write the real images of the same inputs, cut and sized alike: the other side of a study.",
)
@click.option("--backward", is_flag=True, help="Targets into sources (CycleGAN).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Settles dropout.")
@click.option("--network", metavar="NAME", help="Reference checkpoint: unet_256, resnet_9blocks ... (netG).")
@click.option("--norm", type=click.Choice(NORMS), help="Reference checkpoint: norm.")
@click.option("--base-filters", type=click.IntRange(min=1), help="Reference checkpoint: ngf.")
@click.option(
    "--crop-size-px",
    type=click.IntRange(min=1),
    help="Reference checkpoint: side at which inputs are translated.",
)
@click.option(
    "--direction",
    type=click.Choice(["AtoB", "BtoA"]),
    help="Reference checkpoint: which side it was trained from.",
)
def generate(
    run: Path,
    inputs: str,
    out: Path,
    dropout: bool,
    normalisation: Literal["batch", "running"] | None,
    real: Path | None,
    backward: bool,
    seed: int,
    **reference: Any,
) -> None:
    """Translate images with the last checkpoint of RUN: a folder of `evalkit train`, or latest_net_G.pth of the
    reference PyTorch code (its train_opt.txt is read if it lies beside; else the options below, or the weights,
    tell what network it is).
    """
    from generators.sample import Inference, ReferenceOptions, write_reals
    from generators.sample import generate as generate_images

    inference, flags = Inference(dropout, normalisation, backward, seed), ReferenceOptions(**reference)
    if real is not None:  # first: it finds out whether there are any
        write_reals(run, inputs, real, inference, flags=flags)
        say(f"{real}: the real images of the inputs")
    if out.exists():
        say(f"{out}: the images of this run that are there are made anew.")
    with progress_bar("Generating") as advance:
        generate_images(run, inputs, out, inference, advance, flags=flags)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for note in manifest["notes"]:
        say(f"  {note}")
    say(_summary(manifest, out))
    click.echo(out)


def _summary(manifest: dict[str, Any], out: Path) -> str:
    """What was made of what, in one line."""
    from PIL import Image

    images, shown = manifest["images"], manifest["checkpoint"]["images_shown"]
    with Image.open(out / images[0]["file"]) as first:
        size = f"{first.width} x {first.height} px"
    parts = [f"{len(images)} images of {size} by {manifest['generator']}"]
    if manifest["inference"]["backward"]:
        parts.append("translated backward")
    if shown is not None:
        parts.append(f"after {shown:,} training images (the last checkpoint)")
    if manifest["held_out"]:
        parts.append("of the inputs held out of training")
    return ", ".join(parts) + "."
