"""The networks of LPIPS: an ImageNet trunk, and per layer how much each channel counts."""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from evalkit.metrics.base import Array, Item, Precision
from evalkit.metrics.lpips import NETWORKS, heads_file
from evalkit.metrics.networks.pixels import by_size, inference, placed, to_tensor, torch_device
from evalkit.metrics.networks.state_dicts import state_of
from evalkit.metrics.weights import how_to_bring
from studies.errors import UserError

_EPSILON = 1e-10
"""Added to the norm of a feature, not under its root. Source: lpips 0.1.4, `normalize_tensor`."""
_CPU_BATCH_SIZE = {"fp32": {"alex": 4, "vgg": 1, "squeeze": 1}, "fp16": {"alex": 4, "vgg": 16, "squeeze": 2}}
"""Images or pairs in the network at once, the fastest of those measured."""
_CUDA_BATCH_SIZE = 32


class PerceptualNetwork:
    """Weighted unit features of images.

    Source: Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric", equation 1;
    trunks, heads and constants of lpips 0.1.4.
    """

    def __init__(
        self, network: str, device: str, precision: Precision = "fp32", random_weights: int | None = None
    ) -> None:
        """`network` is alex | vgg | squeeze. Raises UserError without weights."""
        self.name, self.device = network, torch_device(device)
        self.dtype = torch.float16 if precision == "fp16" else torch.float32
        self.batch_size = (
            _CUDA_BATCH_SIZE if self.device.type == "cuda" else _CPU_BATCH_SIZE[precision][network]
        )
        slices, self.shift, self.scale = _trunk(network, random_weights)
        self.slices = [placed(part, self.device, self.dtype) for part in slices]
        self.shift, self.scale = self.shift.to(self.device), self.scale.to(self.device)
        self.heads = [head.to(self.device) for head in _heads(network)]

    def unit_features(self, images: Sequence[Array]) -> list[Tensor]:
        """Per layer (n, height, width, channels) float32 of length 1 along the channels; images of one size."""
        _check_size(images[0], self.name)
        # In float64 first, as lpips.im2tensor computes it.
        x = to_tensor(images, self.device).double().div_(127.5).sub_(1).float()
        x = x.sub_(self.shift).div_(self.scale).to(self.dtype, memory_format=torch.channels_last)
        found = []
        for part in self.slices:
            x = part(x)
            features = x.permute(0, 2, 3, 1).float()
            found.append(features / (features.square().sum(dim=3, keepdim=True).sqrt_() + _EPSILON))
        return found


class DistanceExtractor(PerceptualNetwork):
    """Pairs of images -> LPIPS, both images in one pass through the trunk."""

    def __call__(self, items: Sequence[Item]) -> list[Array]:
        """(1,) float32 for each (real, fake) of one size."""
        with inference(self.device):
            return by_size(items, self.batch_size, self._distances)

    def _distances(self, pairs: Sequence[Item]) -> list[Array]:
        both = self.unit_features([pair[0] for pair in pairs] + [pair[1] for pair in pairs])
        distances = torch.zeros(len(pairs), 1, device=self.device)
        for features, head in zip(both, self.heads, strict=True):
            first, second = features.chunk(2)
            distances += ((first - second).square_() @ head).mean(dim=(1, 2))[:, None]
        return list(distances.cpu().numpy())


class EmbeddingExtractor(PerceptualNetwork):
    """Images -> the vector whose squared Euclidean distances are LPIPS, behind its own squared length."""

    def __call__(self, items: Sequence[Item]) -> list[Array]:
        """(1 + d,) float64 for each (image,); d depends on the size of the image."""
        with inference(self.device):
            return by_size(items, self.batch_size, self._embeddings)

    def _embeddings(self, items: Sequence[Item]) -> list[Array]:
        layers = []
        for features, head in zip(self.unit_features([item[0] for item in items]), self.heads, strict=True):
            positions = features.shape[1] * features.shape[2]
            layers.append((features * (head / positions).sqrt()).flatten(1))
        embeddings = torch.cat(layers, dim=1).double()
        return list(
            torch.cat([embeddings.square().sum(dim=1, keepdim=True), embeddings], dim=1).cpu().numpy()
        )


def _trunk(network: str, random_weights: int | None) -> tuple[list[nn.Module], Tensor, Tensor]:
    """The trunk in lpips' slices, with shift and scale of its inputs."""
    name = NETWORKS[network].weights
    whole = state_of(name, random_weights)
    lpips: Any = importlib.import_module("lpips")
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # torchvision on the way lpips asks for its networks
        trunk = getattr(lpips.pretrained_networks, NETWORKS[network].builder)(pretrained=False)
    wanted = {key: f"features.{key.partition('.')[2]}" for key in trunk.state_dict()}
    _check_state(whole, {wanted[key]: tuple(value.shape) for key, value in trunk.state_dict().items()}, name)
    trunk.load_state_dict({key: whole[origin] for key, origin in wanted.items()}, assign=True)
    trunk.eval().requires_grad_(False)
    scaling = lpips.ScalingLayer()
    slices = [getattr(trunk, f"slice{number}") for number in range(1, trunk.N_slices + 1)]
    return slices, scaling.shift, scaling.scale


def _check_state(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], name: str) -> None:
    for key, shape in shapes.items():
        if not isinstance(state.get(key), Tensor) or tuple(state[key].shape) != shape:
            raise UserError(how_to_bring(name, f"is another network ({key} of shape {shape} is missing)"))


def _heads(network: str) -> list[Tensor]:
    """Per layer (channels,) weights, none negative."""
    state = torch.load(heads_file(network), map_location="cpu", weights_only=True)
    return [state[f"lin{layer}.model.1.weight"].flatten() for layer in range(len(state))]


def _check_size(image: Array, network: str) -> None:
    height, width = image.shape[:2]
    least = NETWORKS[network].least_px
    if min(height, width) < least:
        raise UserError(
            f"LPIPS ({network}): an image of {width}×{height} px is too small; it needs {least}×{least} px or more."
        )
