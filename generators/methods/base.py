"""What every training method gives the one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from torch import Tensor, nn

Losses = dict[str, Tensor]
"""Named scalar terms, already weighted; their sum is what the player minimises."""


class Method(nn.Module, ABC):
    """One way to train a generator: networks, losses, and how it generates.

    A subclass builds its networks in `__init__(settings, source_channels, target_channels, size_px)`; whatever
    must survive a resume is a parameter or a buffer (or comes through get_extra_state). Images are float32
    [-1, 1] NCHW.
    """

    Settings: ClassVar[type]
    """Frozen dataclass of the method's own settings."""
    unpaired: ClassVar[bool] = False
    """Whether source and target of a batch come from different images by nature."""
    has_backward: ClassVar[bool] = False
    """Whether `generate(..., backward=True)` turns targets into sources."""

    def __init__(self, settings: Any, source_channels: int, target_channels: int, size_px: int) -> None:  # noqa: ARG002  (the signature of every method)
        """`size_px` is the side of training images; it fixes the depth of a U-Net."""
        super().__init__()
        self.settings = settings

    @abstractmethod
    def players(self) -> dict[str, nn.Module]:
        """Separately optimised networks in the order in which they are updated."""

    @abstractmethod
    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        """Yield each player's name and loss, in the order of `players`.

        The loop runs backward and the optimiser's step between one yield and the next, so that a later player
        answers the networks as the earlier one has left them. The graph of a loss reaches every weight of its own
        player and leaves no gradient in any other (`frozen`, `detach`).
        """

    @abstractmethod
    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        """Translate sources into fakes (targets into sources if `backward`); NCHW to NCHW, any size it can take."""


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Gradients pass through these networks to what lies before them, and none is kept in their weights."""
    weights = [weight for network in networks for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
