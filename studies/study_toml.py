"""Writes a commented study.toml; the comments are the docstrings of the settings."""

import json
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from studies.design import Study
from studies.presets import Preset

SECTIONS = (
    "checks",
    "stimuli",
    "display",
    "page",
    "reference",
    "conditions",
    "metrics",
    "exclusions",
    "analysis",
    "stopping",
    "rehearsal",
    "recruitment",
    "ethics",
)


def render_study_toml(study: Study, preset: Preset | None) -> str:
    """The text of study.toml: every setting with what it means, unset ones commented out."""
    lines = [f"# Study {study.id!r}. Edit freely until the first live session; later changes are amendments."]
    if preset is not None:
        lines += [
            f"# Preset {preset.name}: {preset.title}",
            f"#   {preset.source}",
            "# It departs from its source:",
        ]
        lines += [f"#   - {departure}" for departure in preset.departures]
        changed = preset.changed_by(study.frozen_settings())
        lines += (
            ["# This study departs from the preset:", *(f"#   - {text}" for text in changed)]
            if changed
            else []
        )
    lines += ["", "[study]", *_settings(study.study)]
    lines += ["", "[protocol]", "# How a trial is shown and graded.", f"name = {_value(study.protocol.name)}"]
    fields: dict[str, FieldInfo] = type(study.protocol).__pydantic_fields__  # type: ignore[attr-defined]  # pydantic dataclass
    lines += _fields(fields, study.protocol)
    for name in SECTIONS:
        section = getattr(study, name)
        if name == "conditions":
            for condition, settings in section.items():
                lines += ["", f"[conditions.{condition}]", *_settings(settings)]
        else:
            lines += ["", f"[{name}]", *_settings(section)]
            lines += [line for part in _used_parts(section) for line in _part(name, part, section)]
    return "\n".join(lines) + "\n"


def _used_parts(section: BaseModel) -> Iterator[str]:
    """Tables inside a section, where the section names them or they say something."""
    for key, value in section:
        if isinstance(value, BaseModel) and (getattr(section, "name", "") == key or value != type(value)()):
            yield key
        elif isinstance(value, dict):
            yield from (f"{key}.{name}" for name in value)


def _part(name: str, part: str, section: BaseModel) -> Iterator[str]:
    key, _, inner = part.partition(".")
    settings = getattr(section, key)
    yield from ("", f"[{name}.{part}]")
    yield from _settings(settings[inner] if inner else settings)


def _settings(section: BaseModel) -> Iterator[str]:
    return _fields(type(section).model_fields, section)


def _fields(fields: dict[str, FieldInfo], section: object) -> Iterator[str]:
    for key, info in fields.items():
        value = getattr(section, key)
        if isinstance(value, (BaseModel, dict)):
            continue
        if info.description:
            yield "# " + " ".join(info.description.split()) + _allowed(info)
        yield f"# {key} =" if value is None else f"{key} = {_value(value)}"


def _allowed(info: FieldInfo) -> str:
    """The values of a setting that has only a few."""
    if get_origin(info.annotation) is not Literal:
        return ""
    return f" ({' | '.join(map(str, get_args(info.annotation)))})"


def _value(value: Any) -> str:
    """A TOML value; JSON's strings, numbers, booleans and lists are TOML too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
