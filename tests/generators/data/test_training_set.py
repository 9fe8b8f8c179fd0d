"""Which training pairs come when."""

import pickle
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from generators.config import DataSettings
from generators.data import TASKS, Dataset, Example, TrainingSet, open_dataset
from generators.data import pixels as pixels_module
from studies.errors import UserError
from tests.generators.data.made_up_images import fill


def a_set(folder: Path, seed: int = 1, **settings) -> TrainingSet:
    """Over all images of the folder, cut without mirroring from 8 px to 8 px."""
    all_settings = DataSettings(
        **{"load_size_px": 8, "crop_size_px": 8, "mirror": False, "test_share": 0} | settings
    )
    return TrainingSet(open_dataset(str(folder), all_settings), TASKS[all_settings.task](all_settings), seed)


@pytest.fixture
def pairs(tmp_path) -> Path:
    fill(tmp_path / "train", "1 2 3 4 5 6 7", size=(16, 8))
    return tmp_path


def seen(training: TrainingSet, first: int, last: int, side: int = 0) -> list[bytes]:
    return [training[k][side].numpy().tobytes() for k in range(first, last)]


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own(pairs):
    training = a_set(pairs)
    assert len(training) == 7
    epochs = [seen(training, 7 * epoch, 7 * epoch + 7) for epoch in range(3)]
    assert len(set(epochs[0])) == 7
    assert set(epochs[0]) == set(epochs[1]) == set(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]


def test_an_item_depends_on_seed_and_position_alone(pairs):
    jittered = {"load_size_px": 12, "mirror": True}
    forward = seen(a_set(pairs, **jittered), 0, 20)
    asked_backward = a_set(pairs, **jittered)
    assert [asked_backward[k][0].numpy().tobytes() for k in reversed(range(20))] == forward[::-1]
    assert seen(a_set(pairs, seed=2, **jittered), 0, 20) != forward
    assert len(set(forward)) == 20


def test_source_and_target_of_a_pair_belong_together(pairs):
    training = a_set(pairs)
    together = {(training[k][0].numpy().tobytes(), training[k][1].numpy().tobytes()) for k in range(21)}
    assert len(together) == 7


def test_unpaired_partners_are_drawn_independently_and_the_longer_side_counts(tmp_path):
    fill(tmp_path / "trainA", "1 2 3", seed=1, size=(8, 8))
    fill(tmp_path / "trainB", "1 2 3 4 5", seed=2, size=(8, 8))
    training = a_set(tmp_path, task="unpaired")
    assert len(training) == 5
    of_a = Counter(seen(training, 0, 5))
    assert sorted(of_a.values()) == [1, 2, 2]
    of_b = Counter(seen(training, 0, 200, side=1))
    assert len(of_b) == 5
    assert min(of_b.values()) > 20
    together = {(training[k][0].numpy().tobytes(), training[k][1].numpy().tobytes()) for k in range(200)}
    assert len(together) == 15


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_give_the_same_stream(pairs, workers):
    loader = DataLoader(
        a_set(pairs, load_size_px=12), batch_size=None, sampler=range(3, 17), num_workers=workers
    )
    alone = a_set(pairs, load_size_px=12)
    for k, (source, target) in zip(range(3, 17), loader, strict=True):
        assert source.equal(alone[k][0])
        assert target.equal(alone[k][1])


def test_images_that_fit_are_decoded_once(pairs):
    training = a_set(pairs)
    before = seen(training, 0, 7)
    for path in (pairs / "train").iterdir():
        path.unlink()
    assert seen(training, 0, 7) == before


def test_a_large_set_is_decoded_as_it_is_asked_for(pairs, monkeypatch):
    kept = seen(a_set(pairs), 0, 14)
    monkeypatch.setattr(pixels_module, "KEPT_BYTES", 1000)
    training = a_set(pairs)
    assert seen(training, 0, 14) == kept
    (pairs / "train/1.png").unlink()
    with pytest.raises(UserError, match=r"1\.png: the file is damaged or incomplete"):
        seen(training, 0, 7)


def test_a_worker_that_is_not_forked_gets_names_not_pixels(pairs):
    training = a_set(pairs)
    sent = pickle.dumps(training)
    assert len(sent) < 10_000
    assert seen(pickle.loads(sent), 0, 7) == seen(training, 0, 7)


def test_a_dataset_without_training_images_is_refused(pairs):
    (pairs / "train").rename(pairs / "test")
    with pytest.raises(UserError, match=r"no training images on side A \(aligned"):
        a_set(pairs)


def test_one_side_alone_cannot_train_unpaired(tmp_path):
    fill(tmp_path, "1")
    settings = DataSettings(task="unpaired")
    only_a = [
        Example(one.name, one.a, None)
        for one in open_dataset(str(tmp_path), DataSettings(task="photos", test_share=0)).train
    ]
    with pytest.raises(UserError, match="here: no training images on side B"):
        TrainingSet(Dataset("here", "", only_a, (), ""), TASKS["unpaired"](settings), 0)


def test_tensors_of_a_kept_image_do_not_share_its_memory(pairs):
    training = a_set(pairs)
    first = training[0][0].clone()
    training[0][0].fill_(9)
    assert training[0][0].equal(first)
    assert training[0][0].dtype == torch.float32
