"""An image set's folder appears when it is whole, and takes no other folder's place."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generators.data import is_known
from generators.runs import disk_errors
from studies.errors import UserError

GROWS = "total_images"
"""The one setting of a run that may change while it stays the same run."""


def check_free(out: Path, generator: str, settings: Mapping[str, Any]) -> None:
    """Refuse a place that holds anything but an older image set of the same run.

    Raises:
        UserError: Says what to do.
    """
    if out.name in ("", ".."):
        raise UserError(
            f"{out}: has no name of its own, and the folder of images is put there whole. Name a new one."
        )
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not _same_run(out, generator, settings):
        raise UserError(
            f"{out}: exists and is no image set of this run. Choose another --out, or remove it first."
        )


def check_outside(out: Path, inputs: str) -> None:
    """Refuse a place among the inputs: read again, they would hold what was made of them.

    Raises:
        UserError: Names both.
    """
    folder = Path(inputs).expanduser()
    if not is_known(inputs) and folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{out}: lies in {inputs}, whose images are the inputs; what is made of them would be taken for more of "
            "them. Choose another --out."
        )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside `out` to write into; it takes the place of `out` at the end, unless something fails.

    Raises:
        UserError: No space left, or the place may not be written.
    """
    beside, old = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.old")
    with disk_errors(out):
        for left in (beside, old):
            if left.exists():
                shutil.rmtree(left)
        beside.mkdir(parents=True)
        try:
            yield beside
            if out.exists():
                out.rename(old)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _same_run(out: Path, generator: str, settings: Mapping[str, Any]) -> bool:
    try:
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(manifest, dict) or manifest.get("generator") != generator:
        return False
    mine = json.loads(json.dumps(dict(settings)))
    theirs = manifest.get("settings")
    return isinstance(theirs, dict) and theirs | {GROWS: 0} == mine | {GROWS: 0}
