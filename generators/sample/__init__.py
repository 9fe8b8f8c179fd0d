"""A trained generator and its inputs -> an image set with its manifest."""

from generators.sample.inference import Inference
from generators.sample.reals import real_picture, write_reals
from generators.sample.reference_checkpoints import ReferenceOptions, is_reference_checkpoint
from generators.sample.sampling import generate

__all__ = [
    "Inference",
    "ReferenceOptions",
    "generate",
    "is_reference_checkpoint",
    "real_picture",
    "write_reals",
]
