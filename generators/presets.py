"""Training runs of the papers, and small ones for the made-up facades; `--set key=value` changes what differs.

Lengths are epochs times training images. Every default of a setting has its source beside its definition; what a
preset sets otherwise, and what in it is only remembered, is said in `ABOUT`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from generators.config import DataSettings, RunConfig, TrainingSettings, override
from generators.data import is_known, settle_direction
from generators.data.locations import check_one_meaning
from generators.methods.cyclegan import CycleGANSettings
from generators.methods.perceptual import PerceptualSettings
from generators.methods.perceptual_objective import read_style
from generators.methods.pix2pix import Pix2PixSettings
from studies.errors import UserError, did_you_mean

_MEMORY = "from memory, unverified"
_ISOLA = "Isola et al. 2017 (arXiv v3), section 6.2"
_ZHU = "Zhu et al. 2017, sections 5 and 7"
_JOHNSON = "Johnson et al. 2016"


class _Preset(NamedTuple):
    config: RunConfig
    about: str


def load_preset(name: str) -> RunConfig:
    """The config that a name stands for, without a dataset.

    Raises:
        UserError: No such preset; the nearest is named.
    """
    if name not in PRESETS:
        raise UserError(
            f"--preset {name}: no such preset.{did_you_mean(name, PRESETS)} `evalkit train --presets` lists all."
        )
    return PRESETS[name]


def new_run(preset: str, location: str, assignments: Sequence[str] = ()) -> RunConfig:
    """The config of a run that begins: a preset, a dataset, and what `--set` changes.

    Args:
        preset: Key of `PRESETS`.
        location: Folder of the dataset, or a name that `evalkit data list` shows.
        assignments: `key=value`, as for `--set`.

    Raises:
        UserError: An unknown preset or key, a value that is not allowed, no such dataset, one that does not tell which
            side holds its label maps where the preset asks for labels to photos, or no such style image.
    """
    config = override(load_preset(preset), assignments)
    check_one_meaning(location)
    place = location if is_known(location) else str(Path(location).absolute())
    settings = config.settings
    if isinstance(settings, PerceptualSettings) and settings.style_image:
        # As the dataset's: a run goes on wherever its command is given.
        style = Path(settings.style_image).absolute()
        read_style(style, settings.style_size_px)  # said now, not once VGG-16 has been fetched
        settings = dataclasses.replace(settings, style_image=str(style))
    data = settle_direction(place, config.data)
    return dataclasses.replace(config, location=place, data=data, settings=settings)


def _pix2pix(about: str, data: DataSettings, images: int, batch: int = 1, **settings: Any) -> _Preset:
    """Constant learning rate, as in the paper and its Lua code; the PyTorch port lets it fall over the second half."""
    training = TrainingSettings(total_images=images, batch_size=batch)
    return _Preset(
        RunConfig("", "pix2pix", data=data, training=training, settings=Pix2PixSettings(**settings)), about
    )


def _cyclegan(about: str, epochs_of: int, data: DataSettings | None = None, **settings: Any) -> _Preset:
    """100 epochs at a constant rate and 100 over which it falls to 0; an epoch shows the larger domain once."""
    training = TrainingSettings(total_images=200 * epochs_of, decay_images=100 * epochs_of)
    unpaired = data or DataSettings(task="unpaired")
    return _Preset(
        RunConfig("", "cyclegan", data=unpaired, training=training, settings=CycleGANSettings(**settings)),
        about,
    )


def _super_resolution(what: str, scale_factor: Literal[4, 8], **weights: Any) -> _Preset:
    data = DataSettings(
        task="super_resolution", load_size_px=0, crop_size_px=288, mirror=False, scale_factor=scale_factor
    )
    settings = PerceptualSettings(style_weight=0.0, base_filters=64, n_blocks=4, norm="batch", **weights)
    about = (
        f"Super-resolution x{scale_factor}, {what}: 288 px patches of 10,000 COCO images, batch 4, 200,000 iterations, "
        f"Adam 1e-3 (filters and blocks {_MEMORY}). Source: {_JOHNSON}, section 4.2 and supplement."
    )
    return _Preset(_perceptual(data, 4 * 200_000, settings), about)


def _perceptual(data: DataSettings, images: int, settings: PerceptualSettings) -> RunConfig:
    # Adam's betas are torch's and Lua's defaults: neither paper nor code sets others.
    training = TrainingSettings(total_images=images, batch_size=4, learning_rate=1e-3, beta1=0.9, beta2=0.999)
    return RunConfig("", "perceptual", data=data, training=training, settings=settings)


_LABELS_TO_PHOTO = DataSettings(direction="labels_to_photos")
_PHOTO_TO_LABELS = DataSettings(direction="photos_to_labels")
_EDGES = DataSettings(load_size_px=256, mirror=False)
_PAINTINGS: dict[str, Any] = {"lambda_identity": 0.5}
_CYCLEGAN_128 = DataSettings(task="unpaired", load_size_px=143, crop_size_px=128)
_TOY = DataSettings(direction="labels_to_photos", load_size_px=72, crop_size_px=64)
_TOY_FILTERS: dict[str, Any] = {"base_filters": 16, "discriminator_filters": 16}

_PRESETS = {
    "pix2pix_facades": _pix2pix(
        f"Labels to photos, 400 training images, 200 epochs (epochs and batch {_MEMORY}). Source: {_ISOLA}.",
        _LABELS_TO_PHOTO,
        200 * 400,
    ),
    "pix2pix_cityscapes": _pix2pix(
        "Labels to photos, 2975 training images, 200 epochs; for the encoder-decoder's Table 2 set batch_size=10. "
        f"Source: {_ISOLA}; Tables 1 to 3.",
        _LABELS_TO_PHOTO,
        200 * 2975,
    ),
    "pix2pix_cityscapes_photo_to_labels": _pix2pix(
        f"Photos to labels, 2975 training images, 200 epochs. Source: {_ISOLA}; Table 6.",
        _PHOTO_TO_LABELS,
        200 * 2975,
    ),
    "pix2pix_maps": _pix2pix(
        "Map to aerial photo, 1096 training images, 200 epochs; trained at 256 px, run at 512, shown at 256 (epochs and "
        f"batch {_MEMORY}). Source: {_ISOLA}; section 4 (Table 4).",
        dataclasses.replace(_LABELS_TO_PHOTO, test_size_px=512, display_size_px=256),
        200 * 1096,
    ),
    "pix2pix_maps_photo_to_map": _pix2pix(
        f"Aerial photo to map, otherwise as pix2pix_maps (epochs and batch {_MEMORY}). Source: {_ISOLA}; Table 4.",
        dataclasses.replace(_PHOTO_TO_LABELS, test_size_px=512, display_size_px=256),
        200 * 1096,
    ),
    "pix2pix_edges2shoes": _pix2pix(
        f"Edges to shoes, 50,000 training images, 15 epochs, batch 4, no jitter (all but the number of images "
        f"{_MEMORY}). Source: {_ISOLA}.",
        _EDGES,
        15 * 50_000,
        4,
    ),
    "pix2pix_edges2handbags": _pix2pix(
        f"Edges to handbags, 137,000 training images, 15 epochs, batch 4, no jitter (all but the number of images "
        f"{_MEMORY}). Source: {_ISOLA}.",
        _EDGES,
        15 * 137_000,
        4,
    ),
    "pix2pix_colorization": _pix2pix(
        f"Grey photos to colours in Lab, ImageNet's 1.2 million images, 6 epochs, batch 4, mirrored only ({_MEMORY}). "
        f"Source: {_ISOLA}; Table 5.",
        DataSettings(task="colorization", load_size_px=256),
        6 * 1_200_000,
        4,
    ),
    "pix2pix_day2night": _pix2pix(
        "Day to night, 17,823 training images (counted as 17,824 to fill the last batch), 17 epochs, batch 4 (epochs, "
        f"batch and that night2day has the night on the left {_MEMORY}: look at one file). Source: {_ISOLA}.",
        DataSettings(direction="BtoA"),
        17 * 17_824,
        4,
    ),
    "pix2pix_camvid": _pix2pix(
        "CamVid's label maps to photos, 367 training images, 200 epochs; not in the paper. Source: the settings of "
        f"Cityscapes, {_ISOLA}.",
        _LABELS_TO_PHOTO,
        200 * 367,
    ),
    "pix2pix_toy_facades": _Preset(
        RunConfig(
            "",
            "pix2pix",
            data=_TOY,
            training=TrainingSettings(
                total_images=2_000,
                batch_size=4,
                learning_rate=1e-3,
                checkpoint_images=1_000,
                sample_images=500,
                log_images=50,
            ),
            settings=Pix2PixSettings(receptive_field_px=16, **_TOY_FILTERS),
        ),
        "The made-up facades at 64 px with small networks and large steps: half a minute on two cores. Source: own "
        "choice, sizes in the proportions of pix2pix_facades.",
    ),
    "cyclegan_maps": _cyclegan(
        f"Aerial photos and maps at 256 px, 1096 each, 200 epochs. Source: {_ZHU}; Table 1.", 1096
    ),
    "cyclegan_cityscapes": _cyclegan(
        f"Photos and labels at 128 px, 2975 each, 200 epochs, 6 blocks. Source: {_ZHU}; Tables 2 to 5; the authors in "
        "issue 150 of their PyTorch code (load 143, crop 128).",
        2975,
        _CYCLEGAN_128,
        n_blocks=6,
    ),
    "cyclegan_horse2zebra": _cyclegan(
        f"939 horses and 1177 zebras, 200 epochs. Source: {_ZHU}.", 1177
    ),
    "cyclegan_apple2orange": _cyclegan(
        f"996 apples and 1020 oranges, 200 epochs. Source: {_ZHU}.", 1020
    ),
    "cyclegan_summer2winter": _cyclegan(
        f"1273 summer and 854 winter photos of Yosemite, 200 epochs. Source: {_ZHU}.", 1273
    ),
    "cyclegan_monet2photo": _cyclegan(
        "1074 paintings by Monet and 6853 photos as in the authors' repository (1073 paintings in the paper), 200 "
        f"epochs; identity loss 0.5 (the weight {_MEMORY}). Source: {_ZHU}.",
        6853,
        **_PAINTINGS,
    ),
    "cyclegan_cezanne2photo": _cyclegan(
        "584 paintings by Cezanne and 6853 photos as in the authors' repository (526 paintings in the paper), 200 "
        f"epochs; identity loss 0.5 (the weight {_MEMORY}). Source: {_ZHU}.",
        6853,
        **_PAINTINGS,
    ),
    "cyclegan_ukiyoe2photo": _cyclegan(
        "1433 ukiyo-e prints and 6853 photos as in the authors' repository (563 prints in the paper), 200 epochs; "
        f"identity loss 0.5 (the weight {_MEMORY}). Source: {_ZHU}.",
        6853,
        **_PAINTINGS,
    ),
    "cyclegan_vangogh2photo": _cyclegan(
        "401 paintings by Van Gogh and 6853 photos as in the authors' repository (400 paintings in the paper), 200 "
        f"epochs; identity loss 0.5 (the weight {_MEMORY}). Source: {_ZHU}.",
        6853,
        **_PAINTINGS,
    ),
    "cyclegan_iphone2dslr": _cyclegan(
        f"1813 flowers by a phone and 3316 by a camera, 200 epochs. Source: {_ZHU}.", 3316
    ),
    "cyclegan_facades": _cyclegan(
        f"Photos and labels, 400 each, 200 epochs (epochs {_MEMORY}). Source: {_ZHU}.", 400
    ),
    "cyclegan_toy_facades": _Preset(
        RunConfig(
            "",
            "cyclegan",
            data=dataclasses.replace(_TOY, task="unpaired", direction="AtoB"),
            training=TrainingSettings(total_images=800, decay_images=400, sample_images=200, log_images=50),
            settings=CycleGANSettings(n_blocks=3, receptive_field_px=16, **_TOY_FILTERS),
        ),
        "The made-up facades at 64 px with small networks, each side by itself. Source: own choice, in the proportions "
        "of cyclegan_facades.",
    ),
    "perceptual_style": _Preset(
        _perceptual(
            DataSettings(task="photos", load_size_px=256, mirror=False), 4 * 40_000, PerceptualSettings()
        ),
        "Style transfer: 80,000 COCO images at 256 px, batch 4, 40,000 iterations, Adam 1e-3; give style_image=PATH. "
        f"Weights of the losses: own choice, see there. Source: {_JOHNSON}, section 4.1.",
    ),
    "perceptual_super_resolution_x4": _super_resolution("feature loss", 4),
    "perceptual_super_resolution_x8": _super_resolution("feature loss", 8),
    "perceptual_super_resolution_x4_pixel": _super_resolution(
        "the pixel-loss baseline, which needs no VGG-16", 4, pixel_weight=1.0, feature_weight=0.0, tv_weight=0.0
    ),
    "perceptual_super_resolution_x8_pixel": _super_resolution(
        "the pixel-loss baseline, which needs no VGG-16", 8, pixel_weight=1.0, feature_weight=0.0, tv_weight=0.0
    ),
    "perceptual_toy": _Preset(
        _perceptual(
            dataclasses.replace(_TOY, task="super_resolution", direction="AtoB", scale_factor=4, mirror=False),
            1_600,
            PerceptualSettings(
                feature_weight=0.0,
                style_weight=0.0,
                tv_weight=0.0,
                pixel_weight=1.0,
                base_filters=16,
                n_blocks=2,
                norm="batch",
            ),
        ),
        "The made-up facades from 16 to 64 px by the pixel loss alone, which needs no VGG-16. Source: own choice.",
    ),
}  # fmt: skip

PRESETS: dict[str, RunConfig] = {
    name: dataclasses.replace(one.config, preset=name) for name, one in _PRESETS.items()
}
"""Name -> config, without a dataset."""
ABOUT: dict[str, str] = {name: one.about for name, one in _PRESETS.items()}
"""Name -> what it trains, what of it is unverified, and its source."""
