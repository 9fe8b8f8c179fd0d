"""Training the network of FCN-scores on one's own labelled photos, by the one training loop."""

from generators.segmenter.settings import SegmenterSettings, segmenter_config
from generators.segmenter.toy import train_toy_segmenter
from generators.segmenter.training import Trained, train_segmenter
from generators.segmenter.verifying import Row, verify

__all__ = [
    "Row",
    "SegmenterSettings",
    "Trained",
    "segmenter_config",
    "train_segmenter",
    "train_toy_segmenter",
    "verify",
]
