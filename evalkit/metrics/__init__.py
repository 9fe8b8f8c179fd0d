"""Scores of image sets. A new metric is a module here plus one line in METRICS.

Importing this imports no torch; metrics load networks only when something must be computed with them.
"""

from evalkit.metrics.base import Metric
from evalkit.metrics.fcn import Fcn
from evalkit.metrics.fid import Fid
from evalkit.metrics.input_sensitivity import InputSensitivity
from evalkit.metrics.kid import Kid
from evalkit.metrics.lab_histogram import LabHistogram
from evalkit.metrics.lpips import Lpips
from evalkit.metrics.pixel import Pixel
from evalkit.metrics.precision_recall import PrecisionRecall
from evalkit.metrics.spectrum import Spectrum

METRICS: dict[str, Metric] = {
    "fid": Fid(),
    "kid": Kid(),
    "precision_recall": PrecisionRecall(),
    "lpips": Lpips(),
    "pixel": Pixel(),
    "lab_histogram": LabHistogram(),
    "fcn": Fcn(),
    "input_sensitivity": InputSensitivity(),
    "spectrum": Spectrum(),
}

__all__ = ["METRICS", "Metric"]
