"""Image sets -> one uniform bundle, in which nothing but the pixels can tell real from fake."""

import hashlib
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import PIL
from PIL import Image

from studies.design import Study
from studies.errors import UserError
from studies.imagesets import NamedImage, pixel_digest
from studies.records import CHECK, NOT_GENERATED, REAL, Stimulus
from studies.stimuli.bundle import (
    FOLDER,
    MANIFEST,
    Bundle,
    Making,
    NearDuplicates,
    Original,
    bundle_settings,
    manifest_text,
    sealed,
)
from studies.stimuli.collect import Geometry, Source, collect, decide_geometry
from studies.stimuli.decode import decode
from studies.stimuli.duplicates import Thumbnail, near_duplicates, thumbnail
from studies.stimuli.obvious import check_source, obvious_fake
from studies.stimuli.png import COMPRESS_LEVEL, encode_png, pad_png, padded_length
from studies.stimuli.publish import published, write_durably
from studies.stimuli.uniform import FileProperties, file_properties, refuse_differences

Progress = Callable[[int, int], None]
"""Called with images done and images in all."""

EXAMPLES = 5
"""Near-duplicate pairs that the bundle names per condition and run."""


@dataclass(frozen=True)
class _Draft:
    """A stimulus whose file is written but not yet padded."""

    id: str
    source: Source
    image: NamedImage
    digest: str
    original: Original
    thumbnail: Thumbnail
    steps: tuple[str, ...] = field(default=())

    @property
    def file(self) -> str:
        return f"{self.id}.png"

    @property
    def where(self) -> str:
        """Condition, run and original, for messages."""
        return f"{self.source.condition} {self.original.path}"


def build_bundle(
    study: Study, folder: Path, *, allow_near_duplicates: bool = False, progress: Progress | None = None
) -> Bundle:
    """Build `folder/stimuli/` from the image sets that a study names; the originals are only read.

    Every image is decoded, turned upright, converted to 8-bit sRGB, cut and resized alike, and written as PNG
    without metadata; every file is padded to one length. The same study and images give the same bundle.

    Args:
        study: Its image locations are relative to `folder`.
        folder: The study folder.
        allow_near_duplicates: Build even if a condition repeats itself beyond `[stimuli]
            near_duplicates_max_share`; the shares are in the bundle either way.
        progress: Called after each image.

    Raises:
        UserError: As `collect` and `decide_geometry`; or an image is damaged, transparent or of unknown colours; a
            fake has the very pixels of a real image; a condition repeats itself; the disk is full. What was at
            `folder/stimuli/` is then still there.
    """
    sources, warnings = collect(study, folder)
    sources = (*sources, *check_source(study, folder, sources[0]))
    geometry = decide_geometry(study, [source for source in sources if not source.made])
    with published(folder / FOLDER, MANIFEST) as building:
        drafts = list(_drafts(study, folder, sources, geometry, building, progress))
        _refuse_copies(drafts)
        repeats = _repeats(drafts)
        if not allow_near_duplicates:
            _refuse_collapse(repeats, study.stimuli.near_duplicates_max_share)
        length = padded_length(max((building / draft.file).stat().st_size for draft in drafts))
        bundle = sealed(
            Bundle(
                study=study.id,
                stimuli=tuple(_finish(draft, building, length) for draft in drafts),
                width_px=geometry.size[0],
                height_px=geometry.size[1],
                file_length_bytes=length,
                recipe=_recipe(sources, drafts, geometry, length),
                warnings=(*warnings, *_more_warnings(drafts, repeats, geometry)),
                near_duplicates=tuple(repeat for repeat in repeats if repeat.condition not in NOT_GENERATED),
                makings=tuple(_making(source) for source in sources if source.images.manifest),
                originals={draft.id: draft.original for draft in drafts},
                sources=bundle_settings(study),
                digest="",
            )
        )
        refuse_differences(_properties(bundle, building), folder / FOLDER)
        write_durably(building / MANIFEST, manifest_text(bundle).encode())
    return bundle


def _properties(bundle: Bundle, building: Path) -> Iterator[tuple[str, FileProperties]]:
    """What the files that were written tell besides their pictures."""
    for stimulus in bundle.stimuli:
        yield stimulus.file, file_properties(stimulus.file, (building / stimulus.file).read_bytes())


def _making(source: Source) -> Making:
    """The set's manifest as it stands, but for the images: the bundle lists those itself."""
    manifest = {name: value for name, value in (source.images.manifest or {}).items() if name != "images"}
    return Making(source.condition, source.run, manifest)


def stimulus_id(seed: int, condition: str, run: int, source_id: str) -> str:
    """20 hex digits that tell nothing of the image and do not sort by condition."""
    return hashlib.sha256(f"{seed}\0{condition}\0{run}\0{source_id}".encode()).hexdigest()[:20]


def _drafts(
    study: Study,
    folder: Path,
    sources: Sequence[Source],
    geometry: Geometry,
    building: Path,
    progress: Progress | None,
) -> Iterator[_Draft]:
    jobs = [(source, image) for source in sources for image in source.images.images]
    for done, (source, image) in enumerate(jobs, 1):
        decoded = decode(image.path)
        pixels = _fit(decoded.image, geometry)
        name = stimulus_id(study.study.seed, source.condition, source.run, image.source_id)
        if source.made:
            pixels = obvious_fake(pixels, random.Random(name))
        draft = _Draft(
            name,
            source,
            image,
            pixel_digest(pixels),
            Original(
                _as_typed(image.path, source.images.location, folder),
                hashlib.sha256(image.path.read_bytes()).hexdigest(),
            ),
            thumbnail(pixels),
            decoded.steps,
        )
        (building / draft.file).write_bytes(encode_png(pixels))
        yield draft
        if progress is not None:
            progress(done, len(jobs))


def _fit(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Cut the centre and resize, as for all images."""
    width, height = geometry.kept
    if image.size != geometry.kept:
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    return image.resize(geometry.size, Image.Resampling.LANCZOS) if geometry.resized else image


def _as_typed(path: Path, location: str, folder: Path) -> str:
    """Relative to the study folder if the location was, so that the bundle does not depend on where it all lies."""
    if Path(location).expanduser().is_absolute():
        return str(path)
    return os.path.relpath(path, folder.resolve())


def _refuse_copies(drafts: Sequence[_Draft]) -> None:
    reals = {draft.digest: draft for draft in drafts if draft.source.condition == REAL}
    for draft in drafts:
        real = reals.get(draft.digest)
        if real is not None and draft.source.condition not in NOT_GENERATED:
            raise UserError(
                f"{draft.original.path} ({draft.source.condition}) has the very pixels of the real image "
                f"{real.original.path}. Check that [conditions.{draft.source.condition}] names generated images."
            )


def _by_set(drafts: Sequence[_Draft]) -> Mapping[tuple[str, int], list[_Draft]]:
    sets: dict[tuple[str, int], list[_Draft]] = defaultdict(list)
    for draft in drafts:
        sets[draft.source.condition, draft.source.run].append(draft)
    return sets


def _repeats(drafts: Sequence[_Draft]) -> list[NearDuplicates]:
    repeats = []
    for (condition, run), members in _by_set(drafts).items():
        if condition == CHECK:
            continue  # nobody claims that obvious fakes differ
        found = near_duplicates([draft.thumbnail for draft in members])
        pairs = sorted({(min(pair), max(pair)) for pair in found.items()})[:EXAMPLES]
        examples = tuple(
            (members[one].image.source_id, members[other].image.source_id) for one, other in pairs
        )
        repeats.append(NearDuplicates(condition, run, len(found) / len(members), examples))
    return repeats


def _refuse_collapse(repeats: Sequence[NearDuplicates], allowed: float) -> None:
    for repeat in repeats:
        if repeat.condition not in NOT_GENERATED and repeat.share > allowed:
            one, other = repeat.examples[0]
            raise UserError(
                f"[conditions.{repeat.condition}] run {repeat.run}: {repeat.share:.0%} of the images are near-duplicates "
                f"of another (e.g. {one!r} and {other!r}); allowed is [stimuli] near_duplicates_max_share = {allowed:g}. "
                "A collapsed generator spoils the study; raise the share if this is what you want to show."
            )


def _more_warnings(
    drafts: Sequence[_Draft], repeats: Sequence[NearDuplicates], geometry: Geometry
) -> Iterator[str]:
    for repeat in repeats:
        if repeat.share > 0:
            pairs = ", ".join(f"{one!r} ~ {other!r}" for one, other in repeat.examples)
            yield f"{repeat.condition} run {repeat.run}: {repeat.share:.0%} near-duplicates ({pairs})"
    seen: dict[frozenset[str], tuple[str, int]] = {}
    for name, members in _by_set(drafts).items():
        twin = seen.setdefault(frozenset(draft.digest for draft in members), name)
        if twin != name:
            yield f"{name[0]} run {name[1]} and {twin[0]} run {twin[1]} hold the very same images"
    if geometry.size[0] > geometry.kept[0]:
        yield f"all images were enlarged to {geometry.size[0]} px: the enlarging blurs what tells them apart"


def _recipe(
    sources: Sequence[Source], drafts: Sequence[_Draft], geometry: Geometry, length: int
) -> tuple[str, ...]:
    """The chain in words; conversions are counted per set, because a difference between sets is itself a clue."""
    lines = [f"{source.name}: {'; '.join(source.images.notes)}" for source in sources]
    lines.append(f"decoded with Pillow {PIL.__version__}")
    for (condition, run), members in _by_set(drafts).items():
        counts = Counter(step for draft in members for step in draft.steps)
        done = "; ".join(f"{step} ({count} of {len(members)})" for step, count in sorted(counts.items()))
        lines.append(f"{condition} run {run}: {done}")
    width, height = geometry.size
    kept = f"centre-cropped to {geometry.kept[0]}x{geometry.kept[1]} px"
    lines.append(kept if geometry.cropped else "not cropped")
    lines.append(
        f"resized once to {width}x{height} px (Lanczos), all alike" if geometry.resized else "not resized"
    )
    lines.append(f"written as 8-bit RGB PNG without metadata (compression level {COMPRESS_LEVEL})")
    lines.append(f"every file padded to {length} bytes with pseudo-random bytes in a private PNG chunk")
    return tuple(lines)


def _finish(draft: _Draft, building: Path, length: int) -> Stimulus:
    """Pad the draft's file and describe it."""
    path = building / draft.file
    data = pad_png(path.read_bytes(), length, draft.digest)
    write_durably(path, data)
    return Stimulus(
        id=draft.id,
        condition=draft.source.condition,
        run=draft.source.run,
        source_id=draft.image.source_id,
        digest=draft.digest,
        file=draft.file,
        file_digest=hashlib.sha256(data).hexdigest(),
    )
