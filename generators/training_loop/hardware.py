"""Device, precision and processes, by Lightning Fabric; how long runs stay reproducible on them."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from generators.config import TrainingSettings
from generators.training_loop.allocator import keep_freed_memory
from studies.errors import UserError

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed", "64-true"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
    "fp64": "64-true",
}


@dataclass(frozen=True)
class Hardware:
    """What a run is trained on; not part of its config, since it changes speed only."""

    devices: int = 1
    """Processes on this machine, one per GPU (or so many on the CPU)."""
    nodes: int = 1
    """Machines; all see the same run folder."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """auto: CUDA where there is a GPU, else the CPU."""
    workers: int | None = None
    """Processes that load images, per device; None: none for small images, else a few."""

    @property
    def processes(self) -> int:
        """All training processes together."""
        return self.devices * self.nodes

    @property
    def device_type(self) -> str:
        """`cuda` or `cpu`."""
        if self.accelerator == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        return self.accelerator

    def loading_processes(self, image_size_px: int) -> int:
        """`workers`, or a choice by the size of the images."""
        if self.workers is not None:
            return self.workers
        if image_size_px <= _SMALL_PX:
            return 0
        return min(4, max(1, (os.cpu_count() or 1) // self.devices - 1))


_SMALL_PX = 128
"""Up to this side an image is decoded faster than it is handed over between processes."""


_TINY_PX = 64


@contextmanager
def few_threads(image_size_px: int) -> Iterator[None]:
    """One thread of torch for images of up to 64 px (0: size unknown), on a CPU.

    Their convolutions take microseconds: two threads gain a fifth on idle cores, and where another program wants a core
    they wait for each other, ten times slower (benchmarks/README.md).
    """
    before = torch.get_num_threads()
    if 0 < image_size_px <= _TINY_PX:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_hardware(hardware: Hardware, training: TrainingSettings) -> None:
    """Hold the devices against the settings.

    Raises:
        UserError: Lengths that do not go together, a batch that cannot be shared out, devices that are not there, or
            a precision they do not have.
    """
    if not training.total_images:
        raise UserError("total_images=0: at least one batch is needed.")
    if training.decay_images > training.total_images:
        raise UserError(
            f"decay_images={training.decay_images} is more than total_images={training.total_images}: the learning rate "
            f"would begin near zero. Set decay_images as well, for example to {training.total_images // 2}."
        )
    if training.batch_size < 1 or training.total_images % training.batch_size:
        whole = training.total_images // max(training.batch_size, 1) * training.batch_size
        raise UserError(
            f"batch_size={training.batch_size}: total_images={training.total_images} is no whole number of batches. "
            f"For example total_images={whole or training.batch_size}."
        )
    if training.batch_size % hardware.processes:
        raise UserError(
            f"batch_size={training.batch_size} is shared by {hardware.processes} devices in equal parts: "
            f"set a multiple of {hardware.processes}, or use fewer devices."
        )
    check_devices(hardware)
    if hardware.device_type == "cpu" and training.precision == "fp16":
        raise UserError("precision=fp16 needs a GPU. On the CPU use precision=bf16 or fp32.")


def check_devices(hardware: Hardware) -> None:
    """Raises UserError where this machine has fewer GPUs than asked for."""
    there = torch.cuda.device_count()
    if hardware.device_type == "cuda" and hardware.devices > there:
        raise UserError(
            f"--devices {hardware.devices}: this machine has {there} CUDA devices. --accelerator cpu uses the CPU."
        )


def open_fabric(hardware: Hardware, training: TrainingSettings) -> Fabric:
    """This process's Fabric; with several processes, joined to the others (torchrun has started them)."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banners are not news
    if hardware.device_type == "cpu":
        keep_freed_memory()
    several = hardware.processes > 1
    if several and not inside_torchrun():
        raise RuntimeError("several processes are started by run_in_processes")
    fabric = Fabric(
        accelerator=hardware.device_type,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy="ddp" if several else "auto",
        precision=_PRECISIONS[training.precision],
        plugins=[TorchElasticEnvironment() if several else LightningEnvironment()],
    )
    fabric.launch()
    return fabric


def inside_torchrun() -> bool:
    """Whether torchrun has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def run_in_processes(hardware: Hardware, command: Sequence[str], node_rank: int = 0, master: str = "") -> int:
    """Run `python -m command...` once per device under torchrun; 0, or 1 if a process failed.

    Args:
        hardware: How many processes and machines.
        command: Module and arguments.
        node_rank: Number of this machine, 0 for the first.
        master: HOST:PORT of the first machine; needed with several.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    host, _, port = master.rpartition(":")
    meeting = (
        ["--node-rank", str(node_rank), "--master-addr", host, "--master-port", port]
        if hardware.nodes > 1
        else ["--standalone"]
    )
    counts = ["--nproc-per-node", str(hardware.devices), "--nnodes", str(hardware.nodes)]
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("torch.distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the process that failed has said why
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // hardware.devices)))
    try:
        run(parse_args([*counts, *meeting, "-m", *command]))  # type: ignore[no-untyped-call]  # torch's, without types
    except (ChildFailedError, SignalException, KeyboardInterrupt):
        return 1
    return 0


_FILL = "fill_uninitialized_memory"
"""Property of torch.utils.deterministic that type checkers do not see."""


@contextmanager
def reproducible(deterministic: bool) -> Iterator[None]:
    """Deterministic algorithms, if asked for; switches and random state are afterwards what they were."""
    random_state = torch.get_rng_state()
    filling = torch.utils.deterministic
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = getattr(filling, _FILL)
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    try:
        torch.backends.cudnn.benchmark = not deterministic
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
            torch.use_deterministic_algorithms(True, warn_only=True)
            setattr(filling, _FILL, False)  # a debugging aid that costs time
            torch.backends.cudnn.deterministic = True
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        setattr(filling, _FILL, filled)
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.set_rng_state(random_state)
