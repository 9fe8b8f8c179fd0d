"""VGG-16 for the losses that compare features, loaded when it is first asked for."""

import torch
from torch import Tensor, nn

from generators.networks.vgg import Vgg16Features, load_vgg16


class LazyVgg(nn.Module):
    """Frozen VGG-16 features; a method that only generates never needs the weights.

    No part of it is in a state dict, and nothing of it can be optimised.
    """

    def __init__(self, layers: tuple[str, ...]) -> None:
        """`layers` as in `Vgg16Features`; none at all: nothing is ever loaded."""
        super().__init__()
        self.layers = layers
        self._features: Vgg16Features | None = None

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Features by layer of images NCHW in [-1, 1], in float32 (float64 for float64 images).

        Raises:
            UserError: The weights are absent; says which file, where it is looked for and how to bring it.
        """
        # Under autocast images may be of half precision: the weights stay whole, and so do the features.
        dtype = torch.promote_types(images.dtype, torch.float32)
        features = self._load().to(images.device, dtype)(images)
        return {layer: values.to(dtype) for layer, values in features.items()}

    @property
    def notes(self) -> tuple[str, ...]:
        """Says so where the weights are not the published ones. Raises as `forward`."""
        if not self.layers:
            return ()
        note = self._load().weights_note
        return (f"VGG-16: {note}",) if note else ()

    def _load(self) -> Vgg16Features:
        if self._features is None:
            self._features = Vgg16Features(self.layers, load_vgg16())
        return self._features
