"""Results folder of junyanz/pytorch-CycleGAN-and-pix2pix: `<stem>_<label>.png`, all labels in one folder.

Also its training web images, `checkpoints/<name>/web/images/epoch%.3d_<label>.png`.

Source: the code of that repository (`util/visualizer.py`, `models/*_model.py`): how it names what it writes.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from studies.imagesets.base import NamedImage, Reader, Remarks, image_files, named_images
from studies.imagesets.cyclegan_pairing import pairing_warnings

LABELS = (
    *("real_B_rgb", "fake_B_rgb"),  # before real_B: longest first
    *("real_A", "real_B", "fake_A", "fake_B", "rec_A", "rec_B", "idt_A", "idt_B", "real", "fake"),
)
_NAME = re.compile(rf"(?P<stem>.+)_(?P<label>{'|'.join(LABELS)})\.png")
"""Anchored at the end, because stems often end in a label themselves: `1_A_fake_B.png`."""
_TRAINING = re.compile(r"epoch[0-9]{3,}")
_OPTION = re.compile(r"\s*(?P<key>\w+):\s*(?P<value>.*?)\s*(?:\[default:.*\])?\s*")

DEFAULT_NUM_TEST = 50
"""Default of the tool's `--num_test`. Source: options/test_options.py."""


class Pix2pixResults(Reader):
    """The source id is the stem before the label."""

    name = "pix2pix_results"
    title = "results of the PyTorch pix2pix/CycleGAN code"

    def recognises(self, folder: Path) -> bool:
        """Most image files are named `<stem>_<label>.png`; most, because people add montages of their own."""
        files = image_files(folder)
        return 2 * sum(_NAME.fullmatch(path.name) is not None for path in files) > len(files)

    def images(self, folder: Path) -> Mapping[str, tuple[NamedImage, ...]]:
        """Every label that occurs, with its images."""
        found: dict[str, list[tuple[str, Path]]] = defaultdict(list)
        for path in image_files(folder):
            if match := _NAME.fullmatch(path.name):
                found[match["label"]].append((match["stem"], path))
        return {label: named_images(found[label]) for label in sorted(found)}

    def remarks(self, folder: Path, label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> Remarks:
        """Direction, dropout and rounding as notes; pairing, num_test, training snapshots and strays as warnings."""
        chosen = images[label]
        warnings = [*_pairing(label, images), *_training(chosen), *_few(chosen), *_strays(folder)]
        return Remarks((*_options(folder, label), _ROUNDING), tuple(warnings))


_ROUNDING = "the tool cuts pixel values off instead of rounding them: at most one grey level low"


def _pairing(label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> list[str]:
    cyclegan = "fake_A" in images or any(other.startswith(("rec_", "idt_")) for other in images)
    return list(pairing_warnings(label)) if cyclegan else []


def _training(chosen: tuple[NamedImage, ...]) -> list[str]:
    if not all(_TRAINING.fullmatch(image.source_id) for image in chosen):
        return []
    return ["snapshots from training: every image is from another epoch and of an unnamed training input"]


def _few(chosen: tuple[NamedImage, ...]) -> list[str]:
    if len(chosen) != DEFAULT_NUM_TEST:
        return []
    text = (
        f"exactly {DEFAULT_NUM_TEST} images, the default of the tool's --num_test: the test set is probably larger; "
        "run its test.py again with a larger --num_test to use all of it"
    )
    return [text]


def _strays(folder: Path) -> list[str]:
    strays = [path.name for path in image_files(folder) if not _NAME.fullmatch(path.name)]
    return (
        [f"{len(strays)} image files without a label in their name are left out, e.g. {strays[0]}"]
        if strays
        else []
    )


def _options(folder: Path, label: str) -> list[str]:
    """What the run's option file says; what is assumed where there is none."""
    path = _option_file(folder)
    if path is None:
        if not label.endswith(("_A", "_B")):
            return []
        return [
            "no test_opt.txt found: A is taken as the network's input, B as its output, whatever the direction"
        ]
    matches = (
        _OPTION.fullmatch(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
    )
    options = {match["key"]: match["value"] for match in matches if match}
    shown = [
        f"{key}={options[key]}"
        for key in ("model", "direction", "epoch", "eval", "no_dropout")
        if key in options
    ]
    notes = [f"{path.name}: {', '.join(shown)}"]
    if options.get("direction") == "BtoA":
        notes.append("direction=BtoA: real_A is the data set's B, because A always means the network's input")
    if options.get("model") == "pix2pix" and options.get("eval") == options.get("no_dropout") == "False":
        notes.append("dropout was on while testing: these outputs are one random draw")
    return notes


def _option_file(folder: Path) -> Path | None:
    """The option file beside the images, in the run's folder, or in checkpoints/<name> beside results/."""
    places = [folder, *list(folder.resolve().parents)[:2]]  # images, test_latest, <name>
    name = places[-1].name
    places.append(places[-1].parent.parent / "checkpoints" / name)
    options = (place / file for place in places for file in ("test_opt.txt", "train_opt.txt"))
    return next((path for path in options if path.is_file()), None)
