"""Style transfer by optimisation over pixels, with the very losses that a network is trained on.

Source: Gatys et al. 2016, section 2.3 (L-BFGS from white noise); Johnson et al. 2016, section 4.1, who compare their
network with it: 500 iterations, pixels clipped to their range after each one (from memory, unverified).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from generators.methods.perceptual_objective import PerceptualObjective

ITERATIONS = 500
"""Enough in most cases. Source: Johnson et al. 2016, section 4.1."""


def optimise_pixels(
    contents: Tensor,
    objective: PerceptualObjective,
    iterations: int = ITERATIONS,
    on_step: Callable[[int, int, float], None] | None = None,
    *,
    seed: int = 0,
) -> Tensor:
    """Minimise the objective anew for every image by projected L-BFGS, each image by itself.

    Args:
        contents: N x 3 x H x W in [-1, 1], on the device that is to be used.
        objective: As a network would be trained on; its targets are the contents.
        iterations: Per image; one evaluation of the objective and its gradient each.
        on_step: Called after each iteration with the image's number, the iteration (from 1) and the objective
            before it; asking for it costs a wait for the device.
        seed: Settles the white noise that every image begins as.

    Returns:
        Images of the shape of `contents`, in [-1, 1].

    Raises:
        UserError: The VGG-16 weights or the style image are absent.
    """
    noise = torch.Generator().manual_seed(seed)
    images = []
    for number in range(len(contents)):
        content = contents[number : number + 1]
        start = torch.rand(content.shape, generator=noise, dtype=contents.dtype).to(contents.device)
        told = None if on_step is None else _numbered(on_step, number)
        images.append(_optimise(2 * start - 1, content, objective, iterations, told))
    return torch.cat(images) if images else contents.clone()


def _optimise(
    image: Tensor,
    content: Tensor,
    objective: PerceptualObjective,
    iterations: int,
    told: Callable[[int, Tensor], None] | None,
) -> Tensor:
    image.requires_grad_()
    # No tolerance may end the search early.
    search = torch.optim.LBFGS([image], max_iter=1, tolerance_grad=0, tolerance_change=0)

    def evaluate() -> Tensor:
        search.zero_grad()
        loss = torch.stack(list(objective(image, content).values())).sum()
        # Losses are means over pixels. The search takes curvatures below 1e-10 for none, which those of a mean over a
        # large image are, and would creep: it minimises the sum.
        (loss * image.numel()).backward()  # type: ignore[no-untyped-call]  # torch's, without types
        return loss

    for iteration in range(1, iterations + 1):
        loss: Tensor = search.step(evaluate)  # type: ignore[no-untyped-call]  # torch's, without types
        with torch.no_grad():
            image.clamp_(-1, 1)
        if told is not None:
            told(iteration, loss)
    return image.detach()


def _numbered(on_step: Callable[[int, int, float], None], number: int) -> Callable[[int, Tensor], None]:
    return lambda iteration, loss: on_step(number, iteration, loss.item())
