import dataclasses
import itertools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from generators.config import RunConfig, override
from generators.methods import METHODS
from generators.methods.base import Losses, Method
from generators.runs import checkpoint_paths, only_trainer
from generators.training_loop import Hardware, Parts, TrainingStoppedError, build_parts, estimate, train
from generators.training_loop.batches import SharedCounters
from generators.training_loop.log import LossLog
from generators.training_loop.session import compile_networks, learning_rate
from studies.errors import UserError
from tests.generators.toy_training import (
    CPU,
    SIZE_PX,
    ToyMethod,
    ToySettings,
    Watched,
    last_state,
    same_bits,
    stats,
    toy_build,
    toy_config,
    toy_train,
    write_pairs,
    write_unpaired,
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def interrupt_at(image: int) -> Callable[[int], None]:
    """Ctrl-C while this image is being loaded."""

    def happens(k: int) -> None:
        if k == image:
            os.kill(os.getpid(), signal.SIGINT)

    return happens


def train_with_interruption(config: Any, folder: Path, image: int) -> None:
    with pytest.raises(TrainingStoppedError, match="run the same command to go on"):
        toy_train(config, folder, build=toy_build(interrupt_at(image)))
    toy_train(config, folder)


def test_a_run_leaves_config_lines_grids_and_its_last_two_checkpoints(tmp_path: Path) -> None:
    told = []
    finished = toy_train(toy_config(), tmp_path / "run", on_progress=told.append)
    assert (finished.images_shown, finished.resumed_at) == (24, 0)
    names = {path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").rglob("*.*")}
    assert names == {
        "config.json",
        "stats.jsonl",
        ".training.lock",
        "checkpoints/000000016.pt",
        "checkpoints/000000024.pt",
        *(f"samples/{images:09d}.png" for images in (8, 16, 24)),
    }
    lines = stats(tmp_path / "run")
    assert [line["images"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert list(lines[0]) == [
        "images",
        "learning_rate",
        "discriminator.real",
        "discriminator.fake",
        "generator.gan",
        "generator.l1",
    ]
    assert told[-1].images_shown == told[-1].total_images == 24
    assert told[-1].losses["generator.l1"] == lines[-1]["generator.l1"]


@pytest.mark.parametrize("image", [0, 5, 8, 23])
def test_a_run_interrupted_anywhere_is_bit_for_bit_the_run_that_was_not(image: int, tmp_path: Path) -> None:
    toy_train(toy_config(), tmp_path / "whole")
    if image == 23:  # asked to stop during the last step: there is nothing left to stop
        toy_train(toy_config(), tmp_path / "broken", build=toy_build(interrupt_at(image)))
    else:
        train_with_interruption(toy_config(), tmp_path / "broken", image)
    assert same_bits(last_state(tmp_path / "broken"), last_state(tmp_path / "whole"))
    assert stats(tmp_path / "broken") == stats(tmp_path / "whole")


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bf16"},
        {"precision": "fp64"},
        {"batch_size": 4},
        {"decay_images": 16},
        {"deterministic": False},
    ],
    ids=str,
)
def test_resuming_is_exact_with_every_setting(settings: dict[str, Any], tmp_path: Path) -> None:
    config = toy_config(**settings)
    toy_train(config, tmp_path / "whole")
    train_with_interruption(config, tmp_path / "broken", 9)
    assert same_bits(last_state(tmp_path / "broken"), last_state(tmp_path / "whole"))
    assert stats(tmp_path / "broken") == stats(tmp_path / "whole")


REAL = {
    "pix2pix": (
        "paired",
        16,
        write_pairs,
        ["discriminator_filters=2", "receptive_field_px=16", "batch_size=2"],
    ),
    "cyclegan": (
        "unpaired",
        24,
        write_unpaired,
        ["discriminator_filters=2", "n_blocks=1", "history_images=2"],  # full before the interruption
    ),
}


@pytest.mark.parametrize("method", REAL)
def test_real_methods_resume_bit_for_bit_and_their_grids_leave_no_trace(method: str, tmp_path: Path) -> None:
    task, size_px, write, settings = REAL[method]
    config = RunConfig("real", method, str(write(tmp_path / "data")), settings=METHODS[method].Settings())
    sizes = [f"load_size_px={size_px + 2}", f"crop_size_px={size_px}", "base_filters=2", f"task={task}"]
    lengths = ["total_images=12", "log_images=4", "checkpoint_images=8", "sample_images=4"]
    config = override(config, [*sizes, *lengths, *settings])
    train(config, tmp_path / "whole", CPU)

    def build(config: RunConfig) -> Parts:
        parts = build_parts(config)
        return dataclasses.replace(parts, shown=Watched(parts.shown, interrupt_at(5)))

    with pytest.raises(TrainingStoppedError, match="Stopped at 6 of 12 images"):
        train(config, tmp_path / "broken", CPU, build=build)
    train(config, tmp_path / "broken", CPU)
    assert same_bits(last_state(tmp_path / "broken"), last_state(tmp_path / "whole"))
    assert stats(tmp_path / "broken") == stats(tmp_path / "whole")
    train(override(config, ["sample_images=0"]), tmp_path / "without", CPU)
    assert same_bits(last_state(tmp_path / "without"), last_state(tmp_path / "whole"))
    with Image.open(tmp_path / "whole" / "samples" / "000000012.png") as grid:
        rows, columns = (3, 3) if method == "pix2pix" else (8, 2)
        assert grid.size == (4 + (size_px + 4) * columns, 4 + (size_px + 4) * rows)


def test_the_seed_settles_the_weights_and_another_seed_gives_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        toy_train(toy_config(seed=seed), tmp_path / name)
    assert same_bits(last_state(tmp_path / "one"), last_state(tmp_path / "again"))
    assert not same_bits(last_state(tmp_path / "one"), last_state(tmp_path / "two"))


def test_grids_lines_checkpoints_and_loading_processes_change_nothing(tmp_path: Path) -> None:
    toy_train(toy_config(sample_images=0, log_images=100, checkpoint_images=100), tmp_path / "plain")
    toy_train(
        toy_config(sample_images=1, log_images=1, checkpoint_images=1),
        tmp_path / "busy",
        Hardware(1, 1, "cpu", 2),
    )
    plain, busy = last_state(tmp_path / "plain"), last_state(tmp_path / "busy")
    statistics = {f"generator.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    for name in statistics:  # the toy method keeps no promise about them; real ones do
        plain["method"].pop(name)
        busy["method"].pop(name)
    plain.pop("losses")
    busy.pop("losses")
    assert same_bits(plain, busy)


def test_a_longer_run_is_the_run_that_was_long_from_the_start(tmp_path: Path) -> None:
    from generators.runs import write_config

    toy_train(toy_config(total_images=16), tmp_path / "grown")
    write_config(tmp_path / "grown", toy_config(total_images=24))
    toy_train(toy_config(), tmp_path / "grown")
    toy_train(toy_config(), tmp_path / "long")
    assert same_bits(last_state(tmp_path / "grown"), last_state(tmp_path / "long"))


def test_a_finished_run_says_so_and_trains_no_further(tmp_path: Path) -> None:
    toy_train(toy_config(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    finished = toy_train(toy_config(), tmp_path)
    assert finished.resumed_at == finished.images_shown == 24
    before.pop(tmp_path / ".training.lock")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_other_settings_than_the_folders_are_refused_and_shown(tmp_path: Path) -> None:
    toy_train(toy_config(), tmp_path)
    with pytest.raises(
        UserError, match=r"total_images is 24 there, 48 here; learning_rate is 0.0002 there, 0.1 here"
    ):
        toy_train(toy_config(total_images=48, learning_rate=0.1), tmp_path)


def test_settings_may_still_change_while_there_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Out of memory"):
        toy_train(toy_config(learning_rate=1.0), tmp_path, build=toy_build(method=Greedy))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000000003.png").touch()
    assert toy_train(toy_config(), tmp_path).images_shown == 24
    assert len(list((tmp_path / "samples").iterdir())) == 3


def test_what_cannot_be_drawn_at_the_end_is_said_before_the_run_begins(tmp_path: Path) -> None:
    config = RunConfig(
        "", "pix2pix", str(write_pairs(tmp_path / "data")), settings=METHODS["pix2pix"].Settings()
    )
    small = ["load_size_px=16", "crop_size_px=16", "base_filters=2", "discriminator_filters=2"]
    for wrong, message in (
        ("test_size_px=20", "20 x 20 px: this U-Net takes sides that are multiples of 16"),
        ("receptive_field_px=70", "this discriminator needs at least 24 px"),
        ("base_filters=0", "base_filters = 0: a network needs at least 1 filter"),
    ):
        with pytest.raises(UserError, match=message):
            train(override(config, [*small, "receptive_field_px=16", wrong]), tmp_path / "run", CPU)
        assert not (tmp_path / "run").exists()


def test_the_memory_of_losses_does_not_grow_with_the_run() -> None:
    log = LossLog(lambda values: values)
    for step in range(5_000):
        log.add(step, "generator", {"l1": torch.tensor(float(step))})
    assert log.state() == {"generator.l1": (4_999 * 2_500.0, 5_000)}
    resumed = LossLog(lambda values: values)
    resumed.load(log.state())
    assert resumed.means() == log.means() == {"generator.l1": 4_999 / 2}
    assert log.means() == {}


def test_two_processes_cannot_train_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()

    def hold() -> None:
        with only_trainer(tmp_path):
            ready.set()
            done.wait(30)

    other = context.Process(target=hold)
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(UserError, match="another process is training this run already"):
            toy_train(toy_config(), tmp_path)
    finally:
        done.set()
        other.join()
    toy_train(toy_config(), tmp_path)


class Breaks(ToyMethod):
    """One loss is no number in the step after image 13."""

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        self.steps = getattr(self, "steps", -1) + 1
        for player, terms in super().losses(source, target):
            if self.steps == 13 and player == "generator":
                terms["gan"] = terms["gan"] * float("nan")
            yield player, terms


def test_a_loss_that_is_no_number_stops_the_run_with_step_player_and_term(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"the loss generator\.gan became nan in the step after image 13\."
    ) as error:
        toy_train(toy_config(), tmp_path, build=toy_build(method=Breaks))
    assert "lower learning_rate" in str(error.value)
    assert "precision=fp32" in str(error.value)
    assert [path.name for path in checkpoint_paths(tmp_path)] == ["000000008.pt"]


class Overflows(ToyMethod):
    """Its losses are fine, its gradients are not."""

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        yield "discriminator", {"real": self.discriminator(target).mean()}
        yield "generator", {"l1": (self.generator(source).sum() * 0).sqrt() + 1}


def test_weights_that_are_no_numbers_never_reach_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the weights of generator are no longer finite after image 1\."):
        toy_train(toy_config(checkpoint_images=1), tmp_path, build=toy_build(method=Overflows))
    assert checkpoint_paths(tmp_path) == []


class Greedy(ToyMethod):
    """Asks for more memory than any machine has."""

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        torch.empty(1 << 50)
        yield from super().losses(source, target)


def test_out_of_memory_says_which_settings_help(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"Out of memory with batch_size=1.*batch_size, crop_size_px or base_filters"
    ):
        toy_train(toy_config(), tmp_path, build=toy_build(method=Greedy))


class Segmenter(Method):
    """One player; the target is a class map."""

    def __init__(self, settings: ToySettings) -> None:
        super().__init__(settings, 3, 5, SIZE_PX)
        self.network = nn.Conv2d(3, 5, 1)

    def players(self) -> dict[str, nn.Module]:
        return {"network": self.network}

    def losses(self, source: Tensor, target: Tensor) -> Iterator[tuple[str, Losses]]:
        assert target.dtype == torch.int64
        yield "network", {"cross_entropy": nn.functional.cross_entropy(self.network(source), target)}

    def generate(self, images: Tensor, *, backward: bool = False) -> Tensor:
        scores: Tensor = self.network(images)
        return scores


class Labelled(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    def __getitem__(self, k: int) -> tuple[Tensor, Tensor]:
        source = torch.randn(3, SIZE_PX, SIZE_PX, generator=torch.Generator().manual_seed(k))
        return source, source.argmax(0)


@pytest.mark.parametrize("precision", ["fp32", "fp64", "bf16"])
def test_the_loop_also_trains_a_segmenter_on_class_maps(precision: str, tmp_path: Path) -> None:
    config = toy_config(total_images=96, precision=precision, learning_rate=0.05, sample_images=0)
    toy_train(config, tmp_path, build=lambda config: Parts(Segmenter(config.settings), Labelled()))
    losses = [line["network.cross_entropy"] for line in stats(tmp_path)]
    assert losses[-1] < 0.8 * losses[0]


def test_an_unusable_image_is_named_in_one_line_even_from_a_loading_process(tmp_path: Path) -> None:
    def happens(k: int) -> None:
        if k == 3:
            raise UserError("cat.png: no image.")

    for workers in (0, 1):
        with pytest.raises(UserError, match=r"^cat\.png: no image\.$"):
            toy_train(toy_config(), tmp_path, Hardware(1, 1, "cpu", workers), build=toy_build(happens))


@pytest.mark.parametrize(
    ("training", "hardware", "message"),
    [
        (
            {"batch_size": 7},
            CPU,
            "total_images=24 is no whole number of batches. For example total_images=21.",
        ),
        ({"batch_size": 0}, CPU, "batch_size=0"),
        ({"total_images": 0}, CPU, "total_images=0: at least one batch is needed"),
        ({"decay_images": 48}, CPU, "decay_images=48 is more than total_images=24.*for example to 12"),
        ({"batch_size": 4}, Hardware(3, 1, "cpu"), "shared by 3 devices in equal parts: set a multiple of 3"),
        ({"precision": "fp16"}, CPU, "precision=fp16 needs a GPU"),
        ({"batch_size": 4}, Hardware(4, 1, "cuda"), "--devices 4: this machine has"),
    ],
)
def test_settings_that_do_not_fit_the_devices_are_refused(
    training: dict[str, Any], hardware: Hardware, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        toy_train(toy_config(**training), tmp_path / "run", hardware)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_batch_n_is_the_same_images_however_many_processes_share_it(processes: int) -> None:
    shares = [list(SharedCounters(8, 24, 4, rank, processes)) for rank in range(processes)]
    batches = [sorted(itertools.chain.from_iterable(parts)) for parts in zip(*shares, strict=True)]
    assert batches == [list(range(first, first + 4)) for first in (8, 12, 16, 20)]


def test_the_learning_rate_falls_linearly_over_the_last_images() -> None:
    training = toy_config(total_images=100, decay_images=50, learning_rate=2.0).training
    assert [learning_rate(training, shown) for shown in (0, 50, 75, 99, 100)] == [2.0, 2.0, 1.0, 0.04, 0.0]
    assert learning_rate(dataclasses.replace(training, decay_images=0), 99) == 2.0


def test_training_leaves_pytorchs_switches_and_random_state_alone(tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    toy_train(toy_config(), tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_estimate_times_real_steps_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = estimate(toy_config(total_images=1000), CPU, build=toy_build())
    assert found.device == "cpu"
    assert found.seconds == pytest.approx(1000 * found.seconds_per_image)
    assert found.weights == {"discriminator": 28, "generator": 231}
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_gets_the_same_lines(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    toy_train(toy_config(), tmp_path, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    told = [(event.step, event.value) for event in events.Scalars("generator/l1")]
    assert told == [(line["images"], pytest.approx(line["generator.l1"])) for line in stats(tmp_path)]
    assert [event.step for event in events.Images("samples")] == [8, 16, 24]


def test_tensorboard_that_is_missing_is_said_with_how_to_bring_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'evalkit\[tensorboard\]'"):
        toy_train(toy_config(), tmp_path, tensorboard=True)


def test_compiling_keeps_the_names_of_the_weights_and_reaches_networks_in_lists() -> None:
    player = nn.ModuleList([nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)])
    names = list(player.state_dict())
    compile_networks({"generators": player})
    assert list(player.state_dict()) == names
    assert all(network._compiled_call_impl is not None for network in player)
