"""Several processes on the CPU, joined by gloo as several GPUs are by NCCL."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

SCRIPT = """
import json, sys
from pathlib import Path
from evalkit.metrics.base import Options
from evalkit.metrics.cache import Cache
from evalkit.metrics.pictures import picture_set
from evalkit.metrics.scoring import Candidate, score_sets
from evalkit.metrics.team import join_team

place, processes, cache = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
team = join_team(processes, 1, "cpu")
scored = score_sets(
    picture_set(place / "real"), [Candidate("fake", None, picture_set(place / "fake"))],
    ["fid", "l1", "input_sensitivity_pixel"], Options(random_weights=0, device="cpu"),
    cache=Cache(Path(cache)) if cache else None, team=team,
)
if team.rank == 0:
    Path(sys.argv[4]).write_text(json.dumps({score.key: score.value for score in scored.scores if score.value is not None}))
else:
    assert not scored.scores
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    (folder / "run.py").write_text(SCRIPT)
    rng = np.random.default_rng(8)
    for name, noise in (("real", 0), ("fake", 30)):
        (folder / name).mkdir()
        for number in range(7):
            image = rng.integers(40, 200, (3, 3, 3)).repeat(16, 0).repeat(16, 1) + rng.integers(0, noise + 1)
            Image.fromarray(image.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def scores(place, processes: int, cache: str = "") -> dict[str, float]:
    out = place / f"scores{processes}.json"
    words = [str(place / "run.py"), str(place), str(processes), cache, str(out)]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)
    return json.loads(out.read_text())


def test_two_processes_find_the_numbers_of_one(place, tmp_path):
    alone = scores(place, 1)
    assert set(alone) >= {"fid", "l1", "input_sensitivity_pixel"}
    both = scores(place, 2, str(tmp_path / "cache.sqlite"))
    for key, value in alone.items():
        assert both[key] == pytest.approx(value, rel=1e-6), key


def test_two_processes_that_find_all_in_the_cache_agree_too(place, tmp_path):
    cache = str(tmp_path / "cache.sqlite")
    first = scores(place, 1, cache)
    assert scores(place, 2, cache) == first
