"""The processes that share the work of a pass; one, unless several GPUs were asked for."""

from typing import Any, Literal


class Team:
    """This process among the others. The first one keeps the books: what it says counts, and it ends up with all."""

    rank = 0
    size = 1

    def first_says(self, value: Any) -> Any:
        """The first process's value, everywhere."""
        return value

    def to_first(self, value: Any) -> list[Any]:
        """Everyone's values, in the order of ranks, on the first process; elsewhere nothing."""
        return [value]


ALONE = Team()


class Distributed(Team):
    """Processes started by torchrun and joined by Lightning Fabric."""

    def __init__(self, rank: int, size: int) -> None:
        """torch.distributed is initialised already."""
        self.rank, self.size = rank, size

    def first_says(self, value: Any) -> Any:
        """By broadcast."""
        from torch import distributed

        box = [value if self.rank == 0 else None]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def to_first(self, value: Any) -> list[Any]:
        """By gather."""
        from torch import distributed

        boxes: list[Any] = [None] * self.size if self.rank == 0 else []
        distributed.gather_object(value, boxes if self.rank == 0 else None, dst=0)
        return boxes


def join_team(devices: int, nodes: int, accelerator: Literal["auto", "cpu", "cuda"]) -> Team:
    """This process's team; with several processes, joined to the others (torchrun has started them).

    Args:
        devices: Processes on this machine, one per GPU (or so many on the CPU).
        nodes: Machines.
        accelerator: auto: CUDA where there is a GPU, else the CPU.
    """
    if devices * nodes == 1:
        return ALONE
    import logging

    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banners are not news
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy="ddp",
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return Distributed(fabric.global_rank, fabric.world_size)
