"""config.json: all of a run's settings; alone it reproduces the run."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from generators.config import DataSettings, RunConfig, TrainingSettings, override, section_from_dict, to_dict
from generators.runs.disk import disk_errors, replace_durably
from studies.errors import UserError, did_you_mean

FILE = "config.json"
_SECTIONS = ("data", "training", "settings")


def write_config(folder: Path, config: RunConfig) -> Path:
    """Write config.json into the run folder, which is made if need be."""
    path = folder / FILE
    text = json.dumps(to_dict(config), indent=2) + "\n"
    with disk_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
        replace_durably(path, lambda stream: stream.write(text.encode()))
    return path


def read_config(folder: Path) -> RunConfig:
    """The config of a run folder, validated.

    Raises:
        UserError: There is none, or a key or value in it is not allowed; names file and key.
    """
    from generators.methods import METHODS  # here, so that a tool that only writes configs needs no torch

    path = folder / FILE
    values = _read(path)
    method = values.get("method")
    if method == "segmenter":
        raise UserError(
            f"{folder}: the training of a segmenter; run its `evalkit segmenter train` command again to go on."
        )
    if method not in METHODS:
        raise UserError(f"{path}: method {method!r} is unknown.{did_you_mean(str(method), METHODS)}")
    known = [field.name for field in dataclasses.fields(RunConfig)]
    if unknown := [key for key in values if key not in known]:
        raise UserError(f"{path}: unknown key {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
    kinds = dict(zip(_SECTIONS, (DataSettings, TrainingSettings, METHODS[method].Settings), strict=True))
    sections = {
        name: section_from_dict(kind, _table(values, name, path), f"{path}: {name}")
        for name, kind in kinds.items()
    }
    preset, method, location = (_text(values, key, path) for key in ("preset", "method", "location"))
    return RunConfig(preset, method, location, **sections)


def check_config(folder: Path, config: RunConfig) -> None:
    """Hold `config` against the run that the folder may hold; before the first checkpoint there is nothing to hold.

    Raises:
        UserError: The folder's run was started with other settings (they are shown), or has lost its config.json; or
            the folder holds something else.
    """
    path = folder / FILE
    if not any((folder / "checkpoints").glob("*.pt")):
        _refuse_strangers(folder)
        return
    if not path.exists():
        raise UserError(f"{folder}: has checkpoints but no {FILE}. Bring it back, or choose another --out.")
    if different := differences(_read(path), to_dict(config)):
        raise UserError(
            f"{folder}: a run with other settings is there: {'; '.join(different)}. "
            f"`evalkit train {folder}` goes on with it; other settings need another --out."
        )


def settle_config(folder: Path, config: RunConfig) -> None:
    """Write config.json unless a run with this config is there. Raises as `check_config`."""
    check_config(folder, config)
    path = folder / FILE
    if not path.exists() or differences(_read(path), to_dict(config)):
        write_config(folder, config)


def extend(folder: Path, assignments: Sequence[str]) -> RunConfig:
    """Let a run go on for longer: `total_images` is the one setting that may change, and only grow.

    Raises:
        UserError: Another setting, a smaller number, or a learning rate that was to fall to zero by the old end.
    """
    config = read_config(folder)
    longer = override(config, assignments)
    total, wanted = config.training.total_images, longer.training.total_images
    same_length = dataclasses.replace(
        longer, training=dataclasses.replace(longer.training, total_images=total)
    )
    if different := differences(to_dict(config), to_dict(same_length)):
        raise UserError(
            f"{folder}: a run keeps its settings; only total_images may grow ({'; '.join(different)}). "
            "Start another run with --preset and --out."
        )
    if wanted < total:
        raise UserError(f"{folder}: total_images is {total} and may only grow, not shrink to {wanted}.")
    if wanted > total and config.training.decay_images:
        raise UserError(
            f"{folder}: total_images cannot grow, since the learning rate falls to zero over the last "
            f"{config.training.decay_images} of {total} images. Start another run with --set total_images={wanted}."
        )
    return longer


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """`key: old there, new here` for every setting that differs between two configs in the form of config.json."""
    old, new = _flat(json.loads(json.dumps(there))), _flat(json.loads(json.dumps(here)))
    return [
        f"{key} is {old.get(key, 'missing')} there, {new.get(key, 'missing')} here"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the sections beside the run's own; they are unique over the sections."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= value if key in _SECTIONS and isinstance(value, dict) else {key: value}
    return flat


def _refuse_strangers(folder: Path) -> None:
    """What is no beginning of a run must not be mixed with one."""
    if (folder / FILE).is_file() or not folder.is_dir():
        return
    strangers = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if strangers:
        raise UserError(
            f"{folder}: holds {strangers[0]!r} and is no training run. Name an empty folder, or a new one."
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: no such file; {path.parent} is no training run.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: not valid JSON ({error}).") from error
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: an object with preset, method, location, data, training, settings is needed."
        )
    return values


def _table(values: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = values.get(name)
    if not isinstance(table, dict):
        raise UserError(f"{path}: {name} is missing or no object.")
    return table


def _text(values: Mapping[str, Any], key: str, path: Path) -> str:
    value = values.get(key)
    if not isinstance(value, str):
        raise UserError(f"{path}: {key} is missing or no text.")
    return value
