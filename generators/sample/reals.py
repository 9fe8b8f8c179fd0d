"""The real images of the inputs, cut and sized as the generated ones: what a study compares them with."""

from pathlib import Path

from PIL import Image

from generators.data import Example, Task, open_inputs
from generators.sample.folder import check_free, check_outside, whole_folder
from generators.sample.inference import Inference
from generators.sample.reference_checkpoints import ReferenceOptions
from generators.sample.translator import open_translator
from studies.errors import UserError
from studies.imagesets import write_manifest

GENERATOR = "real images of the inputs"


def real_picture(task: Task, example: Example, *, backward: bool = False) -> Image.Image:
    """What a generated image of this example stands in for; its own source goes with it where both are one photo."""
    if backward:
        return task.source_picture(task.source(example))
    target = task.target(example)
    source = task.source(example) if task.one_sided else target
    return task.picture(source, target, real=True)


def write_reals(
    run: Path,
    inputs: str,
    out: Path,
    inference: Inference = Inference(),  # noqa: B008  (frozen)
    *,
    flags: ReferenceOptions | None = None,
) -> Path:
    """Write the image set of the real targets of exactly the inputs that `generate` translates.

    Args:
        run: As of `generate`: it tells task, direction and sizes.
        inputs: A dataset, or anything else that holds both sides.
        out: Appears when it is whole.
        inference: Its `backward` says which side is real.
        flags: As of `generate`.

    Raises:
        UserError: The inputs bring no real images, one cannot be read, `out` is taken, or the disk is full.
    """
    translator = open_translator(run, inference, flags)
    examples = open_inputs(
        inputs, translator.data, backward=inference.backward, trained_on=translator.trained_on
    )
    alone = [one.name for one in examples if one.a is None or one.b is None]
    if alone:
        raise UserError(
            f"{inputs}: {len(alone)} of {len(examples)} inputs have no real image of their own there, e.g. {alone[0]}. "
            "Leave out --real, or name a dataset with both sides."
        )
    settings = {"inputs": inputs, "backward": inference.backward, **vars(translator.data)}
    check_free(out, GENERATOR, settings)
    check_outside(out, inputs)
    with whole_folder(out) as folder:
        for one in examples:
            path = folder / f"{one.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            real_picture(translator.task, one, backward=inference.backward).save(path)
        write_manifest(folder, generator=GENERATOR, settings=settings, seed=None)
    return out
