"""index.html: the ablation to look through, with relative links and without scripts."""

import datetime
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from generators.ablation.comparison import Row, comparison_rows, draw_grid
from generators.ablation.curves import draw_curves
from generators.ablation.held_out import SPLIT
from generators.ablation.record import AblationRecord, RunKey
from generators.runs import disk_errors, replace_durably
from generators.training_loop.log import read_stats

PAGE, GRID, CURVES = "index.html", "grid.png", "curves.svg"
_WIDTH_PX, _MOST_PX = 1120, 288
"""Room for a row of pictures, and for one of them."""
_SECTIONS = ("data", "training", "settings")


@dataclass(frozen=True)
class RunLine:
    """One line of the page's table of runs."""

    run: RunKey
    images_shown: int
    finished: bool
    time: str
    checkpoint: str
    """File name of the checkpoint that made the images, and the start of its digest."""
    images: int
    """In its image set."""
    samples: str
    """The last sample grid, relative; empty if there is none."""
    notes: tuple[str, ...]


def write_page(record: AblationRecord) -> Path:
    """Write grid.png, curves.svg and index.html from what there is so far; returns the page's path."""
    folder = record.folder
    # An ablation that began before `paired` was written goes on.
    split = {"paired": True, **json.loads((folder / SPLIT).read_text(encoding="utf-8"))}
    grids = {seed: comparison_rows(record, seed, paired=split["paired"]) for seed in record.seeds}
    picture = draw_grid(grids[record.seeds[0]], record.losses)
    curves = draw_curves(record)
    environment = Environment(
        loader=PackageLoader("generators.ablation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["relative"] = lambda path: quote(os.path.relpath(path, folder.resolve()))
    environment.filters["as_typed"] = lambda path: shlex.quote(str(path))
    text = environment.get_template(PAGE).render(
        record=record,
        lines=[_line(record, run) for run in record.runs],
        missing=record.missing(),
        grids={seed: rows for seed, rows in grids.items() if seed == record.seeds[0] or _any_made(rows)},
        cell_px=_cell_px(grids[record.seeds[0]][0].input, len(record.losses) + 2),
        split=split,
        settings={name: record.config[name] for name in _SECTIONS},
        has_labels=(folder / "labels").is_dir(),
        has_curves=bool(curves),
        n_inputs=len(_manifest(folder / "inputs")["images"]),
        written=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    with disk_errors(folder):
        replace_durably(folder / GRID, lambda stream: picture.save(stream, "png", compress_level=3))
        if curves:
            replace_durably(folder / CURVES, lambda stream: stream.write(curves.encode()) and None)
        replace_durably(folder / PAGE, lambda stream: stream.write(text.encode()) and None)
    return folder / PAGE


def _any_made(rows: list[Row]) -> bool:
    return any(row.made for row in rows)


def _cell_px(example: Path, columns: int) -> int:
    """Side at which pictures are shown: a whole multiple of their own where they are small."""
    with Image.open(example) as image:
        side = max(image.size)
    room = min(_WIDTH_PX // columns, _MOST_PX)
    return room // side * side or room


def _line(record: AblationRecord, run: RunKey) -> RunLine:
    stats = read_stats(record.run_folder(run))
    shown = stats[-1]["images"] if stats else 0
    manifest = _manifest(record.images(run))
    checkpoint = manifest.get("checkpoint", {})
    grids = sorted((record.run_folder(run) / "samples").glob("*.png"))
    return RunLine(
        run,
        checkpoint.get("images_shown", shown),
        record.has_images(run),
        duration(stats[-1]["seconds"]) if stats else "",
        f"{checkpoint['file']} ({checkpoint['sha256'][:8]})" if checkpoint else "",
        len(manifest.get("images", [])),
        os.path.relpath(grids[-1], record.folder) if grids else "",
        tuple(manifest.get("notes", [])),
    )


def _manifest(folder: Path) -> Mapping[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def duration(seconds: float) -> str:
    """In words for people: 42 s, 5 min 10 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
