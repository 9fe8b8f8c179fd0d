"""What every training method in METHODS must hold to, with every choice of its losses."""

import copy
import importlib
import io
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from generators.config import DataSettings, RunConfig
from generators.data import TASKS
from generators.methods import METHODS, Method, build_method, cyclegan, pix2pix
from generators.methods.history import History
from studies.errors import UserError
from tests.generators.networks.planted_vgg import plant_vgg16

SIZE_PX = 16
SMALL = {"base_filters": 8, "discriminator_filters": 8, "receptive_field_px": 16}
SMALL_CYCLE = {**SMALL, "n_blocks": 1, "history_images": 1, "lambda_identity": 0.5}
SMALL_NET = {"base_filters": 8, "n_blocks": 1, "norm": "instance", "tv_weight": 1e-8}
NOTHING = {"feature_weight": 0.0, "style_weight": 0.0}
PIXEL = {**SMALL_NET, **NOTHING, "pixel_weight": 1.0, "norm": "batch"}


@dataclass(frozen=True)
class Variant:
    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    channels: tuple[int, int] = (3, 3)
    scale_factor: int = 1
    largest: float = 1.0

    def build(self, **changed: Any) -> Method:
        torch.manual_seed(0)
        kind = METHODS[self.method]
        return kind(kind.Settings(**{**self.settings, **changed}), *self.channels, SIZE_PX, self.scale_factor)

    def batch(self, seed: int, n: int = 2) -> tuple[Tensor, Tensor]:
        """Sources of one random colour with a random pattern; targets that a small network can learn from them."""
        generator = torch.Generator().manual_seed(seed)
        small = torch.rand(n, 1, 4, 4, generator=generator) - 0.5
        pattern = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
        source = pattern.expand(-1, self.channels[0], -1, -1).contiguous()
        colour = torch.tensor([0.5, -0.4, 0.3][: self.channels[1]]).reshape(1, -1, 1, 1)
        target = colour - 0.8 * pattern
        if self.scale_factor > 1:
            source = source[..., :: self.scale_factor, :: self.scale_factor]
        return source, target


TRANSFORM = 150 / 127.5
VARIANTS = {
    **{f"pix2pix {loss}": Variant("pix2pix", {**SMALL, "loss": loss}) for loss in pix2pix.LOSSES},
    "pix2pix least squares": Variant("pix2pix", {**SMALL, "gan_mode": "least_squares"}),
    "pix2pix resnet": Variant("pix2pix", {**SMALL, "generator": "resnet", "n_blocks": 1}),
    "pix2pix encoder-decoder": Variant("pix2pix", {**SMALL, "generator": "encoder_decoder"}),
    "pix2pix colorization": Variant("pix2pix", SMALL, channels=(1, 2)),
    **{f"cyclegan {loss}": Variant("cyclegan", {**SMALL_CYCLE, "loss": loss}) for loss in cyclegan.LOSSES},
    "cyclegan channels": Variant("cyclegan", {**SMALL_CYCLE, "lambda_identity": 0.0}, channels=(1, 3)),
    "perceptual pixel": Variant("perceptual", PIXEL, largest=TRANSFORM),
    "perceptual style": Variant("perceptual", {**SMALL_NET, "style_image": "STYLE"}, largest=TRANSFORM),
    "perceptual x4": Variant("perceptual", PIXEL, scale_factor=4, largest=TRANSFORM),
    "perceptual x8 feature": Variant(
        "perceptual", {**SMALL_NET, "style_weight": 0.0}, scale_factor=8, largest=TRANSFORM
    ),
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def planted_vgg16(tmp_path_factory):
    """Random weights where torch.hub looks for the published ones."""
    with pytest.MonkeyPatch.context() as patched:
        home = tmp_path_factory.mktemp("torch_home")
        plant_vgg16(home)
        patched.setenv("TORCH_HOME", str(home))
        yield


@pytest.fixture(scope="module")
def style_image(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "style.png"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return str(path)


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request, style_image) -> Variant:
    one: Variant = request.param
    if one.settings.get("style_image"):
        return replace(one, settings={**one.settings, "style_image": style_image})
    return one


class Training:
    """The loop's step, and nothing else of it."""

    def __init__(self, method: Method, learning_rate: float = 2e-3) -> None:
        self.method = method
        self.optimisers = {
            name: torch.optim.Adam(player.parameters(), learning_rate, (0.5, 0.999))
            for name, player in method.players().items()
        }

    def step(self, batch: tuple[Tensor, Tensor], seed: int) -> dict[str, float]:
        torch.manual_seed(seed)
        seen = {}
        for player, terms in self.method.losses(*batch):
            sum(terms.values()).backward()
            self.optimisers[player].step()
            self.optimisers[player].zero_grad(set_to_none=True)
            seen |= {f"{player}/{name}": value.item() for name, value in terms.items()}
        return seen


@pytest.mark.parametrize("name", METHODS)
def test_the_key_is_the_name_of_a_module_that_says_what_it_does(name):
    module = importlib.import_module(f"generators.methods.{name}")
    assert METHODS[name].__module__ == module.__name__
    assert module.__doc__
    assert METHODS[name].Settings()  # every setting has a default


def test_fakes_have_the_shape_and_range_of_their_side_and_making_them_leaves_no_trace(variant):
    method = variant.build()
    source, target = variant.batch(0)
    before = copy.deepcopy(method.state_dict())
    sides = [(source, target, False)] + [(target, source, True)] * method.has_backward
    for given, wanted, backward in sides:
        with torch.no_grad():
            fake = method.generate(given, backward=backward)
        assert fake.shape == wanted.shape
        assert fake.abs().max() <= variant.largest
        assert fake.std() > 0
    assert_same_state(before, method.state_dict())


def test_one_way_methods_refuse_the_other(variant):
    method = variant.build()
    if not method.has_backward:
        with pytest.raises(ValueError, match="one direction"):
            method.generate(variant.batch(0)[1], backward=True)


def test_each_loss_reaches_and_moves_every_weight_of_its_player_and_no_other(variant):
    method = variant.build()
    players, training, told = method.players(), Training(method), []
    for name, terms in method.losses(*variant.batch(0)):
        assert all(value.shape == () and torch.isfinite(value) for value in terms.values())
        sum(terms.values()).backward()
        told.append(name)
        before = {own: copy.deepcopy(dict(player.named_parameters())) for own, player in players.items()}
        for own, player in players.items():
            for label, weight in player.named_parameters():
                if own != name:
                    assert weight.grad is None, f"{name} reaches {own}.{label}"
                    continue
                assert weight.grad is not None, f"{name} misses {own}.{label}"
                # A bias before an instance norm is subtracted again: its gradient is zero but for rounding.
                assert weight.dim() == 1 or weight.grad.any(), f"{name}: {label} gets no gradient"
        training.optimisers[name].step()
        training.optimisers[name].zero_grad(set_to_none=True)
        for own, player in players.items():
            for label, weight in player.named_parameters():
                assert own == name or torch.equal(weight, before[own][label]), f"{name} moves {own}.{label}"
    assert told == list(players)


def test_every_weight_belongs_to_exactly_one_player(variant):
    method = variant.build()
    owned = [id(weight) for player in method.players().values() for weight in player.parameters()]
    assert sorted(owned) == sorted(id(weight) for weight in method.parameters())
    assert all(weight.requires_grad for weight in method.parameters())


def test_a_method_taken_up_again_goes_on_bit_for_bit(variant):
    whole = Training(variant.build())
    for step in range(2):
        whole.step(variant.batch(step), step)
    kept = io.BytesIO()
    state = {"method": whole.method.state_dict()}
    torch.save(state | {name: one.state_dict() for name, one in whole.optimisers.items()}, kept)
    kept.seek(0)
    state = torch.load(kept, weights_only=True)
    torch.manual_seed(99)  # nothing hangs on how the networks were drawn
    resumed = Training(
        type(whole.method)(whole.method.settings, *variant.channels, SIZE_PX, variant.scale_factor)
    )
    resumed.method.load_state_dict(state["method"])
    for name, optimiser in resumed.optimisers.items():
        optimiser.load_state_dict(state[name])
    for step in range(2, 4):
        assert whole.step(variant.batch(step), step) == resumed.step(variant.batch(step), step)
    assert_same_state(whole.method.state_dict(), resumed.method.state_dict())


@pytest.mark.parametrize("name", ["pix2pix l1", "pix2pix l1_cgan", "perceptual pixel", "perceptual x4"])
def test_a_method_with_a_distance_to_the_target_beats_the_mean_of_all_targets(name):
    variant = VARIANTS[name]
    method = trained(variant, 60, learning_rate=5e-3)
    source, target = variant.batch(10_000, n=16)
    mean = torch.cat([variant.batch(seed)[1] for seed in range(100)]).mean((0, 2, 3), keepdim=True)
    error = (method.generate(source) - target).abs().mean()
    assert error < 0.7 * (mean - target).abs().mean()


@pytest.mark.parametrize("name", ["pix2pix gan", "pix2pix cgan", "cyclegan gan_alone"])
def test_an_adversary_alone_teaches_the_colours_of_the_targets(name):
    variant = VARIANTS[name]
    source, target = variant.batch(10_000, n=16)
    before = variant.build().generate(source).mean((0, 2, 3)) - target.mean((0, 2, 3))
    after = trained(variant, 30).generate(source).mean((0, 2, 3)) - target.mean((0, 2, 3))
    assert after.norm() < 0.5 * before.norm()


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("cyclegan full", "generators/cycle_source"),
        ("cyclegan cycle_alone", "generators/cycle_target"),
        ("perceptual x8 feature", "generator/feature"),
    ],
)
def test_what_a_method_minimises_falls(name, term):
    training = Training(VARIANTS[name].build())
    seen = [training.step(VARIANTS[name].batch(step), step)[term] for step in range(25)]
    assert np.mean(seen[-5:]) < 0.8 * seen[0]


@pytest.mark.parametrize("loss", pix2pix.LOSSES)
def test_pix2pix_has_the_discriminator_and_the_l1_that_its_loss_says(loss):
    method = VARIANTS[f"pix2pix {loss}"].build()
    terms = dict(method.losses(*VARIANTS["pix2pix l1"].batch(0)))
    conditional, has_l1 = pix2pix.LOSSES[loss]
    assert ("l1" in terms["generator"]) == has_l1
    assert ("gan" in terms["generator"]) == ("discriminator" in method.players()) == (conditional is not None)
    if conditional is not None:
        first = next(method.players()["discriminator"].parameters())
        assert first.shape[1] == (6 if conditional else 3)
        assert set(terms["discriminator"]) == {"real", "fake"}


def test_pix2pix_weighs_l1_with_lambda_and_halves_the_discriminators_objective():
    variant = VARIANTS["pix2pix l1_cgan"]
    batch = variant.batch(0)
    torch.manual_seed(1)
    weighed = dict(variant.build().losses(*batch))
    torch.manual_seed(1)
    plain = dict(variant.build(lambda_l1=1.0).losses(*batch))
    assert weighed["generator"]["l1"].item() == pytest.approx(100 * plain["generator"]["l1"].item(), rel=1e-6)
    assert "l1" not in dict(variant.build(lambda_l1=0.0).losses(*batch))["generator"]
    undecided = sum(value.item() for value in weighed["discriminator"].values())
    assert undecided == pytest.approx(np.log(2), rel=0.2)  # half of twice ln 2, before anything is learnt


def test_pix2pix_without_any_loss_is_refused():
    with pytest.raises(UserError, match="lambda_l1 = 0: with loss=l1 nothing is left to learn from"):
        VARIANTS["pix2pix l1"].build(lambda_l1=0.0)


@pytest.mark.parametrize("loss", cyclegan.LOSSES)
def test_cyclegan_has_the_terms_that_its_loss_says(loss):
    variant = VARIANTS[f"cyclegan {loss}"]
    terms = dict(variant.build(lambda_identity=0.0).losses(*variant.batch(0)))
    wanted = {
        "full": {"gan_target", "gan_source", "cycle_source", "cycle_target"},
        "cycle_alone": {"cycle_source", "cycle_target"},
        "gan_alone": {"gan_target", "gan_source"},
        "gan_forward": {"gan_target", "gan_source", "cycle_source"},
        "gan_backward": {"gan_target", "gan_source", "cycle_target"},
        "pixel_gan": {"gan_target", "gan_source", "input_target", "input_source"},
        "feature_gan": {"gan_target", "gan_source", "input_target", "input_source"},
    }
    assert set(terms["generators"]) == wanted[loss]
    assert ("discriminators" in terms) == (loss != "cycle_alone")


def test_the_forward_cycle_goes_through_the_target_and_back():
    variant = VARIANTS["cyclegan gan_forward"]
    method, (source, target) = variant.build(lambda_identity=0.0), variant.batch(0)
    terms = dict(method.losses(source, target))["generators"]
    back = method.generate(method.generate(source), backward=True)
    assert terms["cycle_source"].item() == pytest.approx(10 * (back - source).abs().mean().item(), rel=1e-5)


def test_cyclegan_compares_only_images_of_the_same_channels():
    variant = VARIANTS["cyclegan channels"]
    for changed in ({"lambda_identity": 0.5}, {"loss": "pixel_gan"}):
        with pytest.raises(UserError, match="compare outputs with inputs, which have 3 and 1 channels"):
            variant.build(**changed)


def test_the_history_fills_and_then_exchanges_half_of_the_images():
    history = History(50, 1, 1)
    torch.manual_seed(0)
    first = torch.arange(50.0).reshape(50, 1, 1, 1)
    assert torch.equal(history.exchange(first), first)
    kept = 0
    for value in range(1_000, 2_000):
        new = torch.full((1, 1, 1, 1), float(value))
        kept += bool(torch.equal(history.exchange(new), new))
    assert 440 <= kept <= 560
    assert (history.images >= 50).float().mean() > 0.9
    empty = History(0, 1, 1)
    assert torch.equal(empty.exchange(first), first)


def test_pretrained_weights_are_in_no_checkpoint_and_said_to_be_other_than_the_published(style_image):
    for name in ("perceptual style", "cyclegan feature_gan"):
        method = VARIANTS[name].build(**({"style_image": style_image} if "style" in name else {}))
        names = set(method.state_dict())
        for _ in method.losses(*VARIANTS[name].batch(0)):
            pass
        assert set(method.state_dict()) == names
        assert not any("vgg" in key for key in names)
        assert [note[:38] for note in method.notes] == ["VGG-16: not the published weights (sha"]
    assert VARIANTS["perceptual pixel"].build().notes == ()


def test_without_pretrained_weights_the_pixel_loss_trains_and_the_feature_loss_says_what_is_missing(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("generators.networks.vgg._answers", lambda url: False)
    pixel, feature = VARIANTS["perceptual x4"], VARIANTS["perceptual x8 feature"]
    assert dict(pixel.build().losses(*pixel.batch(0)))
    method = feature.build()
    assert method.generate(feature.batch(0)[0]).shape == (2, 3, SIZE_PX, SIZE_PX)
    with pytest.raises(UserError, match=r"vgg16-397923af\.pth is not there"):
        list(method.losses(*feature.batch(0)))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"style_image": ""}, "style_image: none given. --set style_image=PATH, or style_weight=0."),
        ({"style_weight": 0.0, "feature_weight": 0.0}, "are all 0; one of them must be above 0"),
        ({"style_layers": ()}, "style_layers: none given. Name at least one"),
        ({"base_filters": 0}, "base_filters = 0: a network needs at least 1 filter."),
    ],
)
def test_perceptual_settings_that_make_no_loss_are_refused(changed, message):
    with pytest.raises(UserError, match=message):
        VARIANTS["perceptual style"].build(**changed)


def test_a_style_image_that_is_not_there_is_named():
    method = VARIANTS["perceptual style"].build(style_image="nowhere.png")
    with pytest.raises(UserError, match=r"style_image: nowhere\.png: no such file"):
        list(method.losses(*VARIANTS["perceptual style"].batch(0)))


@pytest.mark.parametrize(
    ("method", "task", "message"),
    [
        ("pix2pics", "paired", "method 'pix2pics': no such method. Did you mean 'pix2pix'?"),
        ("pix2pix", "unpaired", "task = unpaired: pix2pix learns from pairs"),
        ("cyclegan", "paired", "task = paired: cyclegan learns without pairs; --set task=unpaired."),
        ("pix2pix", "super_resolution", "Pix2Pix makes images no larger than they were"),
        ("perceptual", "colorization", "works on RGB images, and this task has 1 and 2 channels"),
    ],
)
def test_a_method_that_cannot_learn_a_task_says_so(method, task, message):
    data = DataSettings(task=task, load_size_px=64, crop_size_px=64)
    with pytest.raises(UserError) as error:
        build_method(RunConfig("", method, data=data), TASKS[task](data))
    assert message in str(error.value)


@pytest.mark.parametrize("task", ["paired", "colorization"])
def test_a_method_is_built_for_the_channels_of_its_task(task):
    data = DataSettings(task=task, load_size_px=16, crop_size_px=16)
    settings = pix2pix.Pix2PixSettings(**SMALL)
    method = build_method(RunConfig("", "pix2pix", data=data, settings=settings), TASKS[task](data))
    channels = {"paired": (3, 3), "colorization": (1, 2)}[task]
    assert method.generate(torch.zeros(2, channels[0], 16, 16)).shape == (2, channels[1], 16, 16)


def trained(variant: Variant, steps: int, learning_rate: float = 2e-3) -> Method:
    training = Training(variant.build(), learning_rate)
    for step in range(steps):
        training.step(variant.batch(step), step)
    return training.method


def assert_same_state(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
