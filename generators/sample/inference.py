"""How a trained network is run on test images."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@dataclass(frozen=True)
class Inference:
    """The default is that of the paper. Source: Isola et al. 2017, section 3.2 and 3.3 ("Optimization and inference")."""

    dropout: bool = True
    """Dropout stays on: it is the network's noise."""
    normalisation: Literal["batch", "running"] | None = None
    """Batch norm uses the statistics of the test batch, which is one image, or those gathered in training; None: as the
    method says (`Method.test_normalisation`), and of the batch for checkpoints of the reference code."""
    backward: bool = False
    """Translate targets into sources (CycleGAN)."""
    seed: int = 0
    """Settles dropout; an image depends on the checkpoint, its input and the seed, not on its neighbours."""

    def record(self, device: torch.device) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "dropout": self.dropout,
            "normalisation": self.normalisation,
            "batch_size": 1,
            "backward": self.backward,
            "device": device.type,
        }


def set_modes(network: nn.Module, inference: Inference) -> None:
    """Switch every layer that training and testing may treat differently."""
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train(inference.normalisation == "batch")
        elif isinstance(module, _DropoutNd):
            module.train(inference.dropout)


def seed_of(inference: Inference, name: str) -> int:
    """The seed of one image's noise, 63 bits."""
    digest = hashlib.sha256(f"{inference.seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def pick_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
