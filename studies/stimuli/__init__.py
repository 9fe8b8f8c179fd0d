"""Image sets -> one uniform stimulus bundle, so that only the picture itself can tell real from fake."""

from studies.imagesets import pixel_digest
from studies.stimuli.build import build_bundle
from studies.stimuli.bundle import FOLDER, Bundle, Making, NearDuplicates, Original, load_bundle
from studies.stimuli.collect import Source, collect

__all__ = [
    "FOLDER",
    "Bundle",
    "Making",
    "NearDuplicates",
    "Original",
    "Source",
    "build_bundle",
    "collect",
    "load_bundle",
    "pixel_digest",
]
