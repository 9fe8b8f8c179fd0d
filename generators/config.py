"""What a training run is made from: frozen settings, changed only by `--set key=value`, kept in one config.json."""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from studies.errors import UserError, did_you_mean


@dataclass(frozen=True)
class DataSettings:
    """How a folder of images becomes pairs of source and target."""

    task: Literal["paired", "unpaired", "colorization", "super_resolution", "photos"] = "paired"
    """Key of `generators.data.TASKS`: what source and target are."""
    direction: Literal["AtoB", "BtoA", "labels_to_photos", "photos_to_labels"] = "AtoB"
    """Which side is the source. The last two are settled to AtoB or BtoA by where the dataset has its label maps."""
    load_size_px: int = 286
    """Training images are resized to this side before the random crop (Isola et al. 2017, section 6.2)."""
    crop_size_px: int = 256
    """Side of what the networks see in training; test images are resized to it unless `test_size_px` says else."""
    test_size_px: int = 0
    """Side at which test images are translated (maps: 512, by the fully convolutional network); 0: crop_size_px."""
    display_size_px: int = 0
    """Generated images are area-downsampled to this side for display (maps: 256); 0: as they are."""
    mirror: bool = True
    """Random mirroring in training."""
    scale_factor: Literal[4, 8] = 4
    """Super-resolution: by how much (Johnson et al. 2016, section 4.2)."""
    blur_sigma: float = 1.0
    """Super-resolution: Gaussian blur before downsampling, standard deviation in px (ibid.)."""
    histogram_matching: bool = True
    """Super-resolution: match the histogram of the output to that of the low-resolution input (ibid.)."""
    test_share: float = 0.2
    """Share of the images held out where the folder brings no test split of its own."""
    split_seed: int = 0
    """Settles that split."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and with what optimiser; lengths count images shown."""

    total_images: int = 80_000
    """Images shown in all."""
    decay_images: int = 0
    """Over the last so many images the learning rate falls linearly to zero (the PyTorch port's option)."""
    batch_size: int = 1
    """Images per step, over all devices together."""
    learning_rate: float = 2e-4
    """Adam's (Isola et al. 2017, section 3.3)."""
    beta1: float = 0.5
    """Adam's first moment decay (ibid.)."""
    beta2: float = 0.999
    """Adam's second moment decay (ibid.)."""
    seed: int = 0
    """Settles initial weights, order, jitter, dropout and noise."""
    precision: Literal["fp32", "bf16", "fp16", "fp64"] = "fp32"
    """fp32 (on a GPU with TF32 convolutions, torch's default) and fp64 throughout; bf16 and fp16 are mixed precision,
    for GPUs: most CPUs are slower with them."""
    channels_last: bool = True
    """Memory layout of images and weights on a GPU; on a CPU it slows the backward pass and is not used. Changes speed only."""
    compile: bool = False
    """Let torch.compile fuse the networks; pays off on long runs."""
    deterministic: bool = True
    """Only algorithms that give the same bits every time, so that a resumed run is the run."""
    checkpoint_images: int = 5_000
    """From one checkpoint to the next; the last image always has one."""
    sample_images: int = 5_000
    """From one sample grid to the next."""
    log_images: int = 100
    """From one line of stats.jsonl to the next."""

    def __post_init__(self) -> None:
        """Raises ValueError on decays that Adam cannot take."""
        if max(self.beta1, self.beta2) >= 1:
            raise ValueError(f"beta1 = {self.beta1:g} and beta2 = {self.beta2:g} must be below 1.")


@dataclass(frozen=True)
class RunConfig:
    """All of one training run; alone it reproduces the run."""

    preset: str
    """Name in `generators.presets.PRESETS` that this began as."""
    method: str
    """Key of `generators.methods.METHODS`."""
    location: str = ""
    """The dataset: a path, or a name that `evalkit data list` shows."""
    data: DataSettings = field(default_factory=DataSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    settings: Any = None
    """The method's own frozen dataclass, `METHODS[method].Settings`."""

    @property
    def sections(self) -> dict[str, Any]:
        """The three dataclasses whose keys `--set` may name."""
        return {"data": self.data, "training": self.training, "settings": self.settings}


def override(config: RunConfig, assignments: Sequence[str]) -> RunConfig:
    """Apply `key=value` to whichever section has the key.

    Raises:
        UserError: No `=`, an unknown key (the nearest is named), or a value of the wrong type or not allowed.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment}: write key=value, for example --set total_images=400.")
        config = _set(config, key.strip(), text.strip())
    return config


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The form of config.json."""
    return dataclasses.asdict(config)


def section_from_dict(kind: type, values: Mapping[str, Any], where: str) -> Any:
    """Build one section from config.json.

    Raises:
        UserError: An unknown key, or a value that is not allowed.
    """
    hints = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in hints:
            raise UserError(f"{where}: unknown key {key!r}.{did_you_mean(key, hints)}")
        _check(f"{where}: {key}", value, hints[key])
    known = {key: _tupled(value, hints[key]) for key, value in values.items()}
    try:
        return kind(**known)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from None


def _set(config: RunConfig, key: str, text: str) -> RunConfig:
    keys = {name: part for part, section in config.sections.items() for name in _names(section)}
    if key not in keys:
        raise UserError(f"--set {key}: no such key.{did_you_mean(key, keys)}")
    section = config.sections[keys[key]]
    value = _parse(key, text, typing.get_type_hints(type(section))[key])
    try:
        return dataclasses.replace(config, **{keys[key]: dataclasses.replace(section, **{key: value})})
    except ValueError as error:
        raise UserError(f"--set {key}={text}: {error}") from None


def _names(section: Any) -> list[str]:
    return [one.name for one in dataclasses.fields(section)] if section is not None else []


def _parse(key: str, text: str, hint: Any) -> Any:
    """Read a value as the type that the key has."""
    where = f"--set {key}"
    if typing.get_origin(hint) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(hint)}
        if text not in choices:
            raise UserError(f"{where}={text}: allowed are {', '.join(choices)}.")
        return choices[text]
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_parse(key, part.strip(), inner) for part in text.split(",") if part.strip())
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise UserError(f"{where}={text}: allowed are true and false.")
        return text.lower() == "true"
    try:
        value = hint(text.replace("_", "") if hint in (int, float) else text)
    except ValueError:
        raise UserError(f"{where}={text}: {_TYPES[hint]} is needed.") from None
    _check(f"{where}={text}", value, hint)
    return value


_TYPES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _check(where: str, value: Any, hint: Any) -> None:
    """Type, choice and sign of a value from the command line or from config.json."""
    if typing.get_origin(hint) is Literal:
        # By type as well: 4.0 and true equal 4 and 1.
        if not any(type(value) is type(choice) and value == choice for choice in typing.get_args(hint)):
            raise UserError(f"{where}: allowed are {', '.join(map(str, typing.get_args(hint)))}.")
    elif typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{where}: a list is needed.")
        for part in value:
            _check(where, part, typing.get_args(hint)[0])
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < float("inf"):
            raise UserError(f"{where}: a number of at least 0 is needed.")
    elif type(value) is not hint:
        raise UserError(f"{where}: {_TYPES.get(hint, str(hint))} is needed, not {value!r}.")
    elif hint is int and value < 0:
        raise UserError(f"{where}: a whole number of at least 0 is needed.")


def _tupled(value: Any, hint: Any) -> Any:
    return tuple(value) if typing.get_origin(hint) is tuple else value
