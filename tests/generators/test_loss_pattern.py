"""The papers' pattern on the made-up facades: what L1 lacks, and what a discriminator that sees no input lets pass."""

from pathlib import Path

import numpy as np
import pytest

from evalkit.metrics.input_sensitivity import input_sensitivity
from evalkit.metrics.spectrum import high_frequency_gap_db
from generators.ablation import ablate
from generators.presets import new_run
from generators.toy_facades import write_toy_facades
from tests.generators.pixel_agreement import class_maps, pixel_agreement, read_images, train_segmenter

LOSSES = ("l1", "gan", "cgan", "l1_gan", "l1_cgan")
SEEDS, TOTAL_IMAGES = 3, 6_000
FACADES, TEST_FACADES = 400, 100

Figures = dict[str, np.ndarray]
"""Loss -> (seeds, 3): high-frequency gap in dB, input sensitivity, pixel agreement."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Figures:
    folder = tmp_path_factory.mktemp("pattern")
    data, out = folder / "facades", folder / "ablation"
    write_toy_facades(data, FACADES, 64, seed=0, n_test=TEST_FACADES)
    config = new_run("pix2pix_toy_facades", str(data), [f"total_images={TOTAL_IMAGES}"])
    ablate(config, LOSSES, SEEDS, out)
    return measured(data, out)


def measured(data: Path, out: Path) -> Figures:
    reals, photos = read_images(out / "real"), read_images(data / "train/photos")
    classes = class_maps(np.concatenate([read_images(data / "train/labels"), read_images(out / "labels")]))
    of_train, of_test = np.split(classes, [len(photos)])
    segmenter = train_segmenter(photos, of_train, seed=0)
    found = {}
    for loss in LOSSES:
        sets = [read_images(out / loss / f"seed{seed}") for seed in range(SEEDS)]
        found[loss] = np.array(
            [
                (
                    high_frequency_gap_db(reals, fakes),
                    input_sensitivity(reals, fakes),
                    pixel_agreement(segmenter, fakes, of_test),
                )
                for fakes in sets
            ]
        )
    found["real"] = np.array([(0.0, 1.0, pixel_agreement(segmenter, reals, of_test))])
    found["real of another input"] = np.array(
        [(0.0, 1.0, pixel_agreement(segmenter, np.roll(reals, 1, axis=0), of_test))]
    )
    print(table(found))  # noqa: T201  (docs/ablation.md)
    return found


def table(found: Figures) -> str:
    lines = ["| loss | high-frequency gap, dB | input sensitivity | pixel agreement |", "|---|---|---|---|"]
    for loss, values in found.items():
        cells = [
            f"{v.mean():.{d}f} ({v.min():.{d}f} to {v.max():.{d}f})"
            for v, d in zip(values.T, (1, 2, 2), strict=True)
        ]
        lines.append(f"| {loss} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@pytest.mark.reliability
@pytest.mark.timeout(5400)
def test_l1_alone_lacks_high_frequencies_against_l1_with_cgan_in_every_seed(figures):
    assert (figures["l1"][:, 0] < figures["l1_cgan"][:, 0] - 2).all()
    assert (figures["l1"][:, 0] < -6).all()


@pytest.mark.reliability
@pytest.mark.timeout(5400)
def test_the_unconditional_gan_answers_its_input_less_than_the_conditional_ones(figures):
    gan, cgan, l1_cgan = (figures[loss] for loss in ("gan", "cgan", "l1_cgan"))
    assert gan[:, 1].mean() < cgan[:, 1].mean()
    assert gan[:, 2].max() < min(cgan[:, 2].min(), l1_cgan[:, 2].min())
