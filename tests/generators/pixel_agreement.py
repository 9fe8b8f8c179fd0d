"""How well pixels can be told apart by class: a small segmentation network, trained on real photos only."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

STEPS, BATCH = 400, 16


def read_images(folder: Path) -> np.ndarray:
    """(n, height, width, 3) uint8 RGB, in order of names."""
    files = sorted(folder.glob("*.png"))
    assert files, f"no images in {folder}"
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])


def class_maps(labels: np.ndarray) -> np.ndarray:
    """(n, height, width) class numbers of label maps that use a few colours."""
    codes = labels.astype(np.int64) @ np.array([65536, 256, 1])
    return np.unique(codes, return_inverse=True)[1].reshape(codes.shape)


def train_segmenter(photos: np.ndarray, classes: np.ndarray, seed: int) -> nn.Module:
    """A network of four layers that sees 15 x 15 px around each pixel."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for channels, dilation in ((3, 1), (32, 2), (32, 4)):
        layers += [nn.Conv2d(channels, 32, 3, padding=dilation, dilation=dilation), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(32, int(classes.max()) + 1, 1))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(STEPS):
        chosen = torch.randint(len(photos), (BATCH,))
        loss = nn.functional.cross_entropy(
            network(_scaled(photos[chosen.numpy()])), torch.as_tensor(classes[chosen.numpy()])
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@torch.no_grad()
def pixel_agreement(network: nn.Module, images: np.ndarray, classes: np.ndarray) -> float:
    """Share of pixels that the network gives the class of the label map."""
    return float((network(_scaled(images)).argmax(1).numpy() == classes).mean())


def _scaled(images: np.ndarray) -> Tensor:
    return torch.as_tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1
