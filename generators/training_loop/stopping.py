"""Why a run ends early: asked to, out of memory, or a loss that is no number any more."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from generators.config import TrainingSettings
from studies.errors import UserError

_NO_MEMORY = ("can't allocate memory", "not enough memory", "is killed by signal: Killed", "out of memory")


class TrainingStoppedError(UserError):
    """Stopped by Ctrl-C or by the system, with a checkpoint written; the same command goes on."""


class StopRequest:
    """Whether someone has asked to stop; the loop looks between two steps."""

    requested = False


@contextmanager
def stop_on_signal(*, alone: bool) -> Iterator[StopRequest]:
    """Take signals as requests to stop.

    Args:
        alone: The only training process: SIGINT and SIGTERM are taken, and a second one ends the process as usual.
            Of several processes each takes every SIGINT (the terminal and torchrun send one each), while SIGTERM,
            by which torchrun ends the others after one has failed, ends it as usual.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request  # only the main thread may handle signals
        return
    taken = (signal.SIGINT, signal.SIGTERM) if alone else (signal.SIGINT,)
    before = {number: signal.getsignal(number) for number in taken}

    def give_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (a signal handler's signature)
        request.requested = True
        if alone:
            give_back()

    for number in taken:
        signal.signal(number, ask)
    try:
        yield request
    finally:
        give_back()


@contextmanager
def explained_errors(training: TrainingSettings) -> Iterator[None]:
    """Turn "out of memory", and a compiler that fails, into one line.

    Raises:
        UserError: Says which settings need less, or which to switch off.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            first_line = str(error).strip().partition("\n")[0]
            raise UserError(f"compile=true failed ({first_line}). Set compile=false.") from error
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(
            words in str(error) for words in _NO_MEMORY
        ):
            raise
        raise UserError(
            f"Out of memory with batch_size={training.batch_size}, precision={training.precision}. Lower batch_size, "
            "crop_size_px or base_filters, or set precision=bf16 (each by --set key=value)."
        ) from error
