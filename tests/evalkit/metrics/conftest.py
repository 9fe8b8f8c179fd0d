"""What several tests of metrics share."""

from pathlib import Path

import pytest


@pytest.fixture
def torch_home(planted: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test module's own folder of `planted` weights, where torch.hub looks for them."""
    monkeypatch.setenv("TORCH_HOME", str(planted))
    return planted
