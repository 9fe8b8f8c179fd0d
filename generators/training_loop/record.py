"""What a run leaves in its folder as it goes: stats.jsonl, samples/, checkpoints/."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from generators.runs import disk_errors, replace_durably, write_checkpoint
from generators.training_loop.log import append_stats
from generators.training_loop.parts import Grid
from generators.training_loop.session import Session, learning_rate
from generators.training_loop.tensorboard import Board

SAMPLES = "samples"
_PROGRESS_EVERY_S = 0.2


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    images_shown: int
    total_images: int
    images_per_second: float
    """Since this process began; 0 until its second step."""
    losses: Mapping[str, float] = field(default_factory=dict)
    """`player.term` -> mean over the last line of stats.jsonl."""

    @property
    def seconds_left(self) -> float | None:
        """At the present speed; None until that is known."""
        left = self.total_images - self.images_shown
        return left / self.images_per_second if self.images_per_second else None


class Record:
    """Writes for all processes, which all call it alike; only the first one touches the folder."""

    def __init__(
        self, folder: Path, session: Session, board: Board, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self.folder, self.session, self.board = folder, session, board
        self.first = session.fabric.is_global_zero
        self.on_progress = on_progress if self.first else None
        self.losses: dict[str, float] = {}
        self._began = self._line_began = time.perf_counter()
        self._began_at = self._line_began_at = session.images_shown
        self._told = 0.0

    def line(self) -> None:
        """Write the next line of stats.jsonl.

        Raises:
            UserError: A loss is not finite, or no space is left.
        """
        session = self.session
        self.losses = session.log.means()
        now, shown = session.wait_for_device(), session.images_shown
        seconds, images = now - self._line_began, shown - self._line_began_at
        self._line_began, self._line_began_at = now, shown
        session.seconds += seconds
        line = {
            "images": shown,
            "seconds": round(session.seconds, 3),
            "images_per_second": round(images / seconds, 3),
            "learning_rate": learning_rate(session.training, shown - session.training.batch_size),
            **self.losses,
            "peak_memory_mb": round(session.peak_memory_mb(), 1),
        }
        if self.first:
            append_stats(self.folder, line)
            self.board.add_line(line)

    def draw(self, grid: Grid) -> None:
        """Write the next sample grid."""
        if not self.first:
            return
        path = self.folder / SAMPLES / f"{self.session.images_shown:09d}.png"
        picture = grid(self.session.method, self.session.place)
        with disk_errors(path):
            path.parent.mkdir(exist_ok=True)
            replace_durably(path, lambda stream: picture.save(stream, "png"))
        self.board.add_grid(self.session.images_shown, picture)

    def checkpoint(self) -> None:
        """Write the next checkpoint.

        Raises:
            UserError: A loss or weight is not finite, or no space is left.
        """
        state = self.session.state()
        if self.first:
            write_checkpoint(self.folder, self.session.images_shown, state)

    def progress(self) -> None:
        """Tell how far it has come, unless that was told just now."""
        now, shown = time.perf_counter(), self.session.images_shown
        total = self.session.training.total_images
        if self.on_progress is None or (now - self._told < _PROGRESS_EVERY_S and shown < total):
            return
        if not self._told:  # the first step warms up; speed counts from here
            self._began, self._began_at = now, shown
        self._told = now
        speed = (shown - self._began_at) / max(now - self._began, 1e-9)
        self.on_progress(Progress(shown, total, speed, self.losses))


def cut_samples(folder: Path, images_shown: int) -> None:
    """Remove the grids after a checkpoint; the resumed run draws them again."""
    for path in (folder / SAMPLES).glob("*.png"):
        if path.stem.isdecimal() and int(path.stem) > images_shown:
            path.unlink()
