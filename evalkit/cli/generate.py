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
    backward: bool,
    seed: int,
    **reference: Any,
) -> None:
    """Translate images with the last checkpoint of RUN: a folder of `evalkit train`, or latest_net_G.pth of the
    reference PyTorch code (its train_opt.txt is read if it lies beside; else the options below, or the weights,
    tell what network it is).
    """
    from generators.sample import Inference, ReferenceOptions
    from generators.sample import generate as generate_images

    inference = Inference(dropout, normalisation, backward, seed)
    with progress_bar("Generating") as advance:
        generate_images(run, inputs, out, inference, advance, flags=ReferenceOptions(**reference))
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for note in manifest["notes"]:
        say(f"  {note}")
    shown = manifest["checkpoint"]["images_shown"]
    say(
        f"{len(manifest['images'])} images by {manifest['generator']}"
        + (f" after {shown:,} training images (the last checkpoint)." if shown is not None else ".")
    )
    click.echo(out)
