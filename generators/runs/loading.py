"""A run folder -> its method with the last checkpoint's weights."""

from dataclasses import dataclass
from pathlib import Path

from generators.config import RunConfig
from generators.data import TASKS
from generators.data.base import Task
from generators.methods import build_method
from generators.methods.base import Method
from generators.runs.checkpoints import check_same_network, last_whole_checkpoint
from generators.runs.config_file import read_config
from studies.errors import UserError


@dataclass(frozen=True)
class Run:
    """A trained method, ready to generate, on the CPU and in float32."""

    config: RunConfig
    task: Task
    method: Method
    images_shown: int
    """So many when the checkpoint was written; fewer than `total_images` while the run is not finished."""
    checkpoint: Path
    notes: tuple[str, ...] = ()
    """What must be said beside anything this run made (`Method.notes` at training)."""
    damaged: tuple[Path, ...] = ()
    """Later checkpoint files that could not be read."""


def load_run(folder: Path) -> Run:
    """Open a run folder at its last whole checkpoint.

    Raises:
        UserError: No run, no whole checkpoint, or a checkpoint of another network.
    """
    config = read_config(folder)
    checkpoint = last_whole_checkpoint(folder)
    if checkpoint is None:
        raise UserError(f"{folder}: no checkpoint yet. `evalkit train {folder}` goes on with the training.")
    task = TASKS[config.data.task](config.data)
    method = build_method(config, task)
    check_same_network(method.state_dict(), checkpoint.state["method"], checkpoint.path)
    method.load_state_dict(checkpoint.state["method"])
    notes = tuple(checkpoint.state["notes"])
    return Run(config, task, method, checkpoint.images_shown, checkpoint.path, notes, checkpoint.damaged)
