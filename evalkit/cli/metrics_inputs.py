"""What `evalkit metrics` was asked for, opened: the sets to score, their label maps, the metrics that apply."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalkit.cli.messages import is_first_process, warn
from evalkit.metrics import METRICS, Metric
from evalkit.metrics.base import Options, Statistics
from evalkit.metrics.labelling import Labelling, open_labelling
from evalkit.metrics.pictures import PictureSet, picture_set
from evalkit.metrics.scoring import Candidate, chosen
from evalkit.metrics.segmenters import Segmenter
from evalkit.metrics.statistics_file import SUFFIX, read_statistics
from studies.errors import UserError
from studies.imagesets import open_image_set
from studies.records import REAL

if TYPE_CHECKING:
    from evalkit.metrics.study import StudySets


@dataclass(frozen=True)
class Asked:
    """The command as typed."""

    sets: tuple[str, ...] = ()
    names: str | None = None
    precision: Literal["fp32", "fp16"] = "fp32"
    random_weights: int | None = None
    labels: str | None = None
    classes: str | None = None
    segmenter: str | None = None
    absent: Literal["zero", "skip"] = "zero"
    as_stored: bool = False
    out: Path | None = None
    cache: Path | None = None
    no_cache: bool = False
    write_npz: Path | None = None
    devices: int = 1
    nodes: int = 1
    node_rank: int = 0
    master: str = ""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    dry_run: bool = False


@dataclass(frozen=True)
class Task:
    """What is to be scored, and how."""

    reals: PictureSet | Statistics
    candidates: tuple[Candidate, ...]
    labels: PictureSet | None
    options: Options
    names: tuple[str, ...]
    out: Path
    """Folder for scores.jsonl."""
    study: "StudySets | None" = None


def open_task(asked: Asked) -> Task:
    """Open everything that was named; hashes the files, decodes none.

    Raises:
        UserError: Something that was named cannot be used.
    """
    told = Labelling(asked.labels, asked.classes, asked.segmenter)
    names = tuple(name.strip() for name in (asked.names or "").split(",") if name.strip())
    chosen(names)  # a misspelt name is said before anything is read
    if len(asked.sets) == 1 and (Path(asked.sets[0]) / "study.toml").is_file():
        task = _open_study(asked, told, names)
        names = names or task.names
    else:
        _refuse_studies(asked)
        reals, candidates = _reals(asked), _candidates(asked)
        inputs = candidates[0].fakes.source_ids if candidates else ()
        labels, segmenter = open_labelling(told, inputs)
        task = Task(reals, candidates, labels, _options(asked, segmenter), (), asked.out or Path())
    if not names:
        names = tuple(name for name, metric in METRICS.items() if _applies(metric, task))
    for line in _same_files(task) if is_first_process() else ():
        warn(line)
    return dataclasses.replace(task, names=names)


def _refuse_studies(asked: Asked) -> None:
    """Below a study's folder lie real and fake images in one heap, its bundle."""
    for _, location in map(_named, asked.sets):
        if (Path(location) / "study.toml").is_file():
            raise UserError(
                f"{location}: a study's folder, which is scored as a whole: evalkit metrics {location}. To score other "
                "images, name folders of images."
            )


def _same_files(task: Task) -> Iterator[str]:
    """A line for each set of fakes that has images of the reals, as where one folder lies in the other."""
    if isinstance(task.reals, Statistics):
        return
    reals = {picture.digest for picture in task.reals.pictures}
    for one in task.candidates:
        shared = sum(picture.digest in reals for picture in one.fakes.pictures)
        if shared:
            yield (
                f"{one.title}: {shared} of its {len(one.fakes)} images are among the real ones, byte by byte. Are these the "
                "folders that you mean?"
            )


def _applies(metric: Metric, task: Task) -> bool:
    """Without --metrics: whether a metric has what it needs to be tried at all."""
    if metric.labelled:  # whoever names label maps or a segmenter wants it, and is told what is missing
        return task.labels is not None or task.options.segmenter is not None
    return metric.takes_statistics or not isinstance(task.reals, Statistics)


def _open_study(asked: Asked, told: Labelling, names: tuple[str, ...]) -> Task:
    from evalkit.metrics.study import study_sets  # here: without a study there is no need of its vocabulary

    if asked.as_stored:
        raise UserError(
            f"--as-stored: the images of a study ({asked.sets[0]}) are scored as people see them. Leave it out, or name the "
            "folders of images."
        )
    folder = Path(asked.sets[0])
    sets = study_sets(folder, told, names=names)
    for line in sets.warnings if is_first_process() else ():
        warn(line)
    options = _options(asked, sets.segmenter)
    options = dataclasses.replace(options, confidence_level=sets.study.analysis.confidence_level)
    return Task(
        sets.reals, sets.candidates, sets.labels, options, sets.study.metrics.names, asked.out or folder, sets
    )


def _reals(asked: Asked) -> PictureSet | Statistics:
    location = asked.sets[0]
    if location.endswith(SUFFIX):
        if asked.random_weights is not None:
            raise UserError(
                f"{location}: statistics of features of the pretrained network; leave out --random-weights."
            )
        return read_statistics(Path(location))
    if len(asked.sets) == 1 and not asked.write_npz:
        raise UserError(
            f"{location}: nothing to score against it. Give one FAKE or more, or a study's folder (one with study.toml)."
        )
    return _open_set(location, asked)


def _candidates(asked: Asked) -> tuple[Candidate, ...]:
    """The fakes, each under its name; those of one name are training runs."""
    named = [_named(text) for text in asked.sets[1:]]
    times = {name: [one for one, _ in named].count(name) for name, _ in named}
    runs = dict.fromkeys(times, 0)
    candidates = []
    for name, location in named:
        if name == REAL:
            raise UserError(
                f"{name}={location}: `real` is the name of the real images; give the fakes another one."
            )
        fakes = _open_set(location, asked)
        candidates.append(Candidate(name, runs[name] if times[name] > 1 else None, fakes))
        runs[name] += 1
    return tuple(candidates)


def _open_set(location: str, asked: Asked) -> PictureSet:
    """The images at a location; says what may be wrong with them and cannot be seen from the files."""
    images = open_image_set(location, Path())
    for line in images.warnings if is_first_process() else ():
        warn(f"{location}: {line}")
    return picture_set(images, as_stored=asked.as_stored)


def _named(text: str) -> tuple[str, str]:
    """Name and location; without a name, the location as typed, which may have an equals sign of its own."""
    name, equals, location = text.partition("=")
    whole = text if Path(text).exists() else text.rpartition(":")[0]
    if not equals or "/" in name or (whole and Path(whole).exists()):
        return text, text
    if not name or not location:
        raise UserError(f"{text}: write NAME=PATH, for example cyclegan=results/cyclegan:fake_B.")
    return name, location


def _options(asked: Asked, segmenter: Segmenter | None) -> Options:
    return Options(
        precision=asked.precision,
        random_weights=asked.random_weights,
        device=asked.accelerator,
        segmenter=segmenter,
        absent=asked.absent,
    )
