"""Results of the old Torch code: one subfolder per kind.

pix2pix: `<epoch>_net_G_<phase>/images/{input,output,target}/<original file name>`; CycleGAN:
`<epoch>_<phase>/images/{real_A,fake_B,rec_A,real_B,fake_A,rec_B}/<stem>.png`.

Source: phillipi/pix2pix and junyanz/CycleGAN, test.lua.
"""

from collections.abc import Mapping
from pathlib import Path

from studies.imagesets.base import NamedImage, Reader, Remarks, image_files, named_images, subfolders
from studies.imagesets.cyclegan_pairing import pairing_warnings

PIX2PIX_LABELS = ("input", "output", "target")
CYCLEGAN_LABELS = ("real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B", "identity_A", "identity_B")


class TorchResults(Reader):
    """The label is the subfolder, the source id the file's stem."""

    name = "torch_results"
    title = "results of the Torch pix2pix/CycleGAN code"

    def recognises(self, folder: Path) -> bool:
        """Holds at least two subfolders of images with names of one of the tools, or one and nothing else."""
        found = _label_folders(folder)
        return len(found) >= 2 or (
            len(found) == 1 == len(list(subfolders(folder))) and not image_files(folder)
        )

    def images(self, folder: Path) -> Mapping[str, tuple[NamedImage, ...]]:
        """Every kind that has images."""
        found = _label_folders(folder)
        return {
            label: named_images((path.stem, path) for path in image_files(found[label])) for label in found
        }

    def remarks(self, folder: Path, label: str, images: Mapping[str, tuple[NamedImage, ...]]) -> Remarks:
        """CycleGAN's pairing is not certain."""
        del folder, images
        return Remarks(warnings=pairing_warnings(label))


def _label_folders(folder: Path) -> dict[str, Path]:
    """The largest group of kinds of one tool: `input` beside `real_A` would belong to neither."""
    inner = {path.name: path for path in subfolders(folder)}
    groups = [
        {label: inner[label] for label in labels if label in inner and image_files(inner[label])}
        for labels in (PIX2PIX_LABELS, CYCLEGAN_LABELS)
    ]
    return max(groups, key=len)
