"""Weights as networks take them: from the published file, or drawn."""

from collections.abc import Mapping

import torch
from torch import Tensor

from evalkit.metrics.networks.random_weights import random_state
from evalkit.metrics.weights import how_to_bring, path_of
from studies.errors import UserError


def state_of(name: str, random_weights: int | None) -> Mapping[str, Tensor]:
    """State dict of `weights.WEIGHTS[name]`, or a random one where a seed is given.

    Raises:
        UserError: The file is not there or holds no state dict.
    """
    if random_weights is not None:
        return random_state(name, random_weights)
    try:
        state = torch.load(path_of(name), map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(how_to_bring(name)) from None
    except Exception as error:  # noqa: BLE001  (torch raises many kinds over a broken file)
        raise UserError(how_to_bring(name, f"is broken ({type(error).__name__})")) from None
    if not isinstance(state, Mapping):
        raise UserError(how_to_bring(name, "is broken (it holds no state dict)"))
    return state
