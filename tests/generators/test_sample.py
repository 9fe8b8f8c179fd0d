import dataclasses
import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from generators.methods import METHODS
from generators.networks import init_weights
from generators.networks.resnet import ResNetGenerator
from generators.networks.unet import UNet
from generators.presets import new_run
from generators.sample import Inference, ReferenceOptions, generate
from generators.sample.reference_checkpoints import load_reference, read_options
from generators.sample.translator import open_translator
from generators.toy_facades import write_toy_facades
from generators.training_loop import train
from studies.errors import UserError
from studies.imagesets import open_image_set

SMALL = ("load_size_px=36", "crop_size_px=32", "total_images=8", "base_filters=4", "discriminator_filters=4")

OPTIONS = """----------------- Options ---------------
               batch_size: 1                             
                crop_size: 32                            \t[default: 256]
                direction: BtoA                          \t[default: AtoB]
                 dataroot: ./datasets/facades            \t[default: None]
                     netG: unet_32                       \t[default: resnet_9blocks]
                      ngf: 4                             \t[default: 64]
               no_dropout: False                         
                     norm: batch                         \t[default: instance]
----------------- End -------------------
"""  # noqa: W291  (as the reference pads it)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "toy"
    write_toy_facades(folder, 9, 64, seed=3, n_test=5)
    return folder


@pytest.fixture(scope="module")
def run(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = [*SMALL, "receptive_field_px=16", "batch_size=1"]
    folder = tmp_path_factory.mktemp("runs") / "toy"
    train(new_run("pix2pix_toy_facades", str(toy), settings), folder)
    return folder


@pytest.fixture
def inputs(toy: Path) -> str:
    return str(toy / "test" / "labels")


def checkpoint(network: nn.Module, path: Path) -> Path:
    """Weights as the reference saves them, with running statistics that a training has moved."""
    torch.manual_seed(1)
    init_weights(network)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
    torch.save(network.state_dict(), path)
    return path


def pixels(folder: Path) -> dict[str, Any]:
    return {
        one.source_id: np.asarray(Image.open(one.path)) for one in open_image_set(str(folder), Path()).images
    }


def same(one: Path, other: Path) -> bool:
    first, second = pixels(one), pixels(other)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


# Run folders


def test_a_run_translates_the_test_split_of_its_dataset_and_says_how(
    run: Path, toy: Path, tmp_path: Path
) -> None:
    out = generate(run, str(toy), tmp_path / "images", Inference(seed=5))
    found = open_image_set(str(out), Path())
    assert found.source_ids == tuple(f"facade_000{number}" for number in range(4, 9))
    assert found.warnings == ()
    told = manifest(out)
    assert told["generator"] == "pix2pix l1_cgan"
    assert (told["settings"]["preset"], told["settings"]["total_images"]) == ("pix2pix_toy_facades", 8)
    assert (told["seed"], told["training_seed"], told["inputs"]) == (5, 0, str(toy))
    assert told["checkpoint"]["images_shown"] == 8
    assert len(told["checkpoint"]["sha256"]) == 64
    assert told["inference"] == {
        "dropout": True,
        "normalisation": "batch",
        "batch_size": 1,
        "backward": False,
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
    assert told["versions"]["torch"] == torch.__version__.split("+")[0]
    assert told["notes"] == []


def test_threads_change_nothing_but_speed(run: Path, inputs: str, tmp_path: Path) -> None:
    serial = generate(run, inputs, tmp_path / "serial", threads=0)
    assert same(serial, generate(run, inputs, tmp_path / "threads", threads=3))


def test_progress_counts_to_the_number_of_inputs(run: Path, inputs: str, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    generate(run, inputs, tmp_path / "images", on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(1, 6)]


def test_an_older_image_set_of_the_same_run_is_replaced(run: Path, inputs: str, tmp_path: Path) -> None:
    out = generate(run, inputs, tmp_path / "images")
    generate(run, inputs, out, Inference(seed=9))
    assert manifest(out)["seed"] == 9
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_folder_with_anything_else_in_it_is_refused(run: Path, inputs: str, tmp_path: Path) -> None:
    other = checkpoint(UNet(3, 3, 32, 4), tmp_path / "latest_net_G.pth")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(
        UserError, match=r"images: exists and is no image set of this run. Choose another --out"
    ):
        generate(run, inputs, tmp_path / "images")
    generate(other, inputs, tmp_path / "theirs")
    with pytest.raises(UserError, match=r"theirs: exists and is no image set of this run"):
        generate(run, inputs, tmp_path / "theirs")


def test_a_place_among_the_inputs_or_without_a_name_is_refused(
    run: Path, inputs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"labels/made: lies in .*labels, whose images are the inputs"):
        generate(run, inputs, Path(inputs) / "made")
    for out in (".", ".."):
        with pytest.raises(UserError, match=r"has no name of its own"):
            generate(run, inputs, Path(out))
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_cannot_be_read_leaves_no_image_set(run: Path, inputs: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(4):
        Image.new("RGB", (32, 32)).save(tmp_path / "in" / f"{number}.png")
    broken = tmp_path / "in" / "2.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(UserError, match=r"2.png"):
        generate(run, str(tmp_path / "in"), tmp_path / "images")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_full_disk_is_one_line_and_leaves_the_older_images(run: Path, inputs: str, tmp_path: Path) -> None:
    out = generate(run, inputs, tmp_path / "images")
    before = pixels(out)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(UserError, match=r"images: no space left"):
            generate(run, inputs, out, Inference(seed=1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert pixels(out).keys() == before.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_what_is_no_run_says_how_to_train_one(run: Path, inputs: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"no training run .it has no config.json.. `evalkit train --preset NAME"
    ):
        generate(tmp_path, inputs, tmp_path / "images")
    with pytest.raises(UserError, match=r"Below it are runs: toy."):
        generate(run.parent, inputs, tmp_path / "images")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((run / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"begun: no checkpoint yet. `evalkit train"):
        generate(begun, inputs, tmp_path / "images")


def test_a_run_takes_no_options_of_reference_checkpoints(run: Path, inputs: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"leave out --base-filters, which is for checkpoints of the reference code"
    ):
        generate(run, inputs, tmp_path / "images", flags=ReferenceOptions(base_filters=4))
    with pytest.raises(UserError, match=r"pix2pix translates one way only; leave out --backward"):
        generate(run, inputs, tmp_path / "images", Inference(backward=True))


def test_a_run_that_is_not_finished_says_so(run: Path, inputs: str, tmp_path: Path) -> None:
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    config["training"]["total_images"] = 100
    begun = tmp_path / "begun"
    (begun / "checkpoints").mkdir(parents=True)
    (begun / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (begun / "checkpoints" / "000000008.pt").write_bytes((run / "checkpoints" / "000000008.pt").read_bytes())
    out = generate(begun, inputs, tmp_path / "images")
    assert manifest(out)["notes"] == ["the training is not finished: 8 of 100 images"]


def test_cyclegan_translates_both_ways(toy: Path, tmp_path: Path) -> None:
    settings = [
        *SMALL,
        "n_blocks=1",
        "receptive_field_px=16",
        "total_images=2",
        "decay_images=0",
        "history_images=2",
    ]
    run = tmp_path / "run"
    train(new_run("cyclegan_toy_facades", str(toy), settings), run)
    forward = generate(run, str(toy / "test" / "labels"), tmp_path / "fake_B")
    backward = generate(run, str(toy / "test" / "photos"), tmp_path / "fake_A", Inference(backward=True))
    assert manifest(backward)["inference"]["backward"] is True
    assert pixels(forward).keys() == pixels(backward).keys()
    assert not same(forward, backward)
    assert same(backward, generate(run, str(toy), tmp_path / "of_dataset", Inference(backward=True)))


# What an image depends on


def noisy(tmp_path: Path) -> Path:
    """64 px is the least that has a dropout layer."""
    return checkpoint(UNet(3, 3, 64, 4), tmp_path / "latest_net_G.pth")


def test_an_image_depends_on_checkpoint_input_and_seed_not_on_its_neighbours(
    inputs: str, tmp_path: Path
) -> None:
    network = noisy(tmp_path)
    everything = pixels(generate(network, inputs, tmp_path / "all"))
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "facade_0007.png").write_bytes((Path(inputs) / "facade_0007.png").read_bytes())
    torch.manual_seed(77)
    alone = pixels(generate(network, str(tmp_path / "one"), tmp_path / "alone"))
    assert np.array_equal(alone["facade_0007"], everything["facade_0007"])
    other = pixels(generate(network, inputs, tmp_path / "other", Inference(seed=1)))
    assert not np.array_equal(other["facade_0007"], everything["facade_0007"])


def test_without_dropout_the_seed_changes_nothing(inputs: str, tmp_path: Path) -> None:
    network = noisy(tmp_path)
    first = generate(network, inputs, tmp_path / "first", Inference(dropout=False))
    assert same(first, generate(network, inputs, tmp_path / "second", Inference(dropout=False, seed=1)))
    assert not same(first, generate(network, inputs, tmp_path / "noisy"))


def test_running_statistics_are_used_only_if_asked_for(inputs: str, tmp_path: Path) -> None:
    network = noisy(tmp_path)
    batch = generate(network, inputs, tmp_path / "batch", Inference(dropout=False))
    running = generate(
        network, inputs, tmp_path / "running", Inference(dropout=False, normalisation="running")
    )
    assert not same(batch, running)
    assert manifest(running)["inference"]["normalisation"] == "running"


def test_what_batch_norm_uses_is_the_methods_choice_unless_asked_otherwise(run: Path) -> None:
    translator = open_translator(run, Inference())
    assert translator.settled(Inference()).normalisation == "batch"
    assert translator.settled(Inference(normalisation="running")).normalisation == "running"
    assert METHODS["perceptual"].test_normalisation == "running"
    assert (
        dataclasses.replace(translator, normalisation="running").settled(Inference()).normalisation
        == "running"
    )


def test_generating_leaves_the_global_random_state_alone(inputs: str, tmp_path: Path) -> None:
    network = noisy(tmp_path)
    torch.manual_seed(4)
    before = torch.get_rng_state()
    generate(network, inputs, tmp_path / "images")
    assert torch.equal(torch.get_rng_state(), before)


# Checkpoints of the reference code


def test_a_reference_checkpoint_gives_what_its_network_gives(inputs: str, tmp_path: Path) -> None:
    network = UNet(3, 3, 64, 4, dropout=False)
    path = checkpoint(network, tmp_path / "latest_net_G.pth")
    made = pixels(generate(path, inputs, tmp_path / "images", Inference(dropout=False)))
    network.train()
    for name, picture in made.items():
        source = np.asarray(Image.open(Path(inputs) / f"{name}.png").convert("RGB"), np.float32)
        with torch.no_grad():
            output = network(torch.from_numpy(source.transpose(2, 0, 1) / 127.5 - 1)[None])[0]
        expected = ((output.numpy().transpose(1, 2, 0) + 1) * 127.5).round().clip(0, 255)
        assert np.abs(expected - picture).max() <= 1


def test_options_beside_the_checkpoint_are_read(tmp_path: Path) -> None:
    path = checkpoint(UNet(3, 3, 32, 4), tmp_path / "latest_net_G.pth")
    (tmp_path / "train_opt.txt").write_text(OPTIONS, encoding="utf-8")
    assert read_options(tmp_path / "train_opt.txt")["dataroot"] == "./datasets/facades"
    found = load_reference(path)
    assert found.options == ReferenceOptions("unet_32", "batch", 4, True, 32, "BtoA")
    assert set(found.known_from.values()) == {"train_opt.txt"}
    assert found.notes == ()
    assert load_reference(path, ReferenceOptions(direction="AtoB")).options.direction == "AtoB"


def test_names_of_2017_are_understood(tmp_path: Path) -> None:
    (tmp_path / "opt.txt").write_text(
        "which_model_netG: unet_32\nfineSize: 32\nwhich_direction: BtoA\n", encoding="utf-8"
    )
    path = checkpoint(UNet(3, 3, 32, 4), tmp_path / "latest_net_G.pth")
    options = load_reference(path).options
    assert (options.network, options.crop_size_px, options.direction) == ("unet_32", 32, "BtoA")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (UNet(3, 3, 64, 8), ("unet_64", "batch", 8, True, (3, 3))),
        (UNet(1, 2, 32, 4, norm="instance"), ("unet_32", "instance", 4, True, (1, 2))),
        (UNet(3, 3, 32, 4, norm="none"), ("unet_32", "none", 4, True, (3, 3))),
        (ResNetGenerator(3, 3, 6, 4), ("resnet_6blocks", "instance", 4, False, (3, 3))),
        (ResNetGenerator(3, 3, 2, 8, "batch", True), ("resnet_2blocks", "batch", 8, True, (3, 3))),
        (ResNetGenerator(1, 2, 3, 4, "none"), ("resnet_3blocks", "none", 4, False, (1, 2))),
    ],
)
def test_what_the_weights_show_is_inferred_and_said(
    network: nn.Module, expected: Any, tmp_path: Path
) -> None:
    found = load_reference(checkpoint(network, tmp_path / "latest_net_G.pth"))
    options = found.options
    assert (options.network, options.norm, options.base_filters, options.dropout, found.channels) == expected
    assert (
        "read from the weights, since no options file says so: network, norm, base_filters" in found.notes[0]
    )
    assert "assumed, since nothing says so" in found.notes[1]


def test_statistics_that_old_instance_norms_stored_are_left_out(tmp_path: Path) -> None:
    network = ResNetGenerator(3, 3, 2, 4)
    state = network.state_dict()
    norms = [name for name, module in network.named_modules() if isinstance(module, nn.InstanceNorm2d)]
    for name in norms:
        state[f"{name}.running_mean"] = torch.zeros(4)
        state[f"{name}.running_var"] = torch.ones(4)
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "latest_net_G_A.pth")
    found = load_reference(tmp_path / "latest_net_G_A.pth")
    assert found.options.norm == "instance"
    assert f"{2 * len(norms)} unused running statistics" in found.notes[-1]


def test_the_b_generator_translates_the_other_way(toy: Path, tmp_path: Path) -> None:
    path = checkpoint(ResNetGenerator(3, 3, 1, 4), tmp_path / "latest_net_G_B.pth")
    flags = ReferenceOptions(crop_size_px=32)
    of_photos = generate(path, str(toy / "test" / "photos"), tmp_path / "of_photos", flags=flags)
    of_dataset = generate(path, str(toy), tmp_path / "of_dataset", flags=flags)
    assert same(of_photos, of_dataset)
    told = manifest(of_dataset)
    assert told["settings"]["translated"] == "BtoA"
    # Beside the settings, not inside: a report's table of what was varied reads those.
    assert (told["settings"]["crop_size_px"], told["known_from"]["crop_size_px"]) == (32, "flag")
    assert not [value for value in told["settings"].values() if isinstance(value, dict)]


def test_another_network_is_refused_with_the_keys_that_differ(tmp_path: Path) -> None:
    path = checkpoint(UNet(3, 3, 32, 4), tmp_path / "latest_net_G.pth")
    with pytest.raises(UserError) as caught:
        load_reference(path, ReferenceOptions(network="resnet_2blocks"))
    text = str(caught.value)
    assert text.startswith(f"{path}: a checkpoint of another network: ")
    assert "missing (model.1.weight" in text
    assert "unexpected (model.model.0.weight" in text
    assert text.endswith("look like --network unet_32 --norm batch --base-filters 4.")
    with pytest.raises(UserError, match=r"model.model.0.weight 4x3x4x4 instead of 8x3x4x4"):
        load_reference(path, ReferenceOptions(base_filters=8))
    with pytest.raises(UserError, match=r"no network is called 'unet_265'. Did you mean 'unet_256'?"):
        load_reference(path, ReferenceOptions(network="unet_265"))


def test_files_that_are_no_generator_are_named(tmp_path: Path) -> None:
    (tmp_path / "cut.pth").write_bytes(b"PK\x03\x04 cut short")
    torch.save({"model.0.weight": torch.zeros(4, 3, 4, 4)}, tmp_path / "latest_net_D.pth")
    torch.save({"epoch": 3}, tmp_path / "other.pth")
    for name, message in (
        ("nowhere.pth", "no such checkpoint"),
        ("cut.pth", "not a checkpoint that torch can read, or cut short"),
        ("latest_net_D.pth", "no generator of the reference code: its keys begin with 'model.0.weight'"),
        ("other.pth", "not a state dict of tensors"),
    ):
        with pytest.raises(UserError, match=message):
            load_reference(tmp_path / name)


def test_a_size_that_the_network_cannot_take_is_refused(inputs: str, tmp_path: Path) -> None:
    path = checkpoint(UNet(3, 3, 64, 4), tmp_path / "latest_net_G.pth")
    with pytest.raises(UserError, match=r"facade_0004: Images of 48 x 48 px: .* multiples of 64"):
        generate(path, inputs, tmp_path / "images", flags=ReferenceOptions(crop_size_px=48))


def test_channels_that_no_task_has_are_refused(inputs: str, tmp_path: Path) -> None:
    path = checkpoint(UNet(6, 3, 32, 4), tmp_path / "latest_net_G.pth")
    with pytest.raises(UserError, match=r"takes 6 channels and gives 3; known are 3 to 3"):
        generate(path, inputs, tmp_path / "images")
    with pytest.raises(UserError, match=r"leave out --backward"):
        generate(noisy(tmp_path), inputs, tmp_path / "images", Inference(backward=True))
