"""Inputs through a trained network into a folder of PNG files."""

import os
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from generators.data import Example, open_inputs, same_place
from generators.sample.folder import check_free, check_outside, whole_folder
from generators.sample.inference import Inference, pick_device, seed_of, set_modes
from generators.sample.pipeline import overlapped
from generators.sample.reference_checkpoints import ReferenceOptions
from generators.sample.translator import Translator, open_translator
from generators.training_loop import few_threads
from studies.errors import UserError
from studies.imagesets import write_manifest

OnProgress = Callable[[int, int], None]
"""Called with images done and images in all."""


def generate(
    run: Path,
    inputs: str,
    out: Path,
    inference: Inference = Inference(),  # noqa: B008  (frozen)
    on_progress: OnProgress | None = None,
    *,
    flags: ReferenceOptions | None = None,
    threads: int | None = None,
) -> Path:
    """Translate inputs with the last checkpoint of a run and write the image set `out` with its manifest.

    Args:
        run: Run folder, or a checkpoint file of the reference PyTorch code.
        inputs: Folder of source images, or a dataset, whose test split is taken.
        out: Appears when it is whole. An older image set of the same run is replaced.
        inference: Dropout, normalisation, direction and seed.
        on_progress: Called after each image.
        flags: What is known of a reference checkpoint beside its files.
        threads: That decode, and as many that save; 0 does all in turn; None takes a few beside a GPU, else 0.
            Changes speed only.

    Raises:
        UserError: The run cannot generate, an input cannot serve, `out` is taken, or the disk is full.
    """
    # What is drawn here, fresh weights included, moves nobody else's random numbers.
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        return _generate(run, inputs, out, inference, on_progress, flags, threads)


def _generate(
    run: Path,
    inputs: str,
    out: Path,
    inference: Inference,
    on_progress: OnProgress | None,
    flags: ReferenceOptions | None,
    threads: int | None,
) -> Path:
    translator = open_translator(run, inference, flags)
    inference = translator.settled(inference)
    check_free(out, translator.name, translator.settings)
    check_outside(out, inputs)
    examples = open_inputs(
        inputs, translator.data, backward=inference.backward, trained_on=translator.trained_on
    )
    device = pick_device()
    data = translator.data
    with whole_folder(out) as folder, few_threads(data.test_size_px or data.crop_size_px):
        translate(translator, examples, folder, inference, on_progress, device=device, threads=threads)
        write_manifest(
            folder,
            generator=translator.name,
            settings=translator.settings,
            seed=inference.seed,
            extra={
                **translator.facts,
                "inference": inference.record(device),
                "inputs": inputs,
                "held_out": same_place(inputs, translator.trained_on),
                "versions": {name: version(name) for name in ("evalkit", "torch")},
            },
        )
    return out


def translate(
    translator: Translator,
    examples: Sequence[Example],
    folder: Path,
    inference: Inference,
    on_progress: OnProgress | None = None,
    *,
    device: torch.device,
    threads: int | None = None,
) -> None:
    """Write `NAME.png` for every example. Arguments and errors as `generate`."""
    inference = translator.settled(inference)
    task, backward = translator.task, inference.backward
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    translator.network.to(device).to(memory_format=layout)
    set_modes(translator.network, inference)

    def load(example: Example) -> Tensor:
        return task.target(example) if backward else task.source(example)

    def work(example: Example, image: Tensor) -> tuple[Tensor, Tensor]:
        torch.manual_seed(seed_of(inference, example.name))
        try:
            with torch.inference_mode():
                batch = image[None].to(device, memory_format=layout)
                return image, translator.translate(batch)[0].cpu()
        except UserError as error:
            raise UserError(f"{example.name}: {error}") from error

    def save(example: Example, images: tuple[Tensor, Tensor]) -> None:
        source, output = images
        _write(task.source_picture(output) if backward else task.picture(source, output), folder, example)

    if threads is None:  # on a CPU the network wants every core for itself (benchmarks/README.md)
        threads = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
    for done, _ in enumerate(overlapped(examples, load, work, save, threads), 1):
        if on_progress:
            on_progress(done, len(examples))


def _write(picture: Image.Image, folder: Path, example: Example) -> None:
    path = folder / f"{example.name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
