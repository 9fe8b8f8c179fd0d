"""How long the runs of an ablation will take."""

from collections.abc import Sequence

from generators.ablation.record import RunKey, check_losses, run_config
from generators.config import RunConfig
from generators.training_loop import Estimate, Hardware, estimate


def estimate_ablation(
    config: RunConfig,
    losses: Sequence[str],
    hardware: Hardware = Hardware(),  # noqa: B008  (frozen)
) -> dict[str, Estimate]:
    """Time a few steps of each loss; nothing is written.

    Returns:
        For each loss what one run takes, without translating the held-out inputs, which takes little.

    Raises:
        UserError: As `train`, or a loss that cannot be.
    """
    check_losses(config, losses)
    return {loss: estimate(run_config(config, RunKey(loss, 0)), hardware) for loss in losses}
