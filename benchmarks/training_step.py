"""One training step, this project's default against the plainest faithful PyTorch loop of the same networks.

    python -m benchmarks.training_step [--case pix2pix|cyclegan] [--repeats 7] [--size-px 256] [--device cpu|cuda]

The two live in processes of their own, so that each has its own memory, and take turns: one step here, one step there.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch
from torch import Tensor

from benchmarks.plain_loops import plain_cyclegan, plain_pix2pix
from generators.config import TrainingSettings
from generators.methods.base import Method
from generators.methods.cyclegan import CycleGAN, CycleGANSettings
from generators.methods.pix2pix import Pix2Pix, Pix2PixSettings
from generators.training_loop.hardware import Hardware, open_fabric, reproducible
from generators.training_loop.session import Session

Numbers = dict[str, float]
SIDES = ("plain", "default")
CASES = ("pix2pix", "cyclegan")
LEARNING_RATE = 2e-4


@dataclass(frozen=True)
class Case:
    """What is stepped."""

    name: str
    size_px: int = 256
    base_filters: int = 64
    n_blocks: int = 9
    device: str = "cpu"
    precision: str = "fp32"


def build(case: Case) -> Method:
    """The method with weights of seed 0. Without dropout, whose masks depend on the memory layout."""
    torch.manual_seed(0)
    f = case.base_filters
    if case.name == "pix2pix":
        settings = Pix2PixSettings(base_filters=f, discriminator_filters=f, dropout=False)
        return Pix2Pix(settings, 3, 3, case.size_px)
    return CycleGAN(
        CycleGANSettings(base_filters=f, discriminator_filters=f, n_blocks=case.n_blocks), 3, 3, case.size_px
    )


def stepper(
    case: Case, side: str, learning_rate: float = LEARNING_RATE
) -> Callable[[Tensor, Tensor], Numbers]:
    """A function that makes one step and returns its losses."""
    method = build(case)
    if side == "default":
        hardware = Hardware(accelerator="cuda" if case.device == "cuda" else "cpu")
        training = TrainingSettings(precision=case.precision, learning_rate=learning_rate)  # type: ignore[arg-type]  # one of its words
        session = Session(open_fabric(hardware, training), method, training)

        def default_step(source: Tensor, target: Tensor) -> Numbers:
            session.step(source, target)
            return session.log.means()

        return default_step
    method.to(case.device, torch.float64 if case.precision == "fp64" else torch.float32)
    loop = {"pix2pix": plain_pix2pix, "cyclegan": plain_cyclegan}[case.name]
    step = loop(method, learning_rate)  # type: ignore[operator]  # a function of plain_loops

    def plain_step(source: Tensor, target: Tensor) -> Numbers:
        dtype = next(method.parameters()).dtype
        losses = step(source.to(case.device, dtype), target.to(case.device, dtype))
        return {name: loss.item() for name, loss in losses.items()}

    return plain_step


def pair(case: Case, number: int) -> tuple[Tensor, Tensor]:
    """Smooth random images, the same on both sides."""
    generator = torch.Generator().manual_seed(number)
    coarse = torch.rand((2, 1, 3, 8, 8), generator=generator) * 2 - 1
    source, target = (torch.nn.functional.interpolate(one, case.size_px, mode="bilinear") for one in coarse)
    return source, target


def serve(case: Case, side: str, learning_rate: float, line: Connection) -> None:
    """Step whenever a number comes; answer with seconds, losses and peak memory in MB."""
    with reproducible(side == "default"):
        step = stepper(case, side, learning_rate)
        while (number := line.recv()) is not None:
            images = pair(case, number)
            began = time.perf_counter()
            losses = step(*images)  # reads the losses, so nothing is left undone on a GPU
            line.send((time.perf_counter() - began, losses, peak_memory_mb(case.device)))


def peak_memory_mb(device: str) -> float:
    """Of the GPU, or of this process with all its libraries."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


@contextmanager
def both_sides(
    case: Case, learning_rate: float
) -> Iterator[Callable[[str, int], tuple[float, Numbers, float]]]:
    """A process for each side; gives (side, number) -> seconds, losses, peak memory."""
    spawn = multiprocessing.get_context("spawn")
    lines: dict[str, Connection] = {}
    processes = []
    for side in SIDES:
        lines[side], theirs = spawn.Pipe()
        processes.append(spawn.Process(target=serve, args=(case, side, learning_rate, theirs), daemon=True))
        processes[-1].start()
        theirs.close()  # else a side that died would be waited for

    def ask(side: str, number: int) -> tuple[float, Numbers, float]:
        lines[side].send(number)
        answer: tuple[float, Numbers, float] = lines[side].recv()
        return answer

    yield ask
    for line, process in zip(lines.values(), processes, strict=True):
        line.send(None)
        process.join()


def first_losses(case: Case) -> dict[str, Numbers]:
    """Of the first step, all at the first weights.

    The learning rate is 0: a later player's loss would otherwise be taken after Adam's first update, which has full
    length for every weight, even where the gradient is mere rounding.
    """
    with both_sides(case, learning_rate=0) as ask:
        return {side: ask(side, 0)[1] for side in SIDES}


def measure(case: Case, repeats: int) -> None:
    """Print the first step's losses, then seconds per image and peak memory."""
    losses = first_losses(case)
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    memory: Numbers = {}
    with both_sides(case, LEARNING_RATE) as ask:
        for number in range(1 + repeats):  # step 0 warms up
            for side in SIDES if number % 2 else SIDES[::-1]:
                took, _, memory[side] = ask(side, number)
                seconds[side] += [took] if number else []
    show(case, losses, seconds, memory)


def show(case: Case, losses: dict[str, Numbers], seconds: dict[str, list[float]], memory: Numbers) -> None:
    """The table of one case."""
    print(f"\n{case.name}, {case.size_px} px, batch 1, {case.device}, {torch.get_num_threads()} threads")
    plain, default = losses["plain"], losses["default"]
    for name, value in plain.items():
        apart = abs(default[name] - value) / abs(value)
        print(f"  first step {name:28s} {value:.7g} {default[name]:.7g}  {apart:.1e} apart")
    for side in SIDES:
        print(f"  {side:8s} {statistics.median(seconds[side]):8.3f} s per image {memory[side]:8.0f} MB")
    ratios = sorted(one / other for one, other in zip(seconds["plain"], seconds["default"], strict=True))
    print(f"  faster by {statistics.median(ratios):.2f} (pairs from {ratios[0]:.2f} to {ratios[-1]:.2f})")


def main() -> None:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="both by default")
    parser.add_argument("--repeats", type=int, default=7, help="timed pairs of steps")
    parser.add_argument("--size-px", type=int, default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    wanted = parser.parse_args()
    for name in wanted.case or CASES:
        measure(Case(name, wanted.size_px, device=wanted.device), wanted.repeats)


if __name__ == "__main__":
    main()
