"""The stimulus bundle: what every participant's browser is served, and the manifest that says where it came from."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.design import Study, load_study
from studies.errors import UserError
from studies.records import Stimulus
from studies.stimuli.uniform import file_properties, refuse_differences

FOLDER = "stimuli"
MANIFEST = "manifest.json"
FORMAT = "evalkit stimuli 2"


@dataclass(frozen=True)
class Original:
    """The file a stimulus was made from."""

    path: str
    """Relative to the study folder where it was typed so."""
    file_digest: str
    """SHA-256 of the original file's bytes."""


@dataclass(frozen=True)
class NearDuplicates:
    """How much one training run repeats itself."""

    condition: str
    run: int
    share: float
    """Of its images that have a near-duplicate among the others, 0 to 1."""
    examples: tuple[tuple[str, str], ...]
    """A few such pairs, by source id."""


@dataclass(frozen=True)
class Making:
    """What an image set's own manifest.json says of how its images were made."""

    condition: str
    """The algorithm, or `real`."""
    run: int
    manifest: Mapping[str, Any]
    """The manifest without its list of images: generator, settings, seed and more."""


@dataclass(frozen=True)
class Bundle:
    """All images of a study in one size, format and file length."""

    study: str
    stimuli: tuple[Stimulus, ...]
    """The reference first, then the conditions in the study's order, run by run, then the images of attention checks;
    inputs in natural order."""
    width_px: int
    height_px: int
    file_length_bytes: int
    """Of every file."""
    recipe: tuple[str, ...]
    """What was done to the images, in words, in order."""
    warnings: tuple[str, ...]
    near_duplicates: tuple[NearDuplicates, ...]
    """One entry per condition and run."""
    makings: tuple[Making, ...]
    """One entry per image set that brought a manifest."""
    originals: Mapping[str, Original]
    """By stimulus id."""
    sources: Mapping[str, Any]
    """The settings of study.toml it was built by; see `bundle_settings`."""
    digest: str
    """SHA-256 of the canonical manifest without this digest."""


def bundle_settings(study: Study) -> dict[str, Any]:
    """The settings that decide what is in the bundle; a change to any of them asks for a new one."""
    return {
        "seed": study.study.seed,
        "reference": study.reference.images,
        "inputs": study.reference.inputs,
        "conditions": {name: list(condition.images) for name, condition in study.conditions.items()},
        "size_px": study.stimuli.size_px,
        "crop": study.stimuli.crop,
        "checks": (study.checks.images or "made from the real images") if study.checks_per_session else None,
    }


def sealed(bundle: Bundle) -> Bundle:
    """The same bundle with its digest filled in."""
    return dataclasses.replace(bundle, digest=_digest(_content(bundle)))


def manifest_text(bundle: Bundle) -> str:
    """The manifest as it is written."""
    return json.dumps({**_content(bundle), "digest": bundle.digest}, indent=1, ensure_ascii=False) + "\n"


def load_bundle(folder: Path, *, verify: bool = True, study: Study | None = None) -> Bundle:
    """Read the bundle of a study folder.

    Args:
        folder: The study folder; the bundle lies in its `stimuli/`.
        verify: Also compare every file with its digest, and with the others in all but the picture (reads them all).
        study: Whose bundle it should be; by default that of the folder's study.toml, if there is one.

    Raises:
        UserError: There is none, it was changed after it was built, a file is missing, changed or new, or
            study.toml now names other images or another size.
    """
    path = folder / FOLDER / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder}: no stimulus bundle yet. Run `evalkit study build {folder}`.")
    bundle = _read(path, folder)
    if study is None and (folder / "study.toml").is_file():
        study = load_study(folder)
    if study is not None:
        _refuse_other_settings(bundle, study, folder)
    if verify:
        _verify_files(bundle, folder)
    return bundle


def _content(bundle: Bundle) -> dict[str, Any]:
    fields = dataclasses.asdict(bundle)
    del fields["digest"]
    return json.loads(json.dumps({"format": FORMAT, **fields}))  # type: ignore[no-any-return]  # what json loads is Any


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: Path, folder: Path) -> Bundle:
    again = f"Run `evalkit study build {folder}` again."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        digest, found_format = content.pop("digest"), content.get("format")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: not a manifest that can be read. {again}") from error
    if found_format != FORMAT:
        raise UserError(f"{path}: format {found_format!r}; this version reads {FORMAT!r}. {again}")
    if digest != _digest(content):
        raise UserError(f"{path}: changed after the bundle was built (its digest does not fit). {again}")
    del content["format"]
    content["stimuli"] = tuple(Stimulus(**fields) for fields in content["stimuli"])
    content["originals"] = {key: Original(**fields) for key, fields in content["originals"].items()}
    content["makings"] = tuple(Making(**fields) for fields in content["makings"])
    content["near_duplicates"] = tuple(
        NearDuplicates(**{**fields, "examples": tuple((one, other) for one, other in fields["examples"])})
        for fields in content["near_duplicates"]
    )
    content["recipe"], content["warnings"] = tuple(content["recipe"]), tuple(content["warnings"])
    return Bundle(**content, digest=digest)


def _refuse_other_settings(bundle: Bundle, study: Study, folder: Path) -> None:
    names = {
        "seed": "[study] seed",
        "reference": "[reference] images",
        "conditions": "[conditions]",
        "checks": "[checks] images",
    }
    for key, wanted in bundle_settings(study).items():
        built = bundle.sources.get(key)
        if built != wanted:
            raise UserError(
                f"{folder / FOLDER}: built with {names.get(key, f'[stimuli] {key}')} = {built!r}, study.toml now says "
                f"{wanted!r}. Run `evalkit study build {folder}` again, or undo the change."
            )


def _verify_files(bundle: Bundle, folder: Path) -> None:
    inside = folder / FOLDER
    again = f"Run `evalkit study build {folder}` again."
    found = []
    for stimulus in bundle.stimuli:
        path = inside / stimulus.file
        if not path.is_file():
            raise UserError(f"{path}: missing from the bundle. {again}")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != stimulus.file_digest:
            raise UserError(f"{path}: changed after the bundle was built. {again}")
        found.append((stimulus.file, file_properties(stimulus.file, data)))
    refuse_differences(found, inside)
    strangers = (
        {path.name for path in inside.iterdir()} - {stimulus.file for stimulus in bundle.stimuli} - {MANIFEST}
    )
    if strangers:
        raise UserError(f"{inside / min(strangers)}: does not belong to the bundle. Move it away.")
