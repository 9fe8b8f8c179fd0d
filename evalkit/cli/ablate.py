"""`evalkit ablate`: the same training under several losses and seeds, and the folder that compares them."""

import dataclasses
import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.messages import progress_bar, say
from evalkit.cli.train import training_bar
from studies.errors import UserError

if TYPE_CHECKING:
    from generators.ablation import AblationProgress
    from generators.config import RunConfig

SETTLED = {"loss": "--losses", "seed": "--seeds"}
"""Keys that differ between the runs, and the option that says how."""


@click.command()
@click.option(
    "--preset", required=True, metavar="NAME", help="Training preset whose method has a choice of losses."
)
@click.option(
    "--data", required=True, metavar="PATH", help="Dataset: a folder, or a name of `evalkit data list`."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; one that was begun goes on."
)
@click.option(
    "--losses",
    default="",
    help="Values of the method's setting `loss`, separated by commas. Default: all that the method has.",
)
@click.option(
    "--seeds", type=int, default=3, show_default=True, help="Training runs per loss: seeds 0, 1, ..."
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="A setting of all runs; repeatable."
)
@click.option(
    "--dry-run", is_flag=True, help="Say what would be trained and how long it takes; write nothing."
)
def ablate(
    preset: str, data: str, out: Path, losses: str, seeds: int, assignments: tuple[str, ...], dry_run: bool
) -> None:
    """Train every loss with every seed, translate the held-out inputs, and write a folder with a page to look through."""
    from generators.ablation import ablate as run_ablation
    from generators.ablation import loss_choices
    from generators.presets import new_run

    for assignment in assignments:
        key = assignment.partition("=")[0].strip()
        if key in SETTLED:
            raise UserError(
                f"--set {assignment}: differs between the runs of an ablation; use {SETTLED[key]}."
            )
    config = new_run(preset, data, assignments)
    names = [loss.strip() for loss in losses.split(",") if loss.strip()] or list(loss_choices(config))
    if dry_run:
        _foretell(config, names, seeds, out)
        return
    with ablation_bars() as show:
        page = run_ablation(config, names, seeds, out, show, tell=say)
    say(f"{len(names) * seeds} runs. Look through {page}; then, to ask people:")
    say(f"  evalkit study init loss-study --preset pix2pix2017 --from {shlex.quote(str(out))}")
    click.echo(out)


@contextmanager
def ablation_bars() -> Iterator[Callable[["AblationProgress"], None]]:
    """One bar after the other on stderr: each run's training, then its images."""
    with ExitStack() as bars:
        yield _Teller(bars).show


class _Teller:
    """One bar at a time: a run's training, then its images."""

    def __init__(self, bars: ExitStack) -> None:
        self._bars = bars
        self._now: tuple[str, bool] | None = None
        self._show: Callable[[Any], None] = _ignore

    def show(self, progress: "AblationProgress") -> None:
        """Move the bar on, or put the next one in its place."""
        generating = progress.training is None
        if self._now != (progress.run.name, generating):
            self._now = (progress.run.name, generating)
            self._bars.close()
            label = f"{progress.number}/{progress.runs} {progress.run.name}"
            if generating:
                advance = self._bars.enter_context(progress_bar(f"{label}: held-out inputs"))
                self._show = lambda images: advance(*images)
            else:
                self._show = self._bars.enter_context(training_bar(label))
        self._show(progress.generated if generating else progress.training)


def _ignore(_: Any) -> None:
    """Before the first bar."""


def _foretell(config: "RunConfig", losses: list[str], seeds: int, out: Path) -> None:
    """What would be trained, and how long that takes."""
    from generators.ablation import duration, estimate_ablation, settle_record

    record = settle_record(config, losses, seeds, out)
    waiting = record.missing()
    say("Timing a few steps of each loss; nothing is written.")
    estimate = estimate_ablation(config, losses)
    seconds = sum(estimate[run.loss].seconds for run in waiting)
    told = {loss: dataclasses.asdict(one) for loss, one in estimate.items()}
    runs = [run.name for run in waiting]
    click.echo(
        json.dumps({"runs": runs, "config": record.config, "estimate": told, "seconds": seconds}, indent=2)
    )
    done = len(record.runs) - len(waiting)
    say(
        f"{len(waiting)} runs of {config.training.total_images:,} images{f', {done} are there' if done else ''}: "
        f"about {duration(seconds)} of training in all, plus the held-out inputs. Without --dry-run it begins."
    )
