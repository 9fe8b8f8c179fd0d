"""What perceptual losses ask of an image: the same for a network that is trained and for pixels that are optimised."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from generators.data.base import ImageRef
from generators.data.pixels import read_pixels, to_tensor
from generators.losses import feature_loss, gram_matrix, pixel_loss, style_loss, total_variation
from generators.methods.base import Losses
from generators.methods.lazy_vgg import LazyVgg
from studies.errors import UserError

Layer = Literal[
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3",
    "relu4_1", "relu4_2", "relu4_3", "relu5_1", "relu5_2", "relu5_3",
]  # fmt: skip

Features = dict[str, Tensor]


@dataclass(frozen=True)
class ObjectiveSettings:
    """Weights of the losses and where they look. Source: Johnson et al. 2016, unless said otherwise.

    The paper's code weighs Caffe's VGG-16 on grey levels of 0 to 255, whose features are larger than those of
    torchvision's by a factor s of about 100: feature losses by s^2, style losses by s^4. So its weights (feature 1,
    style 5, total variation 1e-6) do not carry over; those here are translated.
    """

    feature_weight: float = 1.0
    """Of the feature reconstruction loss. Source: the authors' code (content_weights)."""
    style_weight: float = 5.0
    """Of the style loss, summed over layers.

    Source: own choice. The PyTorch project's example of this method (fast_neural_style) has 1e5 times the feature
    weight on the mean over a Gram matrix; on its sum, as here, that is 24, 6.1, 1.5 and 0.38 at the four layers.
    """
    pixel_weight: float = 0.0
    """Of the pixel loss; 1 with the others at 0 is the paper's baseline. Source: the authors' code."""
    tv_weight: float = 1e-10
    """Of total variation in grey levels. Source: the authors' code, 1e-6, divided by s^2."""
    content_layer: Layer = "relu2_2"
    """Where features are compared. Source: section 4.1 (arXiv v1); the authors' code has relu3_3 by default."""
    style_layers: tuple[Layer, ...] = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
    """Where Gram matrices are compared. Source: section 4.1."""
    style_image: str = ""
    """Path of the image whose style is wanted; needed where style_weight is above 0. Source: the user's choice."""
    style_size_px: int = 256
    """Longer side of the style image when its Gram matrices are taken. Source: the authors' code (style_image_size)."""


class PerceptualObjective(nn.Module):
    """Weighted pixel, feature, style and total variation losses of images against their targets.

    VGG-16 is loaded when a loss first needs it, and is part of no state dict.
    """

    def __init__(self, settings: ObjectiveSettings) -> None:
        """Raises UserError where nothing has a weight, or a style is wanted and no image or layer of it given."""
        super().__init__()
        self.settings = settings
        if not (settings.pixel_weight or settings.feature_weight or settings.style_weight):
            raise UserError(
                "pixel_weight, feature_weight and style_weight are all 0; one of them must be above 0."
            )
        if settings.style_weight and not settings.style_image:
            raise UserError("style_image: none given. --set style_image=PATH, or style_weight=0.")
        if settings.style_weight and not settings.style_layers:
            raise UserError(
                "style_layers: none given. Name at least one, such as relu2_2, or --set style_weight=0."
            )
        self._content = (settings.content_layer,) if settings.feature_weight else ()
        self._styled = settings.style_layers if settings.style_weight else ()
        self.vgg = LazyVgg(tuple(dict.fromkeys(self._content + self._styled)))
        self._style_grams: dict[str, Tensor] = {}

    def forward(self, images: Tensor, targets: Tensor) -> Losses:
        """Weighted terms by name; both NCHW of one shape, [-1, 1] (images may exceed it a little).

        Raises:
            UserError: The VGG-16 weights or the style image are absent or broken.
        """
        features = self.vgg(images) if self.vgg.layers else {}
        with torch.no_grad():
            wanted = self.vgg(targets) if self._content else {}
            grams = self._grams(targets) if self._styled else {}
        # Squares of small differences, and sums over whole images, are too much for half precision.
        with torch.autocast(images.device.type, enabled=False):
            return self._weigh(images.to(targets.dtype), targets, features, wanted, grams)

    def _weigh(
        self, images: Tensor, targets: Tensor, features: Features, wanted: Features, grams: Features
    ) -> Losses:
        own, terms = self.settings, Losses()
        if own.pixel_weight:
            terms["pixel"] = own.pixel_weight * pixel_loss(images, targets)
        for layer in self._content:
            terms["feature"] = own.feature_weight * feature_loss(features[layer], wanted[layer])
        if self._styled:
            distances = [style_loss(features[layer], grams[layer]) for layer in self._styled]
            terms["style"] = own.style_weight * torch.stack(distances).sum()
        if own.tv_weight:
            terms["total_variation"] = own.tv_weight * total_variation(images)
        return terms

    def _grams(self, like: Tensor) -> Features:
        """Of the style image, computed once."""
        if not self._style_grams:
            style = read_style(Path(self.settings.style_image), self.settings.style_size_px)
            with torch.autocast(like.device.type, enabled=False):
                features = self.vgg(style.to(like))
                self._style_grams = {layer: gram_matrix(features[layer]) for layer in self._styled}
        return {layer: gram.to(like) for layer, gram in self._style_grams.items()}


def read_style(path: Path, longer_side_px: int) -> Tensor:
    """The style image, 1 x 3 x H x W in [-1, 1].

    Raises:
        UserError: It is absent or cannot be read, or the size is 0.
    """
    if not path.is_file():
        raise UserError(f"style_image: {path}: no such file. --set style_image=PATH of an image.")
    if longer_side_px < 1:
        raise UserError("style_size_px = 0: at least 1 px is needed.")
    image = Image.fromarray(read_pixels(ImageRef(path), 0))
    scale = longer_side_px / max(image.size)
    size = max(1, round(scale * image.width)), max(1, round(scale * image.height))
    return to_tensor(np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.uint8))[None]
