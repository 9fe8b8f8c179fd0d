"""`evalkit study build`: image sets -> one uniform stimulus bundle, and the plan's balance."""

import shlex
from contextlib import ExitStack
from pathlib import Path

import click

from evalkit.cli.messages import progress_bar, say, warn
from evalkit.cli.server_lock import only_server
from studies.design import Study, load_study
from studies.errors import UserError
from studies.plan import allocate, check_pool, summarise
from studies.records import DATA_KINDS
from studies.stimuli import FOLDER, Bundle, build_bundle, collect
from webapp import freeze


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--allow-near-duplicates", is_flag=True, help="Build although a generator repeats itself.")
def build(folder: Path, allow_near_duplicates: bool) -> None:
    """Make the uniform stimulus bundle of the study in FOLDER."""
    build_study(folder, allow_near_duplicates=allow_near_duplicates)
    say(
        f"Next: evalkit study audit {shlex.quote(str(folder))} (what besides the picture tells real from fake),"
    )
    say(
        f"      evalkit study check {shlex.quote(str(folder))} (everything that should be right before people come),"
    )
    say(f"      evalkit study preview {shlex.quote(str(folder))} (go through a session yourself).")
    click.echo(folder / FOLDER)


def build_study(folder: Path, *, allow_near_duplicates: bool = False) -> None:
    """Build the bundle and tell of it.

    Raises:
        UserError: The study is frozen, or an image set is not usable (see studies.stimuli.build_bundle).
    """
    study = load_study(folder)
    if study.imported is not None:
        raise UserError(
            f"{folder}: its answers were imported, so there are no images to build. `evalkit analyze {folder}` analyses it."
        )
    if freeze.in_force(folder) is not None:
        raise UserError(
            f"{folder}: the study is frozen by its first live session, so its stimuli stay as they are. New images "
            "are a new study."
        )
    sources, _ = collect(study, folder.resolve())
    check_pool(study, len(sources[1].images.images))
    with ExitStack() as locks, progress_bar("Stimuli") as advance:
        for data in DATA_KINDS:  # a server reads the images while it runs
            locks.enter_context(only_server(folder, data))
        bundle = build_bundle(study, folder, allow_near_duplicates=allow_near_duplicates, progress=advance)
    _tell_bundle(bundle)
    _tell_plan(study, bundle)


def _tell_bundle(bundle: Bundle) -> None:
    """Say what was built."""
    say(
        f"{len(bundle.stimuli)} stimuli of {bundle.width_px} x {bundle.height_px} px, every file "
        f"{bundle.file_length_bytes / 1024:.0f} KiB long."
    )
    for step in bundle.recipe:
        if not step.startswith("["):  # how a folder was read was said by `init`, and stands in the report
            say(f"  {step}")
    for warning in bundle.warnings:
        warn(warning)


def _tell_plan(study: Study, bundle: Bundle) -> None:
    """Say what the places will look like, and what they had to give up."""
    summary = summarise(study, bundle.stimuli, allocate(study, bundle.stimuli))
    low, high = summary.views_per_image
    even = (
        "exactly half of each session real"
        if study.protocol.layout == "one_image"
        else f"as often first as second (±{summary.order_imbalance / 2:g}) and left as right "
        f"(±{summary.side_imbalance / 2:g})"
    )
    say(
        f"{summary.places} places; each image is scored {low if low == high else f'{low} to {high}'} times per "
        f"algorithm, {even}; a reserve of {summary.reserve} per session."
    )
    for warning in summary.warnings:
        warn(warning)
