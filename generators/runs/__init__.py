"""A run folder: config.json, checkpoints/, stats.jsonl, samples/. Reading it, and writing it so that nothing is lost."""

from generators.runs.checkpoints import (
    Checkpoint,
    check_same_network,
    checkpoint_paths,
    clear_leftovers,
    last_whole_checkpoint,
    write_checkpoint,
)
from generators.runs.config_file import (
    check_config,
    differences,
    extend,
    read_config,
    settle_config,
    write_config,
)
from generators.runs.disk import disk_errors, only_trainer, replace_durably
from generators.runs.loading import Run, load_run

__all__ = [
    "Checkpoint",
    "Run",
    "check_config",
    "check_same_network",
    "checkpoint_paths",
    "clear_leftovers",
    "differences",
    "disk_errors",
    "extend",
    "last_whole_checkpoint",
    "load_run",
    "only_trainer",
    "read_config",
    "replace_durably",
    "settle_config",
    "write_checkpoint",
    "write_config",
]
