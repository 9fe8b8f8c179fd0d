"""Every loss with every seed: trained, then shown the held-out inputs; what is finished is not done again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from generators.ablation.held_out import write_held_out
from generators.ablation.page import write_page
from generators.ablation.record import AblationRecord, RunKey, run_config, settle_record
from generators.config import RunConfig
from generators.sample import Inference, generate
from generators.training_loop import Hardware, Progress, train


@dataclass(frozen=True)
class AblationProgress:
    """Where an ablation is."""

    run: RunKey
    number: int
    """Of this run, from 1."""
    runs: int
    training: Progress | None
    """None while the run generates."""
    generated: tuple[int, int] = (0, 0)
    """Images done and images in all."""


OnProgress = Callable[[AblationProgress], None]


def ablate(
    config: RunConfig,
    losses: Sequence[str],
    seeds: int,
    out: Path,
    on_progress: OnProgress | None = None,
    *,
    hardware: Hardware = Hardware(),  # noqa: B008  (frozen)
    inference: Inference = Inference(),  # noqa: B008  (frozen)
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Train and generate every loss with seeds 0 to seeds - 1, and write the folder that compares them.

    The same call goes on where an earlier one stopped, and may add losses and seeds. Checkpoints are the last ones,
    never chosen by a score.

    Args:
        config: Of all runs, as `generators.presets.new_run` makes it; its loss and seed do not count.
        losses: Values of the method's setting `loss`.
        seeds: Training runs per loss.
        out: Folder with ablation.json, split.json, inputs/, real/, labels/ (where the data has classes),
            runs/LOSS/seedK/, LOSS/seedK/, grid.png, curves.svg and index.html.
        on_progress: Called a few times per second.
        hardware: To train on; one process.
        inference: How held-out inputs are translated.
        tell: Takes lines for the user.

    Returns:
        The path of index.html.

    Raises:
        UserError: As `settle_record`, `write_held_out`, `train` and `generate`.
    """
    record = settle_record(config, losses, seeds, out)
    write_held_out(config, out)  # first of all: it finds out whether the data will do
    record.write()
    order = sorted(record.runs, key=lambda run: run.seed)  # so that the losses can be compared early on
    page = None
    for number, run in enumerate(order, 1):
        if _is_done(record, run, config):
            continue

        def training(progress: Progress, run: RunKey = run, number: int = number) -> None:
            if on_progress:
                on_progress(AblationProgress(run, number, len(order), progress))

        def generating(done: int, total: int, run: RunKey = run, number: int = number) -> None:
            if on_progress:
                on_progress(AblationProgress(run, number, len(order), None, (done, total)))

        folder = record.run_folder(run)
        train(run_config(config, run), folder, hardware, training, tell=tell)
        generate(folder, config.location, record.images(run), inference, generating)
        page = write_page(record)  # each time, for long ones are looked at before they end
    return page or write_page(record)


def _is_done(record: AblationRecord, run: RunKey, config: RunConfig) -> bool:
    """Whether the images are there and come from the end of the training."""
    if not record.has_images(run):
        return False
    manifest = record.images(run) / "manifest.json"
    shown = json.loads(manifest.read_text(encoding="utf-8"))["checkpoint"]["images_shown"]
    return bool(shown >= config.training.total_images)
