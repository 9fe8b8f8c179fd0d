"""Seconds per stylised image: one pass through the network against optimisation over pixels, from the same losses.

    python -m benchmarks.stylisation --style PATH [--content PATH] [--run RUN] [--iterations 100,300,500]
        [--size-px 256] [--device cpu|cuda] [--random-weights]

Johnson et al. 2016, Table 1, is what it stands beside. Without --run the network is untrained, and with
--random-weights VGG-16 is not the published one: times are then valid, images and objectives are not, and it says so.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.models import vgg16

from generators.methods.perceptual import Perceptual, PerceptualSettings
from generators.methods.perceptual_objective import PerceptualObjective, read_style
from generators.pixel_optimisation import optimise_pixels
from generators.runs import load_run
from studies.errors import UserError

FORWARD_PASSES = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--style", default="")
    parser.add_argument("--content", default="")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--iterations", default="100,300,500")
    parser.add_argument("--size-px", type=int, default=256)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--random-weights", action="store_true")
    options = parser.parse_args()
    milestones = sorted(int(part) for part in options.iterations.split(","))
    with tempfile.TemporaryDirectory() as folder:
        if options.random_weights:
            plant_random_vgg16(Path(folder))
        style = options.style or drawn_style(Path(folder))
        try:
            method, trained = chosen_method(options.run, style)
            measure(
                method,
                content(options.content, options.size_px).to(options.device),
                milestones,
                trained=trained,
            )
        except UserError as error:
            sys.exit(str(error))


def chosen_method(run: Path | None, style: str) -> tuple[Perceptual, bool]:
    """The network of a run, or an untrained one, and whether it is trained."""
    if run is None:
        return Perceptual(PerceptualSettings(style_image=style), 3, 3, 256), False
    method = load_run(run).method
    if not isinstance(method, Perceptual):
        raise UserError(f"{run}: not a run of the method perceptual.")
    return method, True


def measure(method: Perceptual, image: Tensor, milestones: list[int], *, trained: bool) -> None:
    """Print the table: seconds, ratio and objective of the network and after so many iterations."""
    method.to(image.device).eval()
    for note in method.notes:
        print(f"{note}: times are valid, images and objectives are not")
    if not trained:
        print("the network is untrained: its time is valid, its image and objective are not")
    height, width = image.shape[-2:]
    print(f"{width} x {height} px, {image.device}, {torch.get_num_threads()} threads")
    seconds, output = forward_seconds(method, image)
    value = objective_value(method.objective, output.clamp(-1, 1), image)
    print(f"  {'network, one pass':24s} {seconds:10.4f} s  {'':10s}  objective {value:.4g}")
    objective_value(method.objective, image, image)  # weights loaded and warm, style targets computed
    for iterations, taken, reached in optimisation_seconds(method.objective, image, milestones):
        ratio = f"{taken / seconds:8,.0f} x"
        print(f"  {f'{iterations} iterations':24s} {taken:10.4f} s  {ratio:10s}  objective {reached:.4g}")


def forward_seconds(method: Perceptual, image: Tensor) -> tuple[float, Tensor]:
    """Median over passes after the first, and the image made."""
    took = []
    with torch.inference_mode():
        for _ in range(1 + FORWARD_PASSES):
            began = clock(image.device)
            output = method.generator(image)
            took.append(clock(image.device) - began)
    return statistics.median(took[1:]), output.clone()


def optimisation_seconds(
    objective: PerceptualObjective, image: Tensor, milestones: list[int]
) -> list[tuple[int, float, float]]:
    """(iterations, seconds, objective) on the way to the last milestone.

    The objective told at an iteration is that of the image before it, so one iteration more is run.
    """
    passed: list[tuple[int, float, float]] = []
    times: dict[int, float] = {}
    began = clock(image.device)

    def on_step(number: int, iteration: int, value: float) -> None:
        del number
        times[iteration] = clock(image.device) - began
        if iteration - 1 in milestones:
            passed.append((iteration - 1, times[iteration - 1], value))

    optimise_pixels(image, objective, milestones[-1] + 1, on_step)
    return passed


def objective_value(objective: PerceptualObjective, image: Tensor, target: Tensor) -> float:
    """The weighted sum."""
    with torch.no_grad():
        return float(sum(value.item() for value in objective(image, target).values()))


def clock(device: torch.device) -> float:
    """The time once everything asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def content(path: str, size_px: int) -> Tensor:
    """The content image in [-1, 1], or smooth random colours."""
    if path:
        return torch.nn.functional.interpolate(
            read_style(Path(path), size_px), (size_px, size_px), mode="bilinear"
        )
    coarse = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size_px, mode="bilinear")


def drawn_style(folder: Path) -> str:
    """Coloured stripes, where no style is given."""
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::16], stripes[::24] = (230, 60, 40), (40, 90, 220)
    path = folder / "stripes.png"
    Image.fromarray(stripes).save(path)
    return str(path)


def plant_random_vgg16(folder: Path) -> None:
    """Weights of seed 0 under the name of the published file, for this process alone."""
    torch.manual_seed(0)
    path = folder / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True)
    network = vgg16()
    network.classifier = torch.nn.Sequential()  # the features need none of it
    torch.save(network.state_dict(), path)
    os.environ["TORCH_HOME"] = str(folder)


if __name__ == "__main__":
    main()
