"""What everything but the network costs for many images: hashing, the cache, the distances, memory.

    python -m benchmarks.many_images [--images 50000] [--metrics fid,kid,precision_recall]

Writes two sets of small PNG files, puts made-up features of a photographic spectrum into a fresh cache as if Inception
had computed them, and runs `evalkit metrics` on them. The network's own time is images over the images per second that
`benchmarks.metrics` shows.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from evalkit.metrics.base import Options
from evalkit.metrics.cache import Cache
from evalkit.metrics.extract import FINGERPRINT
from evalkit.metrics.inception import DIMENSIONS, pool3
from evalkit.metrics.pictures import picture_set, pixel_digest_of

SIDE_PX = 16
SEED = 0
_AT_ONCE = 2000


def write_set(folder: Path, count: int, seed: int) -> None:
    """`count` different small images."""
    folder.mkdir()

    def write(first: int) -> None:
        rng = np.random.default_rng([seed, first])
        for number in range(first, min(first + _AT_ONCE, count)):
            pixels = rng.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:06}.png", compress_level=0)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(0, count, _AT_ONCE)))


def plant_features(folder: Path, cache: Cache, seed: int, shift: float) -> None:
    """Features as the cache would hold them: variances that fall by a power, trace 229."""
    rng = np.random.default_rng(seed)
    variances = (np.arange(DIMENSIONS) + 10.0) ** -1.5
    scale = np.sqrt(variances * (229 / variances.sum())).astype(np.float32)
    mixing = np.linalg.qr(np.random.default_rng(99).standard_normal((DIMENSIONS, DIMENSIONS)))[0].astype(
        np.float32
    )
    pictures = picture_set(folder).pictures
    feature = pool3(Options(random_weights=SEED))
    for first in range(0, len(pictures), _AT_ONCE):
        some = pictures[first : first + _AT_ONCE]
        drawn = rng.standard_normal((len(some), DIMENSIONS), np.float32) * scale @ mixing + np.float32(shift)
        cache.keep_features(feature.key, {one.digest: row for one, row in zip(some, drawn, strict=True)})
        prints = {one.digest: np.frombuffer(pixel_digest_of(one.read()).encode(), np.uint8) for one in some}
        cache.keep_features(FINGERPRINT.key, prints)


def measured(place: Path, metric: str) -> tuple[float, float, dict[str, float]]:
    """Seconds, peak memory in GB and scores of one command."""
    out = place / metric
    words = ["metrics", str(place / "real"), str(place / "fake"), "--metrics", metric]
    words += ["--random-weights", str(SEED), "--cache", str(place / "cache.sqlite"), "--out", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "evalkit.cli", *words], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak >= before
    lines = (out / "scores.jsonl").read_text(encoding="utf-8").splitlines()
    return seconds, peak / 1e6, {one["key"]: one["value"] for one in map(json.loads, lines)}


def main() -> None:
    """Print one row per metric; the memory is the most so far, so metrics are asked for in order of their appetite."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--metrics", default="fid,kid,precision_recall")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        cache = Cache(place / "cache.sqlite")
        for seed, side in enumerate(("real", "fake")):
            write_set(place / side, asked.images, seed)
            plant_features(place / side, cache, seed, 0.02 * seed)
        cache.close()
        size = sum(one.stat().st_size for one in place.glob("cache.sqlite*")) / 1e9
        print(f"{asked.images:,} + {asked.images:,} images, features in the cache ({size:.2f} GB)\n")
        print("| command | s | peak memory so far, GB | scores |\n|---|---|---|---|")
        for metric in asked.metrics.split(","):
            for again in ("", ", again"):
                seconds, peak, scores = measured(place, metric)
                told = ", ".join(f"{key} {value:.5g}" for key, value in scores.items() if value is not None)
                print(f"| --metrics {metric}{again} | {seconds:.1f} | {peak:.2f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
