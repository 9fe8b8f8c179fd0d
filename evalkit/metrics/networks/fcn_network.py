"""Fully convolutional networks for FCN-scores: photo in, class scores per pixel out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evalkit.metrics.base import Array
from evalkit.metrics.networks.pixels import inference, placed, torch_device
from evalkit.metrics.segmenters import Predict, Size, resized
from studies.errors import UserError, did_you_mean

_SMALL_WIDTHS = (16, 32, 64, 128)
STRIDE_PX = 16
"""Images are at least so large on each side."""


class SmallFcn(nn.Module):
    """Some 600,000 weights: four halvings, and the scores of the last three levels added up, as FCN-8s does.

    Source: Long et al. 2015, section 4.2 (scores of pool3 and pool4 fused with the upsampled last ones).
    """

    def __init__(self, n_classes: int, widths: Sequence[int] = _SMALL_WIDTHS) -> None:
        """`n_classes`: scores per pixel."""
        super().__init__()
        inputs = (3, *widths[:-1])
        self.levels = nn.ModuleList(
            _level(before, after) for before, after in zip(inputs, widths, strict=True)
        )
        self.context = nn.Sequential(
            _block(widths[-1], widths[-1], dilation=2), _block(widths[-1], widths[-1], dilation=4)
        )
        self.scores = nn.ModuleList(nn.Conv2d(width, n_classes, 1) for width in widths)

    def forward(self, images: Tensor) -> Tensor:
        """NCHW -> scores (n, classes, height / 2, width / 2)."""
        found = []
        for level in self.levels:
            images = level(images)
            found.append(images)
        found[-1] = self.context(found[-1])
        total: Tensor = self.scores[-1](found[-1])
        for score, features in zip(reversed(self.scores[:-1]), reversed(found[:-1]), strict=True):
            total = enlarged(total, (features.shape[2], features.shape[3])) + score(features)
        return total


class TorchvisionFcn(nn.Module):
    """torchvision's FCN on a dilated ResNet, nothing pretrained."""

    def __init__(self, n_classes: int, depth: int) -> None:
        """`depth`: 50 or 101."""
        super().__init__()
        from torchvision.models import segmentation

        make = {50: segmentation.fcn_resnet50, 101: segmentation.fcn_resnet101}[depth]
        self.network = make(weights=None, weights_backbone=None, num_classes=n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """NCHW -> scores (n, classes, height / 8, width / 8)."""
        features = self.network.backbone(images)["out"]
        scores: Tensor = self.network.classifier(features)
        return scores


ARCHITECTURES = ("fcn_small", "fcn_resnet50", "fcn_resnet101")
"""What `build_network` knows; `fcn_small` trains on a CPU in minutes."""


def build_network(architecture: str, n_classes: int) -> nn.Module:
    """A fresh network, drawn from torch's global generator.

    Raises:
        UserError: No such architecture.
    """
    if architecture not in ARCHITECTURES:
        raise UserError(
            f"segmenter {architecture!r}: no such network.{did_you_mean(architecture, ARCHITECTURES)}"
        )
    if architecture == "fcn_small":
        return SmallFcn(n_classes)
    return TorchvisionFcn(n_classes, int(architecture.removeprefix("fcn_resnet")))


def load_predictor(weights: Path, architecture: str, n_classes: int, size: Size, device: str) -> Predict:
    """A trained network as `segmenters.Predict`.

    Args:
        weights: Its state dict.
        architecture: One of ARCHITECTURES.
        n_classes: That it tells apart.
        size: To which images are resized.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: The weights are damaged, or of another network; or there is no GPU.
    """
    network = build_network(architecture, n_classes)
    try:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (RuntimeError, OSError, EOFError, KeyError, ValueError, AttributeError) as error:
        raise UserError(
            f"{weights}: not the weights of {architecture} with {n_classes} classes ({str(error).partition(chr(10))[0]})."
        ) from error
    place = torch_device(device)
    return predictor(placed(network, place, torch.float32), size, place)


def predictor(network: nn.Module, size: Size, device: torch.device) -> Predict:
    """A network as `segmenters.Predict`: images to `size`, scores to the label's size, then the best class."""
    network = network.to(device).eval()

    def predict(images: Sequence[Array], sizes: Sequence[Size]) -> list[tuple[Array, float]]:
        stack = np.stack([resized(image, size) for image in images])
        with inference(device):
            scores = network(to_input(torch.from_numpy(stack).to(device)))
            # One by one at the label's size: a batch of Cityscapes would not fit.
            maps = [
                enlarged(one[None], wanted)[0].argmax(0).to(torch.uint8).cpu().numpy()
                for one, wanted in zip(scores, sizes, strict=True)
            ]
        return [(found, 0.0) for found in maps]

    return predict


def to_input(images: Tensor) -> Tensor:
    """(n, height, width, 3) uint8 -> NCHW float32 in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float().div(127.5).sub(1)


def enlarged(scores: Tensor, size: Size) -> Tensor:
    """Scores at another size, bilinear."""
    if scores.shape[2:] == tuple(size):
        return scores
    return functional.interpolate(scores, size=tuple(size), mode="bilinear", align_corners=False)


def _level(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_block(before, after, stride=2), _block(after, after))


def _block(before: int, after: int, *, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU(inplace=True))
