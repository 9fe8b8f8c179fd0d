"""Metrics as functions: folders, image sets or arrays in, one record out."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union

from evalkit.extras import need
from evalkit.metrics import METRICS
from evalkit.metrics.base import Array, Options, Precision
from evalkit.metrics.cache import Cache, default_cache_path
from evalkit.metrics.labelling import Labelling, open_labelling
from evalkit.metrics.pictures import PictureSet, picture_set
from evalkit.metrics.scoring import Candidate, chosen, score_sets
from evalkit.results import Score
from studies.errors import UserError
from studies.imagesets import ImageSet
from studies.records import REAL

if TYPE_CHECKING:
    from torch import Tensor

    from evalkit.metrics.segmenters import Segmenter


Images = Union[str, Path, ImageSet, Array, "Tensor"]
"""A folder (`PATH` or `PATH:label`), an opened ImageSet, NumPy uint8 (n, height, width, 3) or torch uint8
(n, 3, height, width)."""


def score_images(
    real: Images,
    fake: Images,
    names: str | list[str],
    *,
    labels: str | Path | None = None,
    classes: str | Path | None = None,
    segmenter: "Segmenter | str | Path | None" = None,
    absent: Literal["zero", "skip"] = "zero",
    precision: Precision = "fp32",
    random_weights: int | None = None,
    device: str = "auto",
    cache: bool = True,
    seed: int = 0,
) -> dict[str, Score]:
    """Scores of one set of fakes, by key.

    Args:
        real: The real images. Paired metrics match them with the fakes by name (arrays: by index).
        fake: The generated images.
        names: Metrics or single quantities, such as "fid" or ["ssim", "lpips_vgg"].
        labels: Folder of label maps of the inputs, for FCN-scores.
        classes: What they mean: a classes.json, or "cityscapes"; found beside them, or with the segmenter, if not given.
        segmenter: For FCN-scores: what `segmenters.from_callable` gives, a folder of `evalkit segmenter train`, "palette"
            or "ids".
        absent: FCN-scores: classes that no label has count as 0, as in pix2pix, or not at all.
        precision: fp16 only where it is faster and close enough; else fp32 is used.
        random_weights: Seed of random weights in place of pretrained ones; the scores say so.
        device: auto, cpu or cuda.
        cache: Keep features in the user's cache folder and use what is there.
        seed: Of every resampling.

    Raises:
        UserError: An image cannot be read, a name is unknown, weights are missing, or the sets do not fit the metric.
    """
    need("torch")
    asked = [names] if isinstance(names, str) else names
    reals, fakes = picture_set(real, name="real"), picture_set(fake, name="fake")
    if len(reals) != len(fakes) and not (_has_names(real) and _has_names(fake)):
        paired = [key for name, keys in chosen(asked).items() if METRICS[name].paired for key in keys]
        if paired:
            raise UserError(
                f"{', '.join(paired)}: {len(reals)} real images and {len(fakes)} fakes; arrays are matched by index and "
                "must be of one length."
            )
    maps, found = _labelled(labels, classes, segmenter, fakes.source_ids)
    options = Options(precision, random_weights, device, found, absent, seed=seed)
    kept = Cache(default_cache_path()) if cache else None
    try:
        scored = score_sets(reals, [Candidate("fake", None, fakes)], asked, options, labels=maps, cache=kept)
    finally:
        if kept is not None:
            kept.close()
    for line in scored.remarks:
        warnings.warn(line, stacklevel=2)
    if scored.left_out:
        raise UserError(scored.left_out[0])
    return {score.key: score for score in scored.scores if not score.detail and score.condition != REAL}


def _has_names(images: Images) -> bool:
    return isinstance(images, str | Path | ImageSet)


def _labelled(
    labels: str | Path | None,
    classes: str | Path | None,
    segmenter: "Segmenter | str | Path | None",
    inputs: tuple[str, ...],
) -> "tuple[PictureSet | None, Segmenter | None]":
    """Label maps and segmenter, opened; those of a segmenter of one's own are read with its classes."""
    if segmenter is None or isinstance(segmenter, str | Path):
        told = (None if one is None else str(one) for one in (labels, classes, segmenter))
        return open_labelling(Labelling(*told), inputs)
    from evalkit.metrics.label_maps import label_set

    return None if labels is None else label_set(labels, segmenter.classes, matching=inputs), segmenter


def fid(real: Images, fake: Images, **options: Any) -> Score:
    """Fréchet Inception distance, equal to pytorch-fid's, with its interval; lower is better.

    Takes the options of `score_images`. Raises as it does.

    >>> drawn = fid("real", "fake", random_weights=0, device="cpu", cache=False)
    >>> drawn.mark
    'random features, not comparable'
    >>> drawn.higher_is_better
    False

    Source: Heusel et al. 2017; pytorch-fid 0.3.0.
    """
    return score_images(real, fake, "fid", **options)["fid"]


def kid(real: Images, fake: Images, **options: Any) -> Score:
    """Kernel Inception distance (not times 1000), with its interval; lower is better.

    Takes the options of `score_images`. Raises as it does.

    Source: Binkowski et al. 2018.
    """
    return score_images(real, fake, "kid", **options)["kid"]


def lpips(
    real: Images, fake: Images, network: Literal["alex", "vgg", "squeeze"] = "alex", **options: Any
) -> Score:
    """Mean learned perceptual distance over pairs of the same name, equal to lpips 0.1.4; lower is better.

    Takes the options of `score_images`. Raises as it does.

    Source: Zhang et al. 2018.
    """
    key = f"lpips_{network}"
    return score_images(real, fake, key, **options)[key]


def ssim(real: Images, fake: Images, **options: Any) -> Score:
    """Mean structural similarity over pairs of the same name; higher is better.

    Takes the options of `score_images`. Raises as it does.

    >>> ssim("real", "real", device="cpu", cache=False).value
    1.0

    Source: Wang et al. 2004.
    """
    return score_images(real, fake, "ssim", **options)["ssim"]


def psnr(real: Images, fake: Images, **options: Any) -> Score:
    """Mean peak signal-to-noise ratio over pairs of the same name, in dB; higher is better.

    Takes the options of `score_images`. Raises as it does.
    """
    return score_images(real, fake, "psnr", **options)["psnr"]
