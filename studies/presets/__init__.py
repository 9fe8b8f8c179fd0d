"""Published protocols as data: one TOML file each, whose name is the preset's name."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.errors import UserError, did_you_mean

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """A published protocol, where it comes from and where this project departs from it."""

    name: str
    title: str
    source: str
    departures: tuple[str, ...]
    tables: dict[str, dict[str, Any]]
    """The part of study.toml that it settles."""

    def changed_by(self, settings: dict[str, dict[str, Any]]) -> list[str]:
        """Where a study's settings (`Study.frozen_settings`) differ from what the preset settles, in words."""
        return [
            f"{table}.{key}: {value!r} -> {settings[table][key]!r}"
            for table, values in self.tables.items()
            for key, value in values.items()
            if settings[table][key] != value
        ]


def preset_names() -> list[str]:
    """The names of all presets."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_preset(name: str) -> Preset:
    """Read one preset.

    Raises:
        UserError: There is none of that name (names the nearest).
    """
    path = FOLDER / f"{name}.toml"
    if name not in preset_names():
        raise UserError(f"--preset {name}: no such preset.{did_you_mean(name, preset_names())}")
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    about = tables.pop("preset")
    return Preset(name, about["title"], about["source"], tuple(about["departures"]), tables)
