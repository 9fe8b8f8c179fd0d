"""A stand-in for the published VGG-16 file: seeded random weights where torch.hub looks for it."""

from pathlib import Path

import torch
from torchvision.models import vgg16


def plant_vgg16(torch_home: Path, seed: int = 0) -> Path:
    """Write every key of the real file in its real shape; set TORCH_HOME to this folder to have it found.

    The convolutions are drawn. The classifier, most of the real 528 MB, is one zero seen in the shape it should have.
    """
    with torch.device("meta"):
        state = vgg16().state_dict()
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in state.items():
        if name.startswith("features"):
            fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
            scale = (2 / fan_in) ** 0.5 if tensor.dim() > 1 else 0.05
            state[name] = torch.randn(tensor.shape, generator=generator) * scale
        else:
            state[name] = torch.zeros(1).expand(tensor.shape)
    path = torch_home / "hub" / "checkpoints" / "vgg16-397923af.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path
