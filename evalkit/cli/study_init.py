"""`evalkit study init`: folders of images -> a study folder with a commented study.toml."""

import os
import re
import secrets
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from evalkit.cli.messages import say, warn
from studies.design import PLACEHOLDER, Study, parse_study
from studies.errors import UserError, did_you_mean
from studies.imagesets import ImageSet, open_image_set
from studies.presets import Preset, load_preset, preset_names
from studies.study_toml import render_study_toml
from webapp.config import create_secret_key


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--preset",
    default="pix2pix2017",
    show_default=True,
    help=f"Published protocol: {', '.join(preset_names())}.",
)
@click.option("--real", required=True, metavar="PATH[:LABEL]", help="The real images.")
@click.option(
    "--fake",
    "fakes",
    required=True,
    multiple=True,
    metavar="NAME=PATH[:LABEL]",
    help="One algorithm's images; repeat for more algorithms, repeat a NAME for more training runs of it.",
)
@click.option("--approval", default=PLACEHOLDER, help="Approval number of the ethics board.")
@click.option("--contact", default=PLACEHOLDER, help="Address that participants can write to.")
@click.option(
    "--seed", type=click.IntRange(min=0), help="Settles every draw of the plan; drawn if not given."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="TABLE.KEY=VALUE",
    help="Any other setting of study.toml, e.g. --set protocol.scored=20; repeatable.",
)
def init(
    folder: Path,
    preset: str,
    real: str,
    fakes: tuple[str, ...],
    approval: str,
    contact: str,
    seed: int | None,
    settings: tuple[str, ...],
) -> None:
    """Make a study folder. PATH is a folder of images or a results folder of pix2pix/CycleGAN code."""
    create_study(
        folder, load_preset(preset), real, fakes, {"approval": approval, "contact": contact}, seed, settings
    )


def create_study(
    folder: Path,
    chosen: Preset,
    real: str,
    fakes: Sequence[str],
    ethics: dict[str, str],
    seed: int | None,
    settings: Sequence[str] = (),
) -> None:
    """Write study.toml and secret.key into a new folder, once all image sets have been found.

    Raises:
        UserError: The folder is taken, an image set cannot be read, or a setting is not allowed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: exists and is not empty. Choose another name, or remove it first.")
    tables: dict[str, Any] = {name: dict(table) for name, table in chosen.tables.items()}
    tables["study"] |= {
        "id": _study_id(folder),
        "preset": chosen.name,
        "seed": secrets.randbelow(2**31) if seed is None else seed,
    }
    tables["reference"] = {"images": _relative(real, folder)}
    tables["conditions"] = _conditions(fakes, folder)
    tables["ethics"] = dict(ethics)
    for setting in settings:
        _override(tables, setting)
    study = parse_study(tables, f"{folder}/study.toml")
    sets = _open_all(study, folder)
    folder.mkdir(parents=True, exist_ok=True)
    create_secret_key(folder)
    (folder / ".gitignore").write_text("secret.key\nstudy.sqlite*\n", encoding="utf-8")
    partial = folder / ".study.toml.partial"
    partial.write_text(render_study_toml(study, chosen), encoding="utf-8")
    partial.replace(folder / "study.toml")
    _tell(folder, study, chosen, sets)


def _study_id(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")
    return name or "study"


def _relative(location: str, folder: Path) -> str:
    """The location as seen from the study folder; the label stays."""
    if Path(location).is_absolute():
        return location
    return os.path.relpath(Path.cwd() / location, folder.resolve())


def _conditions(fakes: Sequence[str], folder: Path) -> dict[str, dict[str, list[str]]]:
    conditions: dict[str, dict[str, list[str]]] = {}
    for fake in fakes:
        name, equals, location = fake.partition("=")
        if not equals or not name or not location:
            raise UserError(
                f"--fake {fake}: write NAME=PATH, for example --fake cyclegan=results/cyclegan:fake_B."
            )
        conditions.setdefault(name, {"images": []})["images"].append(_relative(location, folder))
    return conditions


def _override(tables: dict[str, Any], setting: str) -> None:
    """Put one --set into the tables; whether key and type fit is checked with all the rest."""
    path, equals, text = setting.partition("=")
    table, dot, key = path.rpartition(".")
    if not (equals and dot):
        raise UserError(f"--set {setting}: write TABLE.KEY=VALUE, for example --set protocol.scored=20.")
    known = [name for name in Study.model_fields if name not in ("conditions", "reference")]
    if table not in known:
        raise UserError(f"--set {setting}: there is no table [{table}].{did_you_mean(table, known)}")
    tables.setdefault(table, {})[key] = _parse_value(text)


def _parse_value(text: str) -> Any:
    """The text as a TOML value; bare words are strings."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _open_all(study: Study, folder: Path) -> dict[str, ImageSet]:
    """Open every image set as `build` will, so that a wrong path is found now."""
    base = folder.resolve()
    sets = {"real": open_image_set(study.reference.images, base)}
    for name, condition in study.conditions.items():
        for number, location in enumerate(condition.images):
            key = name if len(condition.images) == 1 else f"{name}, run {number}"
            sets[key] = open_image_set(location, base)
    return sets


def _tell(folder: Path, study: Study, preset: Preset, sets: dict[str, ImageSet]) -> None:
    for name, images in sets.items():
        say(
            f"{name}: {len(images.images)} images ({images.layout}{f', {images.label}' if images.label else ''})"
        )
        for note in images.notes:
            say(f"  assumed: {note}")
        for warning in images.warnings:
            warn(f"{name}: {warning}")
    for departure in preset.departures:
        if departure.startswith("LEFT OUT"):
            warn(f"preset {preset.name}: {departure}")
    placeholders = study.ethics.placeholders()
    if placeholders:
        warn(f"[ethics] {', '.join(placeholders)}: to be filled in before real people can take part.")
    say(f"Wrote {folder / 'study.toml'} ({preset.title}). Read it, then: evalkit study build {folder}")
