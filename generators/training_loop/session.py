"""One process's part of a run: networks, optimisers, one step, and the state that a checkpoint keeps."""

import functools
import operator
import resource
import time
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from generators.config import TrainingSettings
from generators.methods.base import Losses, Method
from generators.runs import check_same_network
from generators.training_loop.batches import placer
from generators.training_loop.log import LossLog, not_finite
from studies.errors import UserError

FORMAT = 2
"""Of a checkpoint's state."""


class Session:
    """A method on its device, and how far its training has come."""

    def __init__(self, fabric: Fabric, method: Method, training: TrainingSettings) -> None:
        """`method` is moved onto the fabric's device and laid out as the settings say."""
        self.fabric, self.training = fabric, training
        dtype = torch.float64 if training.precision == "fp64" else torch.float32
        channels_last = training.channels_last and fabric.device.type == "cuda"
        layout = torch.channels_last if channels_last else torch.preserve_format
        self.method = method.to(fabric.device, dtype).to(memory_format=layout).train()
        self.place = placer(fabric.device, dtype, channels_last=channels_last)
        # Loads pretrained weights now, so that no step draws random numbers for that.
        self.notes = method.notes
        self.players = method.players()
        self.optimisers = {name: _adam(player, training) for name, player in self.players.items()}
        self._stepping: dict[str, Any] = {
            name: fabric.setup_optimizers(adam) for name, adam in self.optimisers.items()
        }
        self.log = LossLog(self._average)
        self.images_shown, self.seconds = 0, 0.0
        if training.compile:
            compile_networks(self.players)

    def step(self, source: Tensor, target: Tensor) -> None:
        """Show this process's share of one batch: one update of every player."""
        torch.manual_seed(step_seed(self.training.seed, self.fabric.global_rank, self.images_shown))
        rate = learning_rate(self.training, self.images_shown)
        turns = self.method.losses(self.place(source), self.place(target))
        # Autocast is left before each update: it keeps casts of the weights, which the update makes stale.
        while (turn := self._next_turn(turns)) is not None:
            player, terms = turn
            self.fabric.backward(functools.reduce(operator.add, terms.values()))
            self._average_gradients(player)
            for group in self.optimisers[player].param_groups:
                group["lr"] = rate
            self._stepping[player].step()
            self._stepping[player].zero_grad(set_to_none=True)
            self.log.add(self.images_shown, player, terms)
        self.images_shown += self.training.batch_size

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps; of several processes, the first one's (running statistics, history pool).

        Raises:
            UserError: A loss or a weight is not finite; a broken run leaves no checkpoint.
        """
        losses = self.log.state()
        self._check_weights()
        return {
            "format": FORMAT,
            "images_shown": self.images_shown,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "method": self.method.state_dict(),
            "optimisers": {name: adam.state_dict() for name, adam in self.optimisers.items()},
            "precision": self.fabric.strategy.precision.state_dict(),
            "losses": losses,
        }

    def load(self, state: dict[str, Any], where: object) -> None:
        """Take up a checkpoint.

        Raises:
            UserError: It is one of another network, or was written by another version of the loop.
        """
        if state["format"] != FORMAT:
            raise UserError(
                f"{where}: written by another version of evalkit (format {state['format']}, this one goes on from "
                f"{FORMAT}). Go on with that version, or start another run; `evalkit generate` still reads it."
            )
        check_same_network(self.method.state_dict(), state["method"], str(where))
        self.method.load_state_dict(state["method"])
        for name, adam in self.optimisers.items():
            adam.load_state_dict(state["optimisers"][name])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.log.load(state["losses"])
        self.images_shown, self.seconds = state["images_shown"], state["seconds"]

    def peak_memory_mb(self) -> float:
        """Most memory so far: of the GPU, or of this process."""
        if self.fabric.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.fabric.device) / 1e6
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6

    def wait_for_device(self) -> float:
        """The time once everything asked of the device is done."""
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)
        return time.perf_counter()

    def _next_turn(self, turns: Any) -> tuple[str, Losses] | None:
        with self.fabric.autocast():
            turn: tuple[str, Losses] | None = next(turns, None)
        return turn

    def _average(self, values: Tensor) -> Tensor:
        """Mean over the processes."""
        if self.fabric.world_size == 1:
            return values
        mean = self.fabric.all_reduce(values)
        assert isinstance(mean, Tensor)
        return mean

    def _average_gradients(self, player: str) -> None:
        """Mean over the processes, in one message.

        DistributedDataParallel is not used: a discriminator is called several times per step and frozen in between,
        which its bookkeeping does not expect.
        """
        if self.fabric.world_size == 1:
            return
        gradients = [weight.grad for weight in self.players[player].parameters() if weight.grad is not None]
        mean = self._average(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        parts = torch.split(mean, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))

    def _check_weights(self) -> None:
        for name, player in self.players.items():
            finite = [torch.isfinite(weight).all() for weight in player.parameters()]
            if finite and not torch.stack(finite).all().item():
                how = f"are no longer finite after image {self.images_shown:,}"
                raise UserError(not_finite(f"the weights of {name}", how))


def learning_rate(training: TrainingSettings, images_shown: int) -> float:
    """Constant, then falling linearly to zero over the last `decay_images`.

    Source: Zhu et al. 2017, section 4 (constant for 100 epochs, then linearly to zero over 100), counted in images.
    """
    if not training.decay_images:
        return training.learning_rate
    left = max(training.total_images - images_shown, 0)
    return training.learning_rate * min(1.0, left / training.decay_images)


def step_seed(seed: int, rank: int, images_shown: int) -> int:
    """Seed of everything PyTorch draws within one step.

    Source: Karras et al. 2024 (EDM2), whose training loop seeds each step from seed, rank and images shown.
    """
    return int(
        np.random.SeedSequence((seed, rank, images_shown)).generate_state(1, np.uint64)[0] >> np.uint64(1)
    )


def compile_networks(players: dict[str, nn.Module]) -> None:
    """Compile in place (names of weights stay); of a mere list of networks, each one."""
    for player in players.values():
        networks = player.children() if isinstance(player, nn.ModuleList | nn.ModuleDict) else [player]
        for network in networks:
            network.compile()


def _adam(player: nn.Module, training: TrainingSettings) -> torch.optim.Adam:
    weights = [weight for weight in player.parameters() if weight.requires_grad]
    betas = (training.beta1, training.beta2)
    return torch.optim.Adam(weights, lr=training.learning_rate, betas=betas, fused=True)
