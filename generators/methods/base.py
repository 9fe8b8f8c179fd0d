"""What every training method gives the one loop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from studies.errors import UserError

Losses = dict[str, Tensor]
"""Named scalar terms, already weighted; their sum is what the player minimises."""


class Method(nn.Module, ABC):
    """One way to train a generator: networks, losses, and how it generates.

    A subclass makes its networks in `build`; whatever must survive a resume is a parameter or a buffer (or comes
    through get_extra_state). Images are float32 [-1, 1] NCHW.
    """

    Settings: ClassVar[type]
    """Frozen dataclass of the method's own settings."""
    unpaired: ClassVar[bool] = False
    """Whether source and target of a batch come from different images by nature."""
    has_backward: ClassVar[bool] = False
    """Whether `generate(..., backward=True)` turns targets into sources."""
    test_normalisation: ClassVar[Literal["batch", "running"]] = "batch"
    """What batch normalisation uses in generating, unless asked otherwise: the test batch's statistics, as in pix2pix
    (Isola et al. 2017, section 3.3), or those gathered in training."""
    enlarges: ClassVar[bool] = False
    """Whether targets may be larger than sources (super-resolution)."""

    def __init__(
        self,
        settings: Any,
        source_channels: int,
        target_channels: int,
        size_px: int,
        scale_factor: int = 1,
    ) -> None:
        """Make fresh networks.

        Args:
            settings: An instance of `Settings`.
            source_channels: Channels of what goes in.
            target_channels: Channels of what comes out.
            size_px: Side of training targets; it fixes the depth of a U-Net.
            scale_factor: How many times larger a target is than its source (super-resolution).

        Raises:
            UserError: The settings and these shapes do not go together.
        """
        super().__init__()
        if empty := [key for key, value in vars(settings).items() if key.endswith("_filters") and value < 1]:
            raise UserError(f"{empty[0]} = 0: a network needs at least 1 filter.")
        if scale_factor != 1 and not self.enlarges:
            raise UserError(
                f"task = super_resolution: {type(self).__name__} makes images no larger than they were; choose another "
                "task, or a preset of the method perceptual."
            )
        self.settings = settings
        self.source_channels, self.target_channels = source_channels, target_channels
        self.size_px, self.scale_factor = size_px, scale_factor
        self.build()

    def build(self) -> None:
        """Make and initialise the networks, for `self.settings` and the shapes beside it.

        Raises:
            UserError: The settings and these shapes do not go together.
        """

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said beside anything this method made, such as pretrained weights that are not the published.

        May load those weights. Raises UserError where they are absent.
        """
        return ()

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
        """Translate sources into fakes (targets into sources if `backward`); NCHW to NCHW, any size it can take.

        Leaves no trace: running statistics stay as they were (`undisturbed`).
        """


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Buffers, such as running statistics, are afterwards what they were before.

    Sample grids must not change a run: batch normalisation that normalises with the test batch would also move the
    running statistics that the next checkpoint stores.
    """
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)


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
