"""What generates: a run folder at its last checkpoint, or a checkpoint of the reference code, in one form."""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from generators.config import DataSettings, to_dict
from generators.data import TASKS, Task
from generators.runs import load_run
from generators.sample.inference import Inference
from generators.sample.reference_checkpoints import (
    ReferenceOptions,
    is_reference_checkpoint,
    load_reference,
)
from studies.errors import UserError


@dataclass(frozen=True)
class Translator:
    """A trained network, the task it was trained for, and what a manifest says of it."""

    name: str
    """The generator's name: method and loss, or the reference network."""
    network: nn.Module
    """Everything that has modes and a device."""
    translate: Callable[[Tensor], Tensor]
    """NCHW to NCHW, [-1, 1]."""
    data: DataSettings
    task: Task
    settings: dict[str, Any]
    """All settings of the run, flat."""
    facts: dict[str, Any]
    """Checkpoint, training seed, notes; of a reference network also where each setting is known from."""
    trained_on: str = "unknown"
    """Location of the run's dataset, where known."""
    normalisation: Literal["batch", "running"] = "batch"
    """What batch norm uses unless asked otherwise."""

    def settled(self, inference: Inference) -> Inference:
        """With nothing left open."""
        return dataclasses.replace(inference, normalisation=inference.normalisation or self.normalisation)


def open_translator(run: Path, inference: Inference, flags: ReferenceOptions | None = None) -> Translator:
    """Load what `run` names.

    Raises:
        UserError: It is neither run nor checkpoint, has no whole checkpoint yet, has other weights than its
            network, or cannot translate backward.
    """
    if is_reference_checkpoint(run):
        return _from_reference(run, inference, flags or ReferenceOptions())
    if given := [name for name, value in vars(flags or ReferenceOptions()).items() if value is not None]:
        raise UserError(
            f"{run}: is a run folder, and its config.json says all about the network; leave out "
            f"--{given[0].replace('_', '-')}, which is for checkpoints of the reference code (latest_net_G.pth)."
        )
    return _from_run(run, inference)


def _from_run(folder: Path, inference: Inference) -> Translator:
    if not (folder / "config.json").is_file():
        raise UserError(
            f"{folder}: no training run (it has no config.json). `evalkit train --preset NAME --data PATH --out "
            f"{folder}` makes one; a checkpoint of the reference code is named by its file, latest_net_G.pth."
            f"{_runs_below(folder)}"
        )
    run = load_run(folder)
    config, method = run.config, run.method
    if inference.backward and not method.has_backward:
        raise UserError(f"{folder}: {config.method} translates one way only; leave out --backward.")
    notes = list(run.notes)
    if run.images_shown < config.training.total_images:
        notes.append(
            f"the training is not finished: {run.images_shown} of {config.training.total_images} images"
        )
    if run.damaged:
        notes.append(f"{len(run.damaged)} later checkpoints could not be read")
    settings = _flat(to_dict(config))
    return Translator(
        f"{config.method} {settings['loss']}" if "loss" in settings else config.method,
        method,
        lambda images: method.generate(images, backward=inference.backward),
        config.data,
        run.task,
        settings,
        {
            "checkpoint": _checkpoint(run.checkpoint, run.images_shown),
            "training_seed": config.training.seed,
            "notes": notes,
        },
        config.location,
        method.test_normalisation,
    )


def _from_reference(path: Path, inference: Inference, flags: ReferenceOptions) -> Translator:
    found = load_reference(path, flags)
    if inference.backward:
        raise UserError(
            f"{path}: a reference checkpoint translates one way; leave out --backward, and give "
            "latest_net_G_B.pth for B to A."
        )
    tasks = {(3, 3): "paired", (1, 2): "colorization"}
    if found.channels not in tasks:
        raise UserError(
            f"{path}: takes {found.channels[0]} channels and gives {found.channels[1]}; known are 3 to 3 (RGB) and "
            "1 to 2 (colorization)."
        )
    options = found.options
    turned = path.stem.endswith("_G_B")
    direction: Literal["AtoB", "BtoA"] = "BtoA" if (options.direction == "AtoB") == turned else "AtoB"
    unpaired = path.stem.endswith(("_G_A", "_G_B")) and found.channels == (3, 3)
    data = DataSettings(
        task="unpaired" if unpaired else tasks[found.channels],  # type: ignore[arg-type]  # keys of TASKS
        direction=direction,
        crop_size_px=options.crop_size_px or 0,
        load_size_px=0,
    )
    return Translator(
        f"reference {options.network}",
        found.network,
        found.network,
        data,
        TASKS[data.task](data),
        {**vars(options), "translated": direction},
        {
            "checkpoint": _checkpoint(path, None),
            "training_seed": None,
            "known_from": dict(found.known_from),
            "notes": list(found.notes),
        },
    )


def _checkpoint(path: Path, images_shown: int | None) -> dict[str, Any]:
    """Which weights; always the last ones, never chosen by a score."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": path.name, "sha256": digest, "images_shown": images_shown, "chosen": "the last one"}


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """The sections' keys side by side; they are unique."""
    sections = ("data", "training", "settings")
    flat = {key: value for key, value in config.items() if key not in sections}
    for name in sections:
        flat |= config[name] or {}
    return flat


def _runs_below(folder: Path) -> str:
    """The runs of a folder of runs, where the user may have meant one of them."""
    below = [path.parent.name for path in folder.glob("*/config.json")] if folder.is_dir() else []
    return f" Below it are runs: {', '.join(sorted(below)[:5])}." if below else ""
