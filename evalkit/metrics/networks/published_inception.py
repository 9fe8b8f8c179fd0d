"""pytorch-fid's Inception network with weights of our choosing."""

import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from evalkit.metrics.weights import how_to_bring
from studies.errors import UserError

_module: Any = importlib.import_module("pytorch_fid.inception")
_one_at_a_time = threading.Lock()


def build_inception(state: Mapping[str, Tensor] | None) -> nn.Module:
    """The network with these weights, or with whatever it was initialised with; in evaluation mode.

    Raises:
        UserError: The weights are those of another network.
    """
    try:
        with _instead_of_the_download(state):
            network: nn.Module = _module.fid_inception_v3()
    except RuntimeError as error:  # load_state_dict, which lists every key
        complaint = str(error).splitlines()[1 if "\n" in str(error) else 0].strip()[:120]
        reason = f"is no Inception network of pytorch-fid ({complaint})"
        raise UserError(how_to_bring("inception", reason)) from None
    return network.eval().requires_grad_(False)


@contextmanager
def _instead_of_the_download(state: Mapping[str, Tensor] | None) -> Iterator[None]:
    """While it holds, pytorch-fid takes `state` for what it downloaded; for None, the network's own."""
    loader, builder = _module.load_state_dict_from_url, _module._inception_v3
    built: list[nn.Module] = []

    def build(*arguments: Any, **options: Any) -> nn.Module:
        built.append(builder(*arguments, **options))
        return built[0]

    def load(*_: Any, **__: Any) -> Mapping[str, Tensor]:
        return built[0].state_dict() if state is None else state

    with _one_at_a_time:
        _module.load_state_dict_from_url, _module._inception_v3 = load, build
        try:
            yield
        finally:
            _module.load_state_dict_from_url, _module._inception_v3 = loader, builder
