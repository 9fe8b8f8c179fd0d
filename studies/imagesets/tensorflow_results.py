"""Results of affinelayer/pix2pix-tensorflow: `<name>-{inputs,outputs,targets}.png`, with an optional step in front.

Source: that repository's `save_images` (`%08d-` before the name while training).
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from studies.errors import UserError
from studies.imagesets.base import NamedImage, Reader, Remarks, image_files, named_images

_NAME = re.compile(r"(?:(?P<step>[0-9]{8})-)?(?P<stem>.+)-(?P<label>inputs|outputs|targets)\.png")


class TensorflowResults(Reader):
    """The source id is the name without step and label."""

    name = "tensorflow_results"
    title = "results of pix2pix-tensorflow"

    def recognises(self, folder: Path) -> bool:
        """Most image files are named `<name>-<label>.png`."""
        files = image_files(folder)
        return 2 * sum(_NAME.fullmatch(path.name) is not None for path in files) > len(files)

    def images(self, folder: Path) -> Mapping[str, tuple[NamedImage, ...]]:
        """Every label that occurs.

        Raises:
            UserError: Images of several training steps lie side by side.
        """
        found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
        steps = set()
        for path in image_files(folder):
            if match := _NAME.fullmatch(path.name):
                found[match["label"]].append((match["stem"], path))
                steps.add(match["step"])
        if len(steps) > 1:
            listed = ", ".join(sorted(step or "none" for step in steps))
            raise UserError(
                f"{folder}: images of several training steps ({listed}); a set must come from one. "
                "Move the images of one step into a folder of their own."
            )
        return {label: named_images(found[label]) for label in sorted(found)}

    def remarks(self, folder: Path, label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> Remarks:
        """A step in the name is said."""
        del folder
        first = _NAME.fullmatch(images[label][0].path.name)
        step = first["step"] if first else None
        return Remarks(notes=(f"images of training step {int(step)}",) if step else ())
