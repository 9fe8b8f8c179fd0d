"""`evalkit study init`: folders of images -> a study folder with a commented study.toml."""

import json
import os
import re
import secrets
import shlex
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from evalkit.cli.messages import say, warn
from studies.design import PLACEHOLDER, Study, parse_study
from studies.errors import UserError, did_you_mean
from studies.plan import check_pool
from studies.presets import Preset, load_preset, preset_names
from studies.stimuli import Source, collect
from studies.study_toml import render_study_toml
from webapp.config import create_secret_key

FEW_RUNS = 5
"""Below so many training runs an interval about a loss is very wide (docs/statistics.md)."""
_LISTS = (("analysis", "planned"), ("analysis", "contrasts"), ("metrics", "names"), ("page", "languages"))
"""Settings of which each is a list of words, so that one word is a slip."""


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--preset",
    default="pix2pix2017",
    show_default=True,
    help=f"Published protocol: {', '.join(preset_names())}.",
)
@click.option("--real", metavar="PATH[:LABEL]", help="The real images.")
@click.option(
    "--inputs",
    metavar="PATH[:LABEL]",
    help="The pictures the images were made from, if they are to be shown.",
)
@click.option(
    "--fake",
    "fakes",
    multiple=True,
    metavar="NAME=PATH[:LABEL]",
    help="One algorithm's images; repeat for more algorithms, repeat a NAME for more training runs of it.",
)
@click.option(
    "--from",
    "ablation",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Instead of both: a finished `evalkit ablate`; one algorithm per loss with its training runs, and the real set.",
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
    help="A setting of study.toml, e.g. --set protocol.scored=20, or --set 'analysis.contrasts=[\"a - b\"]'; repeatable.",
)
def init(
    folder: Path,
    preset: str,
    real: str | None,
    inputs: str | None,
    fakes: tuple[str, ...],
    ablation: Path | None,
    approval: str,
    contact: str,
    seed: int | None,
    settings: tuple[str, ...],
) -> None:
    """Make a study folder. PATH is a folder of images or a results folder of pix2pix/CycleGAN code."""
    if ablation is not None:
        if real or fakes:
            raise click.UsageError(
                "--from brings the real images and the fakes: leave out --real and --fake."
            )
        real, fakes, target = images_of_ablation(ablation)
        settings = (*target, *labels_of_ablation(ablation, folder), *settings)
    if not real:
        raise click.UsageError("Missing option '--real'. Or give a finished ablation with --from.")
    if not fakes:
        raise click.UsageError("Missing option '--fake'. Or give a finished ablation with --from.")
    create_study(
        folder,
        load_preset(preset),
        real,
        fakes,
        {"approval": approval, "contact": contact},
        seed,
        settings,
        inputs,
    )


def images_of_ablation(folder: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What a finished ablation says in the words of `create_study`: --real, --fake, and --set for its target.

    Several training runs per loss are there to speak of the loss, so that becomes the target; one run is one
    generator, which is what a study is about anyway.

    Raises:
        UserError: It is no ablation, or not a finished one (names what is missing and how to go on).
    """
    from generators.ablation import read_ablation

    record = read_ablation(folder)
    record.check_finished()
    fakes = tuple(f"{run.loss}={record.images(run)}" for run in record.runs)
    return str(record.real), fakes, ("analysis.target=this loss",) if len(record.seeds) > 1 else ()


def labels_of_ablation(folder: Path, study: Path) -> tuple[str, ...]:
    """--set for the label maps of its held-out inputs and their classes, as seen from the study's folder; none if it has none."""
    paths = {"labels": folder / "labels", "classes": folder / "labels" / "classes.json"}
    return tuple(
        f"metrics.{key}={json.dumps(_relative(str(path), study), ensure_ascii=False)}"
        for key, path in paths.items()
        if path.exists()
    )


def create_study(
    folder: Path,
    chosen: Preset,
    real: str,
    fakes: Sequence[str],
    ethics: dict[str, str],
    seed: int | None,
    settings: Sequence[str] = (),
    inputs: str | None = None,
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
    if inputs:
        tables["reference"]["inputs"] = _relative(inputs, folder)
    tables["conditions"] = _conditions(fakes, folder)
    tables["ethics"] = dict(ethics)
    for setting in settings:
        _override(tables, setting)
    study = parse_study(tables, f"{folder}/study.toml")
    sources, _ = collect(study, folder.resolve())
    check_pool(study, len(sources[1].images.images))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as beside:
        made = Path(beside) / "study"
        made.mkdir()
        create_secret_key(made)
        (made / ".gitignore").write_text("secret.key\nstudy.sqlite*\n.serving-*.lock\n", encoding="utf-8")
        (made / "study.toml").write_text(render_study_toml(study, chosen), encoding="utf-8")
        made.rename(folder)
    _tell(folder, study, chosen, sources)


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
    value = _parse_value(text)
    if (table, key) in _LISTS and not isinstance(value, list):
        words = json.dumps([word.strip() for word in text.split(",")])
        raise UserError(f"--set {setting}: this is a list; write --set '{path}={words}'.")
    tables.setdefault(table, {})[key] = value


def _parse_value(text: str) -> Any:
    """The text as a TOML value; bare words are strings."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _tell(folder: Path, study: Study, preset: Preset, sources: Sequence[Source]) -> None:
    for source in sources:
        label = f", {source.images.label}" if source.images.label else ""
        say(f"{_name(source)}: {len(source.images.images)} images ({source.images.layout}{label})")
    for note, names in _by_text((note, _name(source)) for source in sources for note in source.images.notes):
        say(f"  assumed of {names}: {note}")
    for warning, names in _by_text(
        (text, _name(source)) for source in sources for text in source.images.warnings
    ):
        warn(f"{names}: {warning}")
    for note, names in _by_text((note, _name(source)) for source in sources for note in _notes(source)):
        warn(f"{names}: made with this to be said: {note}")
    for departure in preset.departures:
        if departure.startswith("LEFT OUT"):
            warn(f"preset {preset.name}: {departure}")
    for change in preset.changed_by(study.frozen_settings()):
        say(f"Departs from preset {preset.name}: {change}")
    if study.analysis.target == "this loss" and study.runs < FEW_RUNS:
        warn(
            f'{study.runs} training runs per algorithm: an interval about "this loss" rests on them alone and spans '
            f"much of the scale. Plan {FEW_RUNS} or more."
        )
    placeholders = study.ethics.placeholders()
    if placeholders:
        warn(f"[ethics] {', '.join(placeholders)}: to be filled in before real people can take part.")
    say(f"Wrote {folder / 'study.toml'}: study {study.id!r} after {preset.title}. Read it, then:")
    say(f"  evalkit study build {shlex.quote(str(folder))}")


def _name(source: Source) -> str:
    return source.condition if source.run == 0 else f"{source.condition} (run {source.run})"


def _notes(source: Source) -> list[str]:
    """What the manifest says beside the settings, e.g. that the training is not finished."""
    notes = (source.images.manifest or {}).get("notes", [])
    return [str(note) for note in notes] if isinstance(notes, list) else []


def _by_text(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Each text once, with the names of all it is said of."""
    names: dict[str, list[str]] = {}
    for text, name in pairs:
        names.setdefault(text, []).append(name)
    return ((text, ", ".join(of)) for text, of in names.items())
