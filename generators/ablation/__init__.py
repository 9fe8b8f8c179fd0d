"""The loss ablation: the same training under several losses and seeds, its images and a page to look through."""

from generators.ablation.estimate import estimate_ablation
from generators.ablation.page import duration
from generators.ablation.record import AblationRecord, RunKey, loss_choices, read_ablation, settle_record
from generators.ablation.running import AblationProgress, ablate

__all__ = [
    "AblationProgress",
    "AblationRecord",
    "RunKey",
    "ablate",
    "duration",
    "estimate_ablation",
    "loss_choices",
    "read_ablation",
    "settle_record",
]
