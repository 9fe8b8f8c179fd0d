"""Generators of the reference PyTorch code (junyanz/pytorch-CycleGAN-and-pix2pix), from its checkpoint files."""

import dataclasses
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from generators.networks.norms import Norm
from generators.networks.resnet import ResNetGenerator
from generators.networks.unet import UNet
from generators.runs import check_same_network
from studies.errors import UserError, did_you_mean

NETWORKS = ("unet_128", "unet_256", "resnet_6blocks", "resnet_9blocks")
"""What the reference calls its generators; other depths (unet_64, resnet_4blocks) are understood too."""

OPTION_FILES = ("train_opt.txt", "test_opt.txt", "opt.txt")
"""Beside a checkpoint, the first that has an option counts."""


@dataclass(frozen=True)
class ReferenceOptions:
    """What a checkpoint file does not say of itself; None = as its options file says, else as its weights show."""

    network: str | None = None
    """netG: `unet_256`, `resnet_9blocks` ..."""
    norm: Norm | None = None
    """norm."""
    base_filters: int | None = None
    """ngf."""
    dropout: bool | None = None
    """not no_dropout."""
    crop_size_px: int | None = None
    """crop_size: the side to which the reference's test.py brings its inputs."""
    direction: Literal["AtoB", "BtoA"] | None = None
    """direction."""


@dataclass(frozen=True)
class ReferenceGenerator:
    """A network with its weights, and how it is known what it is."""

    network: nn.Module
    channels: tuple[int, int]
    """In and out."""
    options: ReferenceOptions
    """Every field settled."""
    known_from: Mapping[str, str] = field(default_factory=dict)
    """For each option `flag`, the name of the options file, `weights` or `assumed`."""
    notes: tuple[str, ...] = ()
    """What was assumed or mended."""


def is_reference_checkpoint(path: Path) -> bool:
    """Whether a run is meant to be a checkpoint file rather than a run folder."""
    return path.suffix == ".pth"


def load_reference(path: Path, flags: ReferenceOptions | None = None) -> ReferenceGenerator:
    """Build the network that a reference checkpoint belongs to and load its weights.

    Args:
        path: `latest_net_G.pth`, `latest_net_G_A.pth` or `latest_net_G_B.pth`; `G_B` translates the other way.
        flags: What the user says; it counts more than the options file, and that more than the weights.

    Raises:
        UserError: The file cannot be read, is no generator, or has other keys than the named network (named).
    """
    state = _read_state(path)
    options, known_from = _settle(path, state, flags or ReferenceOptions())
    network = _build(path, state, options)
    mended = _drop_statistics(state, network)
    _check_keys(path, state, network, options)
    network.load_state_dict(state)
    return ReferenceGenerator(
        network, _channels(state), options, known_from, _notes(path, known_from, options, mended)
    )


def read_options(path: Path) -> dict[str, str]:
    """Read `key: value [default: x]` lines; of the 2017 names the present ones are returned.

    Source: print_options in options/base_options.py of the reference.
    """
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"^\s*(\w+): (.*?)\s*(\[default: .*\])?\s*$", line)
        if match:
            key = match.group(1)
            found[_OLD_NAMES.get(key, key)] = match.group(2).strip()
    return found


_UNET, _RESNET = re.compile(r"unet_(\d+)"), re.compile(r"resnet_(\d+)blocks")
_RESNET_BIAS = re.compile(r"model\.(\d+)\.bias")
_OLD_NAMES = {"which_model_netG": "netG", "which_direction": "direction", "fineSize": "crop_size"}
_KEYS = {
    "network": "netG",
    "norm": "norm",
    "base_filters": "ngf",
    "dropout": "no_dropout",
    "crop_size_px": "crop_size",
    "direction": "direction",
}


def _settle(
    path: Path, state: Mapping[str, Tensor], flags: ReferenceOptions
) -> tuple[ReferenceOptions, dict[str, str]]:
    """Every option from the best source that has it, and which that was."""
    shown = _infer(path, state)
    settled: dict[str, Any] = {name: value for name, value in shown.items() if value is not None}
    sources = dict.fromkeys(settled, "weights")
    for file_name in reversed(OPTION_FILES):
        beside = path.parent / file_name
        if beside.is_file():
            said = _typed(read_options(beside), beside)
            settled |= said
            sources |= dict.fromkeys(said, file_name)
    given = {name: value for name, value in dataclasses.asdict(flags).items() if value is not None}
    settled |= given
    sources |= dict.fromkeys(given, "flag")
    unet = _UNET.fullmatch(settled["network"])
    assumed = {"dropout": True, "crop_size_px": int(unet.group(1)) if unet else 256, "direction": "AtoB"}
    for name, value in assumed.items():
        if name not in settled:
            settled[name], sources[name] = value, "assumed"
    return ReferenceOptions(**settled), sources


def _typed(said: Mapping[str, str], where: Path) -> dict[str, Any]:
    """The options of a file under our names and types."""
    options: dict[str, Any] = {}
    for name, key in _KEYS.items():
        if key not in said:
            continue
        text = said[key]
        if name in ("network", "norm", "direction"):
            options[name] = text
        elif name == "dropout":
            options[name] = text.lower() != "true"
        elif text.isdecimal():
            options[name] = int(text)
        else:
            raise UserError(f"{where}: {key}: {text}: a whole number is needed. Mend the line, or remove it.")
    for name, choices in (("norm", get_args(Norm)), ("direction", ("AtoB", "BtoA"))):
        if name in options and options[name] not in choices:
            raise UserError(f"{where}: {name}: {options[name]}: allowed are {', '.join(choices)}.")
    return options


def _infer(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the weights show: all but the dropout of a U-Net, which leaves no trace in them."""
    if {"model.model.0.weight", "model.model.3.bias"} <= state.keys():
        first = state["model.model.0.weight"]
        network, dropout = f"unet_{2 ** max(key.count('.model') for key in state)}", None
    elif "model.1.weight" in state and any(_RESNET_BIAS.fullmatch(key) for key in state):
        first = state["model.1.weight"]
        blocks = {key.split(".")[1] for key in state if ".conv_block." in key}
        # A dropout layer moves the block's second convolution from place 5 to 6.
        network, dropout = f"resnet_{len(blocks)}blocks", any(".conv_block.6.weight" in key for key in state)
    else:
        raise UserError(
            f"{path}: no generator of the reference code: its keys begin with {min(state, default='nothing')!r}. "
            "Give latest_net_G.pth, latest_net_G_A.pth or latest_net_G_B.pth."
        )
    return {
        "network": network,
        "norm": _norm(state),
        "base_filters": first.shape[0],
        "dropout": dropout,
    }


def _channels(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Into the first convolution, out of the last; in U-Nets that one is transposed."""
    if "model.model.0.weight" in state:
        return state["model.model.0.weight"].shape[1], state["model.model.3.bias"].shape[0]
    last = max(int(match.group(1)) for match in map(_RESNET_BIAS.fullmatch, state) if match)
    return state["model.1.weight"].shape[1], state[f"model.{last}.bias"].shape[0]


def _norm(state: Mapping[str, Tensor]) -> Norm:
    """Batch norm has vectors of weights; instance norm has none, but lets convolutions have their bias."""
    if any(key.endswith(".weight") and value.ndim == 1 for key, value in state.items()):
        return "batch"
    biases = sum(key.endswith(".bias") for key in state)
    # Without norm only the outermost layers have a bias.
    return "instance" if biases > 2 else "none"


def _build(path: Path, state: Mapping[str, Tensor], options: ReferenceOptions) -> nn.Module:
    name = options.network or ""
    unet, resnet = _UNET.fullmatch(name), _RESNET.fullmatch(name)
    inputs, outputs = _channels(state)
    assert options.base_filters is not None
    assert options.norm is not None
    assert options.dropout is not None
    layers = (options.base_filters, options.norm, options.dropout)
    size_px = int(unet.group(1)) if unet else 0
    if size_px.bit_count() == 1:  # each level halves the image
        return UNet(inputs, outputs, size_px, *layers)
    if resnet:
        blocks = int(resnet.group(1))
        return ResNetGenerator(inputs, outputs, blocks, *layers)
    raise UserError(f"{path}: no network is called {name!r}.{did_you_mean(name, NETWORKS)}")


def _drop_statistics(state: dict[str, Tensor], network: nn.Module) -> int:
    """Remove the running statistics that instance norms of torch before 0.4 stored and never used.

    Source: __patch_instance_norm_state_dict in models/base_model.py of the reference.
    """
    modules = dict(network.named_modules())
    stale = [
        key
        for key in state
        if key.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")
        and isinstance(modules.get(key.rpartition(".")[0]), nn.InstanceNorm2d)
    ]
    for key in stale:
        del state[key]
    return len(stale)


def _check_keys(
    path: Path, state: Mapping[str, Tensor], network: nn.Module, options: ReferenceOptions
) -> None:
    # Counts of batches came with torch 0.4; load_state_dict does without them.
    wanted = {
        key: value
        for key, value in network.state_dict().items()
        if key in state or not key.endswith("num_batches_tracked")
    }
    try:
        check_same_network(wanted, state, path)
    except UserError as error:
        shown = _infer(path, state)
        raise UserError(
            f"{error} Held against {options.network}, norm {options.norm}, {options.base_filters} filters; the weights "
            f"look like --network {shown['network']} --norm {shown['norm']} --base-filters {shown['base_filters']}."
        ) from None


def _read_state(path: Path) -> dict[str, Tensor]:
    """The state dict, without the prefixes that wrappers add."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint. Give the path of latest_net_G.pth, or a run folder.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: not a checkpoint that torch can read, or cut short. Copy or download it again."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(
            f"{path}: not a state dict of tensors. Give latest_net_G.pth as the reference saves it."
        )
    return {re.sub(r"^(module\.|_orig_mod\.)+", "", key): value for key, value in state.items()}


def _notes(
    path: Path, known_from: Mapping[str, str], options: ReferenceOptions, mended: int
) -> tuple[str, ...]:
    notes = []
    read = [name for name, source in known_from.items() if source == "weights" and name in _KEYS]
    assumed = [
        f"{name} = {getattr(options, name)}" for name, source in known_from.items() if source == "assumed"
    ]
    if read:
        notes.append(f"{path.name}: read from the weights, since no options file says so: {', '.join(read)}")
    if assumed:
        notes.append(f"{path.name}: assumed, since nothing says so: {', '.join(assumed)}")
    if mended:
        notes.append(
            f"{path.name}: {mended} unused running statistics of instance norms left out (torch < 0.4)"
        )
    return tuple(notes)
