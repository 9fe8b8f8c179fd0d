"""Which images a bundle is made of: the sets are opened, matched by input, and brought to one geometry on paper."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from studies.design import Study
from studies.errors import UserError
from studies.imagesets import ImageSet, natural_key, open_image_set
from studies.records import INPUT, REAL
from studies.stimuli.decode import upright_size

Size = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """One image set in its role."""

    condition: str
    """The algorithm, or `real`."""
    run: int
    key: str
    """Where study.toml names it, e.g. `[conditions.cgan] images[1]`."""
    images: ImageSet
    made: bool = False
    """Whether the stimuli are made from these images at build time (obvious fakes), rather than being them."""

    @property
    def name(self) -> str:
        """Key and location, for messages."""
        return f"{self.key} = {self.images.location!r}"


@dataclass(frozen=True)
class Geometry:
    """How the images of every set are cut; the resize that may follow is the same for all."""

    cropped: bool
    """Whether any image is larger than `kept`; all are then cut alike."""
    kept: Size
    """Width and height of the centred piece that is kept of every image."""
    size: Size
    """Width and height of every stimulus; other than `kept` if all are resized."""

    @property
    def resized(self) -> bool:
        """Whether all images are resized, once."""
        return self.size != self.kept


def collect(study: Study, folder: Path) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Open all sets of a study and match them by input.

    Returns:
        The reference, reduced to the inputs of the conditions, then the conditions run by run, then the pictures of the
        inputs if the study shows them; and warnings.

    Raises:
        UserError: A set cannot be opened, the conditions are not of the same inputs, or the reference lacks some.
    """
    reference = Source(REAL, 0, "[reference] images", open_image_set(study.reference.images, folder))
    fakes = [
        Source(name, run, _key(name, run, len(condition.images)), open_image_set(location, folder))
        for name, condition in study.conditions.items()
        for run, location in enumerate(condition.images)
    ]
    for fake in fakes[1:]:
        _refuse_other_inputs(fakes[0], fake)
    _refuse_missing_reals(reference, fakes[0])
    warnings = [f"{one.name}: {text}" for one in (reference, *fakes) for text in one.images.warnings]
    used, extra = _reduced(reference, set(fakes[0].images.source_ids))
    if extra:
        warnings.append(
            f"{reference.name}: {extra} more images than inputs in the conditions; they are left out"
        )
    return (used, *fakes, *_inputs(study, folder, fakes[0])), tuple(warnings)


def _inputs(study: Study, folder: Path, fake: Source) -> tuple[Source, ...]:
    """The pictures of the inputs, reduced as the reference is; none where the study names none."""
    if study.reference.inputs is None:
        return ()
    found = Source(INPUT, 0, "[reference] inputs", open_image_set(study.reference.inputs, folder))
    missing = _difference(fake, found)
    if missing:
        raise UserError(
            f"{found.name} lacks the picture of {_listed(missing)} of the {len(fake.images.images)} inputs of "
            f"{fake.name}. Names must agree on both sides."
        )
    return (_reduced(found, set(fake.images.source_ids))[0],)


def decide_geometry(study: Study, sources: Sequence[Source]) -> Geometry:
    """One crop and one size for all images, from their headers alone.

    Raises:
        UserError: An image cannot be read, sizes are mixed within a set without leave to crop, differ between sets,
            or are not square where a square is asked for.
    """
    found = [Counter(upright_size(image.path) for image in source.images.images) for source in sources]
    centre = study.stimuli.crop == "centre"
    kept = [_kept_size(source, sizes, centre) for source, sizes in zip(sources, found, strict=True)]
    size, side = kept[0], study.stimuli.size_px
    for source, other in zip(sources, kept, strict=True):
        if other != size:
            raise UserError(
                f"{sources[0].name} are {_px(size)} px, {source.name} are {_px(other)} px"
                f"{' after the centre-crop' if centre else ''}: the size, or the resampling to hide it, would tell "
                "real from fake. Generate or downsample both alike first."
            )
    if side is not None and size[0] != size[1]:
        raise UserError(
            f"[stimuli] size_px = {side} asks for squares, but the images are {_px(size)} px. "
            'Set crop = "centre" in [stimuli] too, or leave size_px out.'
        )
    cropped = any(one != size for sizes in found for one in sizes)
    return Geometry(cropped, size, (side, side) if side is not None else size)


def _key(name: str, run: int, runs: int) -> str:
    return f"[conditions.{name}] images" + (f"[{run}]" if runs > 1 else "")


def _kept_size(source: Source, sizes: Mapping[Size, int], centre: bool) -> Size:
    if centre:
        side = min(min(size) for size in sizes)
        return side, side
    if len(sizes) == 1:
        return next(iter(sizes))
    listed = ", ".join(f"{_px(size)} ({count})" for size, count in Counter(sizes).most_common(5))
    more = f" and {len(sizes) - 5} more sizes" if len(sizes) > 5 else ""
    raise UserError(
        f"{source.name}: images of different sizes: {listed}{more}. Bring them to one size, or set "
        '[stimuli] crop = "centre" in study.toml to keep the largest centred square that all of them have.'
    )


def _refuse_other_inputs(one: Source, other: Source) -> None:
    only_one = _difference(one, other)
    only_other = _difference(other, one)
    if only_one or only_other:
        raise UserError(
            f"{one.name} and {other.name} are not made from the same inputs: {_listed(only_one)} only in the first, "
            f"{_listed(only_other)} only in the second. Algorithms are compared on the same inputs; "
            "give both the same ones, under the same names."
        )


def _refuse_missing_reals(reference: Source, fake: Source) -> None:
    missing = _difference(fake, reference)
    if missing:
        spare = _difference(reference, fake)
        raise UserError(
            f"{reference.name} lacks the real image of {_listed(missing)} of the {len(fake.images.images)} inputs of "
            f"{fake.name}; inputs only in the reference: {_listed(spare)}. Names must agree on both sides."
        )


def _difference(one: Source, other: Source) -> list[str]:
    return sorted(set(one.images.source_ids) - set(other.images.source_ids), key=natural_key)


def _listed(names: Sequence[str]) -> str:
    """How many, and the first few names."""
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})" if names else "0"


def _reduced(reference: Source, wanted: set[str]) -> tuple[Source, int]:
    images = reference.images
    kept = tuple(image for image in images.images if image.source_id in wanted)
    used = dataclasses.replace(reference, images=dataclasses.replace(images, images=kept))
    return used, len(images.images) - len(kept)


def _px(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
