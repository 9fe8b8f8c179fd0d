"""`evalkit power`: people, images, training runs and cost, before anybody is asked."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from studies.errors import UserError

if TYPE_CHECKING:
    from evalkit.cli.power_plan import Plan
    from evalkit.stats.power import Spread, Target


class _Proportion(click.FloatRange):
    """Between 0 and 1; who writes percent is told how."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            self.fail(f"{error.message.rstrip('.')}. Write 25 % as 0.25.", param, ctx)


_SHARE = _Proportion(0, 1, min_open=True, max_open=True)
_SD = click.FloatRange(0, 5)
_COUNT = click.IntRange(2, 100_000)
TARGETS = ("these images", "this generator", "this loss")
SECONDS_PER_TRIAL = 6.0
"""A one-second display, the question and the answer, with what lies between."""
MINUTES_BEFORE = 3.0
"""Consent, instructions and ten practice trials."""


@click.command()
@click.option(
    "--rate", type=_SHARE, help="Fool rate of the weaker algorithm; without it the pilot's, else 0.25."
)
@click.option("--difference", type=_SHARE, default=0.05, show_default=True, help="Smallest that matters.")
@click.option("--trials", type=_COUNT, default=40, show_default=True, help="Scored trials per session.")
@click.option("--workers", type=_COUNT, default=50, show_default=True, help="People per algorithm.")
@click.option("--images", type=_COUNT, default=100, show_default=True, help="Source images.")
@click.option(
    "--runs", type=click.IntRange(1, 1000), default=1, show_default=True, help="Training runs per algorithm."
)
@click.option(
    "--algorithms",
    type=click.IntRange(2, 1000),
    default=2,
    show_default=True,
    help="For the cost, and to share a session --within.",
)
@click.option("--within", is_flag=True, help="Each session shows all algorithms instead of one.")
@click.option("--worker-sd", type=_SD, help="SD of workers, logits [0.7, or the pilot's].")
@click.option("--image-sd", type=_SD, help="SD of images, logits [0.9, or the pilot's].")
@click.option(
    "--own-image-sd", type=_SD, help="Its part that algorithms do not share [2/3 of it, or the pilot's]."
)
@click.option("--run-sd", type=_SD, help="SD of training runs, logits [0.3, or the pilot's].")
@click.option(
    "--pilot", type=click.Path(path_type=Path), help="Study folder whose responses give rate and SDs."
)
@click.option("--target", type=click.Choice(TARGETS), default="this generator", show_default=True)
@click.option("--power", "wanted", type=_SHARE, default=0.8, show_default=True, help="Wanted.")
@click.option("--alpha", type=_SHARE, default=0.05, show_default=True)
@click.option("--pay", type=click.FloatRange(0), help="Per hour, in your currency; shows the cost.")
@click.option(
    "--fee", type=click.FloatRange(0, 2), default=0.33, show_default=True, help="Of the panel, share of pay."
)
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Of a session [3 + 6 s per trial].")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Also draw the curve into this file (.svg, .png, .pdf)."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def power(
    rate: float | None,
    difference: float,
    trials: int,
    workers: int,
    images: int,
    runs: int,
    algorithms: int,
    within: bool,
    worker_sd: float | None,
    image_sd: float | None,
    own_image_sd: float | None,
    run_sd: float | None,
    pilot: Path | None,
    target: str,
    wanted: float,
    alpha: float,
    pay: float | None,
    fee: float,
    minutes: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """How many people, images and training runs find a difference, and what they cost."""
    from evalkit.cli import power_plan, power_tables
    from evalkit.stats.power import Design

    given = {"workers": worker_sd, "images": image_sd, "own_images": own_image_sd, "runs": run_sd}
    observed, spread = _spread(given, pilot)
    rate = rate if rate is not None else observed
    if rate + difference >= 1:
        raise UserError(
            f"--rate {rate:g} and --difference {difference:g} add up to 1 or more; lower one of them."
        )
    if images < trials:
        raise UserError(
            f"--images {images} is fewer than --trials {trials}: a session shows a source image once; more images, or"
            " fewer trials."
        )
    price = None if pay is None else power_plan.Price(pay, fee, *_length(minutes, trials))
    plan = power_plan.Plan(
        rate=rate,
        difference=difference,
        design=Design(workers, images, trials, runs, within, algorithms),
        spread=spread,
        target=cast("Target", target),
        power=wanted,
        alpha=alpha,
        algorithms=algorithms,
        price=price,
    )
    if as_json:
        click.echo(json.dumps(power_plan.as_json(plan), indent=2, allow_nan=False))
    else:
        power_tables.show(plan)
    if out is not None:
        _draw(plan, out)


def _length(minutes: float | None, trials: int) -> tuple[float, float]:
    """Minutes beside the scored trials, and seconds per trial; a given length is shared out as the assumed one is."""
    assumed = MINUTES_BEFORE + trials * SECONDS_PER_TRIAL / 60
    scale = 1.0 if minutes is None else minutes / assumed
    return MINUTES_BEFORE * scale, SECONDS_PER_TRIAL * scale


def _spread(given: dict[str, float | None], pilot: Path | None) -> tuple[float, "Spread"]:
    """The rate and SDs to plan with: what was said, else the pilot's, else typical ones.

    Raises:
        UserError: The algorithms' own part of the image SD is larger than the whole.
    """
    from evalkit.stats.power import Spread

    rate, found = 0.25, dict[str, float]()
    if pilot is not None:
        from evalkit.cli.power_pilot import read_pilot

        rate, found = read_pilot(pilot)
    known = found | {name: value for name, value in given.items() if value is not None}
    known.setdefault("own_images", known.get("images", Spread.images) * Spread.own_images / Spread.images)
    if known["own_images"] > known.get("images", Spread.images):
        raise UserError(
            f"--own-image-sd {known['own_images']:g} is a part of --image-sd {known.get('images', Spread.images):g} and"
            " cannot be larger."
        )
    return rate, Spread(**known)


def _draw(plan: "Plan", path: Path) -> None:
    """The curve as a picture."""
    from matplotlib.figure import Figure

    from evalkit.cli import power_plan

    if path.suffix.lower() not in (".svg", ".png", ".pdf"):
        raise UserError(f"--out {path}: the name must end in .svg, .png or .pdf.")
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for target, points in power_plan.curve(plan).items():
        known = [(workers, 100 * value) for workers, value in points if value is not None]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", markersize=3, label=target)
    axes.axhline(100 * plan.power, color="0.6", linewidth=0.8, linestyle="--")
    axes.set(
        xlabel=f"people per algorithm ({plan.design.images} images, {plan.design.trials} trials each)",
        ylabel=f"power for {100 * plan.rates[0]:g} % against {100 * plan.rates[1]:g} %, in %",
        ylim=(0, 100),
        xlim=(0, None),
    )
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
