"""ablation.json: what an ablation compares, and where its parts lie."""

import dataclasses
import json
import platform
import shlex
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from generators.config import RunConfig, to_dict
from generators.presets import PRESETS, load_preset, new_run
from generators.runs import differences, disk_errors, replace_durably
from generators.runs.disk import WRITING
from generators.sample.folder import check_outside
from studies.errors import UserError, did_you_mean

FILE = "ablation.json"
FORMAT = "evalkit ablation 1"
KEY = "loss"
"""The setting that an ablation varies; methods that offer a choice of losses call it so."""
HELD_OUT = {"split.json", "inputs", "real", "labels"}
"""What is written before ablation.json."""
LEFTOVERS = {f"{name}{WRITING}" for name in (FILE, "split.json")} | {
    f".{name}.{end}" for name in HELD_OUT for end in ("partial", "old")
}
"""What a kill may leave of them."""
_SHOWN = 4


@dataclass(frozen=True)
class RunKey:
    """One training run of an ablation."""

    loss: str
    seed: int

    @property
    def name(self) -> str:
        """Also the path of its image set below the ablation's folder."""
        return f"{self.loss}/seed{self.seed}"


@dataclass(frozen=True)
class AblationRecord:
    """What ablation.json says, and the folder it lies in."""

    folder: Path
    losses: tuple[str, ...]
    seeds: tuple[int, ...]
    config: dict[str, Any]
    """Of every run, in the form of config.json; loss and seed are the preset's."""
    assignments: tuple[str, ...]
    """`key=value` where the config departs from its preset."""
    versions: dict[str, str]

    @property
    def runs(self) -> tuple[RunKey, ...]:
        """In the order of losses, then seeds."""
        return tuple(RunKey(loss, seed) for loss in self.losses for seed in self.seeds)

    @property
    def real(self) -> Path:
        """The real images of the held-out inputs."""
        return self.folder / "real"

    def run_folder(self, run: RunKey) -> Path:
        """Config, checkpoints, stats and samples."""
        return self.folder / "runs" / run.name

    def images(self, run: RunKey) -> Path:
        """The image set."""
        return self.folder / run.name

    def has_images(self, run: RunKey) -> bool:
        """Whether the run's image set is there and none of its files has been lost since."""
        folder = self.images(run)
        if not (folder / "manifest.json").is_file():
            return False
        listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["images"]
        return all((folder / one["file"]).is_file() for one in listed)

    def missing(self) -> list[RunKey]:
        """Runs without their images."""
        return [run for run in self.runs if not self.has_images(run)]

    def command(self) -> str:
        """What makes this ablation, or goes on with it."""
        parts = ["evalkit", "ablate", "--preset", self.config["preset"], "--data", self.config["location"]]
        parts += [
            "--out",
            str(self.folder),
            "--losses",
            ",".join(self.losses),
            "--seeds",
            str(len(self.seeds)),
        ]
        for assignment in self.assignments:
            parts += ["--set", assignment]
        return shlex.join(parts)

    def check_finished(self) -> None:
        """Refuse an ablation that lacks something.

        Raises:
            UserError: Names the runs that are missing and the command to go on.
        """
        names = [run.name for run in self.missing()]
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise UserError(
                f"{self.folder}: not finished: {len(names)} of {len(self.runs)} runs have no images yet "
                f"({', '.join(names[:_SHOWN])}{more}). Go on with: {self.command()}"
            )

    def write(self) -> None:
        """Write ablation.json, whole or not at all."""
        content = {
            "format": FORMAT,
            "preset": self.config["preset"],
            "data": self.config["location"],
            "losses": list(self.losses),
            "seeds": list(self.seeds),
            "set": list(self.assignments),
            "versions": self.versions,
            "config": self.config,
        }
        path = self.folder / FILE
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_durably(path, lambda stream: stream.write(text.encode()) and None)


def read_ablation(folder: Path) -> AblationRecord:
    """Read the record of an ablation's folder.

    Raises:
        UserError: There is none, or it cannot be understood.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder}: no ablation here (no {FILE}). `evalkit ablate --preset NAME --data PATH --out {folder}` makes one."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["format"] == FORMAT
        losses, seeds = map(tuple, (content["losses"], content["seeds"]))
        return AblationRecord(
            folder, losses, seeds, content["config"], tuple(content["set"]), content["versions"]
        )
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise UserError(
            f"{path}: cannot be read as {FORMAT!r}. Restore it, or begin in another folder."
        ) from error


def settle_record(config: RunConfig, losses: Sequence[str], seeds: int, out: Path) -> AblationRecord:
    """The record of a new ablation, or of the one in `out`, which may gain losses and seeds.

    Raises:
        UserError: Losses or seeds that cannot be, `out` holds something else, or an ablation with other settings.
    """
    check_losses(config, losses)
    check_outside(out, config.location)
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: at least 1 training run per loss is needed.")
    record = AblationRecord(
        out,
        tuple(losses),
        tuple(range(seeds)),
        json.loads(json.dumps(to_dict(config))),
        tuple(_assignments(config)),
        {"evalkit": version("evalkit"), "torch": version("torch"), "python": platform.python_version()},
    )
    if (out / FILE).is_file():
        _check_same(read_ablation(out), record)
    elif out.exists() and not _is_free(out):
        raise UserError(f"{out}: exists and is no ablation. Choose another --out, or remove it first.")
    return record


def _is_free(out: Path) -> bool:
    """Empty, or what is left of a beginning that failed for its data or was killed; nobody's own images."""
    return out.is_dir() and all(_is_of_a_beginning(path) for path in out.iterdir())


def _is_of_a_beginning(path: Path) -> bool:
    if path.name in LEFTOVERS:
        return True
    manifest = path / "manifest.json" if path.is_dir() else None
    if path.name not in HELD_OUT or (manifest and not manifest.is_file()):
        return False
    try:
        content = json.loads((manifest or path).read_text(encoding="utf-8"))
    except ValueError:
        return False
    if not isinstance(content, dict):
        return False
    return (
        content.get("generator") == f"held-out {path.name}" if manifest else {"how", "test"} <= content.keys()
    )


def run_config(config: RunConfig, run: RunKey) -> RunConfig:
    """The config of one run."""
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, seed=run.seed),
        settings=dataclasses.replace(config.settings, **{KEY: run.loss}),
    )


def loss_choices(config: RunConfig) -> tuple[str, ...]:
    """The losses that the config's method offers; empty if it offers no choice."""
    hint = typing.get_type_hints(type(config.settings)).get(KEY)
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def check_losses(config: RunConfig, losses: Sequence[str]) -> None:
    """Refuse losses that the method does not have.

    Raises:
        UserError: Names the nearest, or says that the method has no choice of losses.
    """
    choices = loss_choices(config)
    if not choices:
        raise UserError(
            f"{config.preset}: {config.method} has no choice of losses; take a preset of pix2pix or cyclegan."
        )
    if not losses:
        raise UserError(f"--losses: at least one is needed. Known: {', '.join(choices)}.")
    for loss in losses:
        if loss not in choices:
            raise UserError(
                f"--losses {loss}: {config.method} has no such loss.{did_you_mean(loss, choices)}"
            )
        if list(losses).count(loss) > 1:
            raise UserError(
                f"--losses: {loss} is named twice; name each once. For more runs of it raise --seeds."
            )


def _check_same(there: AblationRecord, here: AblationRecord) -> None:
    different = differences(there.config, here.config)
    gone = [loss for loss in there.losses if loss not in here.losses]
    if gone:
        different.append(f"loss {gone[0]} is there and not among --losses")
    if len(here.seeds) < len(there.seeds):
        different.append(f"seeds is {len(there.seeds)} there, {len(here.seeds)} here")
    if different:
        raise UserError(
            f"{there.folder}: an ablation with other settings is there: {'; '.join(different)}. Losses and seeds may be "
            f"added; other settings need another --out. As it was: {there.command()}"
        )


def _assignments(config: RunConfig) -> list[str]:
    """`--set` values that lead from the preset to this config."""
    preset = _preset(config)
    assignments = []
    for name, section in config.sections.items():
        before = preset.sections[name] if preset else type(section)()
        for one in dataclasses.fields(section):
            value = getattr(section, one.name)
            if value != getattr(before, one.name, None) and one.name not in (KEY, "seed"):
                assignments.append(f"{one.name}={_text(value)}")
    return assignments


def _preset(config: RunConfig) -> RunConfig | None:
    """The preset as the dataset settles it, if it does: the assignments may be what makes the two go together."""
    if config.preset not in PRESETS:
        return None
    try:
        return new_run(config.preset, config.location)
    except UserError:
        return load_preset(config.preset)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
