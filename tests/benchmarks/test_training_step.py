"""What the benchmark times is the same mathematics on both sides."""

import pytest

from benchmarks.training_step import CASES, SIDES, Case, pair, stepper


@pytest.mark.parametrize("name", CASES)
def test_twenty_steps_are_those_of_a_plain_pytorch_loop(name):
    # Instance norm over the few pixels of a tiny discriminator would magnify rounding; 64 px leaves it enough.
    case = Case(name, size_px=64, base_filters=4, n_blocks=1, precision="fp64")
    steps = {side: stepper(case, side) for side in SIDES}
    for number in range(20):
        images = pair(case, number)
        plain, default = (steps[side](*images) for side in SIDES)
        assert default == pytest.approx(plain, rel=1e-8)
    assert set(plain) == set(default)
