"""The segmenter as the training loop sees it: one player, cross-entropy over labelled pixels."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn import functional

from evalkit.metrics.confusion import IGNORED
from evalkit.metrics.networks.fcn_network import build_network, enlarged
from generators.methods.base import Losses, Method, undisturbed
from generators.segmenter.settings import SegmenterSettings


class SegmenterMethod(Method):
    """Learns the class of every labelled pixel.

    Source: Long et al. 2015, section 4 (per-pixel multinomial logistic loss, ignored pixels masked out).
    """

    Settings = SegmenterSettings
    settings: SegmenterSettings

    def build(self) -> None:
        """As `Method.build`."""
        self.network = build_network(self.settings.architecture, len(self.settings.class_names))

    def players(self) -> dict[str, nn.Module]:
        """The network alone."""
        return {"segmenter": self.network}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        """`source`: photos; `target`: (n, height, width) int64 class numbers."""
        scores = enlarged(self.network(source), (target.shape[1], target.shape[2])).float()
        # In rows: on a GPU the loss over images has no reproducible algorithm.
        rows, wanted = scores.permute(0, 2, 3, 1).reshape(-1, scores.shape[1]), target.reshape(-1)
        total = functional.cross_entropy(rows, wanted, ignore_index=IGNORED, reduction="sum")
        yield "segmenter", {"cross_entropy": total / (wanted != IGNORED).sum().clamp(min=1)}

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        """Photos -> class scores at their size."""
        if backward:
            raise ValueError("segmenter: photos to classes only")
        with undisturbed(self.network):
            return enlarged(self.network(images), (images.shape[2], images.shape[3]))
