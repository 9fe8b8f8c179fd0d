"""Images per second of `generate`, decoding and saving beside the network, against the plain loop in turn.

    python -m benchmarks.generation [--network unet|resnet] [--size-px 256] [--images 24] [--repeats 3] [--threads 2]

Both translate the same PNG files with the same weights of seed 0 and without dropout, and their pictures are compared.
They take turns, so that whatever else the machine does falls on both.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from generators.data import open_inputs
from generators.networks import init_weights
from generators.networks.resnet import ResNetGenerator
from generators.networks.unet import UNet
from generators.sample import Inference, ReferenceOptions
from generators.sample.inference import pick_device
from generators.sample.sampling import translate
from generators.sample.translator import open_translator
from generators.toy_facades import draw_facades

DRAWN_PX = 128


def plain_loop(network: nn.Module, inputs: Path, out: Path, size_px: int) -> None:
    """One image after the other: open, resize, translate, save, as a test script does it."""
    device = pick_device()
    network = network.to(device).train()
    out.mkdir(exist_ok=True)
    with torch.no_grad():
        for path in sorted(inputs.iterdir()):
            picture = Image.open(path).convert("RGB").resize((size_px, size_px), Image.Resampling.BICUBIC)
            image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float().div(127.5).sub(1)
            output = network(image[None].to(device))[0].cpu()
            levels = output.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
            Image.fromarray(levels.permute(1, 2, 0).numpy()).save(out / f"{path.stem}.png")


def main() -> None:
    """Print the table."""
    asked = arguments()
    torch.manual_seed(0)
    network: nn.Module = (
        UNet(3, 3, asked.size_px, dropout=False)
        if asked.network == "unet"
        else ResNetGenerator(3, 3, 9 if asked.size_px >= 256 else 6)
    )
    init_weights(network)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = draw_inputs(folder / "inputs", asked.images, 2 * asked.size_px)
        checkpoint = folder / "latest_net_G.pth"
        torch.save(network.state_dict(), checkpoint)
        flags = ReferenceOptions(crop_size_px=asked.size_px, dropout=False)

        translator = open_translator(checkpoint, Inference(), flags)
        examples = open_inputs(str(inputs), translator.data)

        def ours(threads: int) -> None:
            out = folder / f"{threads}"
            translate(translator, examples, out, Inference(), device=pick_device(), threads=threads)

        sides: dict[str, Callable[[], None]] = {
            "plain loop": lambda: plain_loop(network, inputs, folder / "plain", asked.size_px),
            "ours, in turn": lambda: ours(0),
            f"ours, {asked.threads} + {asked.threads} threads": lambda: ours(asked.threads),
        }
        times = measure(sides, asked.repeats)
        apart = largest_difference(folder / "plain", folder / f"{asked.threads}")
    tell(times, asked.images, apart)


def measure(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side, once per round; the first round, which warms up, does not count."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            times[name].append(time.perf_counter() - began)
    return {name: seconds[1:] for name, seconds in times.items()}


def tell(times: dict[str, list[float]], images: int, apart: int) -> None:
    """The table, and by how much the pictures differ."""
    plain = next(iter(times.values()))
    print("| | images/s | of the plain loop |\n|---|---|---|")
    for name, seconds in times.items():
        ratio = statistics.median(mine and theirs / mine for theirs, mine in zip(plain, seconds, strict=True))
        print(f"| {name} | {images / statistics.median(seconds):.2f} | {ratio:.2f} times |")
    print(
        f"\n{images} images, {len(plain)} rounds, {torch.get_num_threads()} threads of torch, {pick_device().type}; "
        f"without reading the checkpoint. Largest difference of a pixel: {apart} of 255."
    )


def draw_inputs(folder: Path, count: int, side_px: int) -> Path:
    """Label maps as PNG files, larger than the network wants them, as photos would be."""
    folder.mkdir()
    for number, (labels, _, _) in enumerate(draw_facades(count, DRAWN_PX, np.random.default_rng(0))):
        labels.resize((side_px, side_px), Image.Resampling.BICUBIC).save(folder / f"{number:04d}.png")
    return folder


def largest_difference(one: Path, other: Path) -> int:
    """Between pixels of equally named pictures."""
    pairs = [(path, other / path.name) for path in sorted(one.glob("*.png"))]
    return max(
        int(np.abs(np.asarray(Image.open(a), int) - np.asarray(Image.open(b), int)).max()) for a, b in pairs
    )


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", choices=["unet", "resnet"], default="unet")
    parser.add_argument("--size-px", type=int, default=256)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
