"""`evalkit metrics`: scores of image sets against the real images."""

import dataclasses
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.messages import duration, inside_team, is_first_process, say, warn
from studies.errors import UserError
from studies.records import REAL

if TYPE_CHECKING:
    from evalkit.cli.metrics_inputs import Asked, Task
    from evalkit.metrics.base import Feature
    from evalkit.metrics.cache import Cache
    from evalkit.metrics.scoring import Scored
    from evalkit.metrics.team import Team
    from evalkit.results import Score


@click.command()
@click.argument("sets", nargs=-1, metavar="REAL [NAME=]FAKE ... | STUDY")
@click.option("--metrics", "names", metavar="A,B", help="Metrics or quantities. Default: all that apply.")
@click.option(
    "--precision", type=click.Choice(["fp32", "fp16"]), default="fp32", show_default=True,
    help="Of the pretrained networks; fp16 only where it is faster here and close enough.",
)  # fmt: skip
@click.option(
    "--random-weights", type=click.IntRange(0), metavar="SEED",
    help="Networks with drawn weights in place of pretrained ones. Every number made with them says so.",
)  # fmt: skip
@click.option("--labels", metavar="DIR", help="Label maps of the inputs, for FCN-scores.")
@click.option("--classes", metavar="FILE", help="classes.json of the labels, or `cityscapes`.")
@click.option(
    "--segmenter", metavar="DIR", help="Folder of `evalkit segmenter train`, or `palette`, or `ids`."
)
@click.option(
    "--absent", type=click.Choice(["zero", "skip"]), default="zero", show_default=True,
    help="FCN-scores: classes that no label has count as 0, as in pix2pix, or not at all.",
)  # fmt: skip
@click.option(
    "--as-stored", is_flag=True, help="Read images as pytorch-fid does: not turned, no colour profile."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for scores.jsonl. Default: STUDY, or here."
)
@click.option("--cache", type=click.Path(path_type=Path), metavar="FILE", help="Where features are kept.")
@click.option("--no-cache", is_flag=True, help="Keep nothing.")
@click.option(
    "--write-npz", type=click.Path(path_type=Path), metavar="FILE",
    help="Also write the statistics of REAL that pytorch-fid reads.",
)  # fmt: skip
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="GPUs on each machine.")
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines.")
@click.option("--node-rank", type=click.IntRange(0), default=0, help="Number of this machine, from 0.")
@click.option("--master", metavar="HOST:PORT", default="", help="Where the machines meet.")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be computed and how long it takes; write nothing."
)
@click.pass_context
def metrics(context: click.Context, /, **told: Any) -> None:
    """Score image sets against the real ones: FID, KID, LPIPS, SSIM, FCN-scores and more (docs/metrics.md).

    REAL and FAKE are folders of images, or results folders with `:label`; REAL may be an .npz of pytorch-fid. STUDY is a
    folder with study.toml: every condition and training run against its reference. A NAME given twice means two training
    runs. Features are kept in a cache, so that only what is new is computed.
    """
    from evalkit.cli.metrics_inputs import Asked
    from evalkit.cli.metrics_running import first_process_speaks, in_processes

    asked = Asked(**told)
    _check_usage(asked)
    if asked.devices * asked.nodes > 1 and not asked.dry_run and not inside_team():
        sys.exit(in_processes(asked, _words(context)))
    with first_process_speaks():
        run_metrics(asked)


def run_metrics(asked: "Asked") -> None:
    """Open, score, keep and show; a dry run only tells what would be done.

    Raises:
        UserError: Something that was named cannot be used, or nothing at all could be computed.
    """
    from evalkit.cli.metrics_inputs import open_task
    from evalkit.cli.score_files import earlier_scores, made_otherwise
    from evalkit.cli.score_table import show_scores

    task = open_task(asked)
    if asked.dry_run:
        _foretell(task)
        return
    earlier = earlier_scores(task.out)
    path, scores = compute(task, asked)
    if path is None:
        return
    show_scores(scores)
    for line in made_otherwise(path, earlier, scores):
        warn(line)
    click.echo(path)


def compute(task: "Task", asked: "Asked") -> "tuple[Path | None, tuple[Score, ...]]":
    """Score and keep; says what was left out.

    Returns:
        The path of scores.jsonl and the new records; no path where there are none to show: in the helpers of a team, and
        where only statistics were to be written.

    Raises:
        UserError: Nothing at all could be computed, or nothing can be kept.
    """
    from evalkit.cli.score_files import check_folder, write_scores
    from evalkit.metrics.team import join_team

    if task.candidates and is_first_process():
        check_folder(task.out)
    team = join_team(asked.devices, asked.nodes, asked.accelerator)
    scored = _score(task, asked, team)
    if team.rank or not task.candidates:
        return None, ()
    for line in scored.remarks:
        warn(line)
    for line in scored.left_out:
        say(f"Left out: {line}")
    if not scored.scores:
        raise UserError("Nothing could be computed; the lines above say why.")
    return write_scores(task.out, scored.scores, scored.per_image), scored.scores


def _words(context: click.Context) -> list[str]:
    """The command as typed, for the processes that share its work."""
    words: list[str] = []
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if isinstance(parameter, click.Argument):
            continue
        if isinstance(parameter, click.Option) and parameter.is_flag:
            words += [parameter.opts[0]] if value else []
        elif value not in (None, ""):
            words += [parameter.opts[0], str(value)]
    return [*words, "--", *context.params["sets"]]


def _check_usage(asked: "Asked") -> None:
    if not asked.sets:
        raise click.UsageError("Give REAL and one FAKE or more, or a study's folder.")
    if asked.cache and asked.no_cache:
        raise click.UsageError("--cache and --no-cache exclude each other.")
    if asked.nodes > 1 and ":" not in asked.master:
        raise click.UsageError("--nodes needs --master HOST:PORT, the same on every machine.")
    if asked.node_rank >= asked.nodes:
        raise click.UsageError(
            f"--node-rank {asked.node_rank}: machines are numbered from 0 to {asked.nodes - 1}."
        )
    if asked.write_npz and asked.random_weights is not None:
        raise click.UsageError("--write-npz: such a file cannot say that its features are random.")
    if asked.write_npz and asked.sets[0].endswith(".npz"):
        raise click.UsageError(f"--write-npz: REAL ({asked.sets[0]}) is such a file already.")
    if asked.write_npz and asked.write_npz.suffix != ".npz":
        raise click.UsageError(f"--write-npz {asked.write_npz}: a statistics file's name ends in .npz.")
    if asked.classes and not (asked.labels or asked.segmenter) and len(asked.sets) > 1:
        raise click.UsageError("--classes says what label maps mean: give --labels (and --segmenter) too.")


def _score(task: "Task", asked: "Asked", team: "Team") -> "Scored":
    from evalkit.cli.metrics_running import scoring_bar
    from evalkit.metrics.cache import Cache, default_cache_path
    from evalkit.metrics.scoring import Scored, score_sets

    feature = _pool3(task) if asked.write_npz else None  # if weights are missing, that is said first
    path = None if asked.no_cache else asked.cache or default_cache_path()
    with ExitStack() as stack:
        try:
            cache = None if path is None else Cache(path)
            if cache is not None:
                stack.callback(cache.close)
            show = None if team.rank else stack.enter_context(scoring_bar())
            scored = Scored((), (), ())
            if task.candidates:
                scored = score_sets(
                    task.reals, task.candidates, task.names, task.options, labels=task.labels, cache=cache,
                    on_progress=show, team=team, study=task.study.study.id if task.study else "",
                )  # fmt: skip
            if asked.write_npz and feature and not team.rank:
                _write_npz(task, feature, asked.write_npz, cache)
        except KeyboardInterrupt:
            kept = (
                f"What was computed is kept in {path}; the same command goes on."
                if path
                else "Nothing was kept."
            )
            raise UserError(f"Stopped. {kept}") from None
    scores = [_with_ceiling_note(one, task) for one in scored.scores]
    if task.study is not None:
        from evalkit.metrics.study import with_files

        scores = [with_files(one, task.study) for one in scores]
    return dataclasses.replace(scored, scores=tuple(scores))


def _with_ceiling_note(score: "Score", task: "Task") -> "Score":
    """The score; that of the reals says if the segmenter was trained on them."""
    from evalkit.metrics.pictures import PictureSet
    from evalkit.metrics.segmenters import ceiling_note

    if score.condition != REAL or task.options.segmenter is None or not isinstance(task.reals, PictureSet):
        return score
    return dataclasses.replace(score, notes=(*score.notes, *ceiling_note(task.options.segmenter, task.reals)))


def _pool3(task: "Task") -> "Feature":
    """Inception features in the precision that other tools use."""
    from evalkit.metrics.inception import pool3

    return pool3(dataclasses.replace(task.options, precision="fp32"))


def _write_npz(task: "Task", feature: "Feature", path: Path, cache: "Cache | None") -> None:
    """Statistics of the real images' Inception features."""
    import numpy as np

    from evalkit.metrics.extract import Extraction
    from evalkit.metrics.frechet import statistics_of
    from evalkit.metrics.pictures import PictureSet
    from evalkit.metrics.statistics_file import write_statistics

    assert isinstance(task.reals, PictureSet)  # `_check_usage` has refused a file of statistics
    items = [(picture,) for picture in task.reals.pictures]
    extraction = Extraction(cache, task.options.device)
    extraction.ask(feature, items)
    extraction.run()
    write_statistics(path, statistics_of(np.asarray(extraction.result(feature, items))))
    say(f"Wrote {path}: statistics of the {len(items)} images in {task.reals.name}.")


def _foretell(task: "Task") -> None:
    """What would be computed, and how long it takes without a cache; needs what the real run needs."""
    from evalkit.cli.metrics_running import count_images, estimate
    from evalkit.metrics.base import Statistics
    from evalkit.metrics.scoring import chosen

    say("Timing a few images; nothing is written.")
    seconds, left_out = estimate(task) if task.candidates else (None, ())
    for line in left_out:
        say(f"Would be left out: {line}")
    sets = {
        f"{one.condition}{'' if one.run is None else f', run {one.run}'}": len(one.fakes)
        for one in task.candidates
    }
    reals = "statistics" if isinstance(task.reals, Statistics) else len(task.reals)
    keys = [key for own in chosen(task.names).values() for key in own]
    told = {
        "reals": reals,
        "fakes": sets,
        "quantities": keys,
        "left_out": left_out,
        "seconds_without_cache": seconds,
    }
    click.echo(json.dumps(told, indent=2))
    if seconds is not None:
        say(
            f"Roughly {duration(seconds)} for {count_images(task):,} images; what the cache holds costs nothing."
        )
