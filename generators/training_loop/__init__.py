"""The one training loop: device, precision, several processes, resume, log, checkpoints; it never asks which method.

Everything random is a function of the seed and of how many images have been shown: the k-th image shown, its jitter,
and (each step seeds PyTorch's generators anew) dropout and noise. So a run that was interrupted is, bit for bit on
one device, the run that was not.
"""

from generators.training_loop.estimate import Estimate, estimate
from generators.training_loop.hardware import (
    Hardware,
    check_devices,
    check_hardware,
    few_threads,
    inside_torchrun,
    run_in_processes,
)
from generators.training_loop.loop import Finished, train
from generators.training_loop.parts import Grid, Parts, build_parts
from generators.training_loop.record import Progress
from generators.training_loop.stopping import TrainingStoppedError

__all__ = [
    "Estimate",
    "Finished",
    "Grid",
    "Hardware",
    "Parts",
    "Progress",
    "TrainingStoppedError",
    "build_parts",
    "check_devices",
    "check_hardware",
    "estimate",
    "few_threads",
    "inside_torchrun",
    "run_in_processes",
    "train",
]
