"""The history of generated images that CycleGAN's discriminators learn from."""

import torch
from torch import Tensor, nn


class History(nn.Module):
    """Keeps some of the images generated so far; a resumed run finds them again.

    Half of the time a new image is exchanged for a random stored one. Which is drawn from torch's global generator
    on the CPU.

    Source: Zhu et al. 2017, section 4 (after Shrivastava et al. 2017); util/image_pool.py of the authors' code.
    """

    images: Tensor

    def __init__(self, capacity: int, channels: int, size_px: int) -> None:
        """`capacity` images of `channels` x `size_px` x `size_px`; 0: nothing is ever exchanged."""
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, channels, size_px, size_px))
        self._stored = 0

    def exchange(self, images: Tensor) -> Tensor:
        """A batch as large, in which stored images stand for some of the new ones. No gradient flows."""
        exchanged = images.detach().clone()
        for image in exchanged if len(self.images) else ():
            if self._stored < len(self.images):
                self.images[self._stored].copy_(image)
                self._stored += 1
            elif torch.rand(()) > 0.5:
                place = int(torch.randint(len(self.images), ()))
                older = self.images[place].clone()
                self.images[place].copy_(image)
                image.copy_(older)
        return exchanged

    def get_extra_state(self) -> Tensor:
        """How many places are taken."""
        return torch.tensor(self._stored)

    def set_extra_state(self, state: Tensor) -> None:
        """The inverse."""
        self._stored = int(state)
