"""`evalkit metrics` against the tools that it stands for, whole processes, on the same images and weights.

    python -m benchmarks.metrics [--case first] [--images 200] [--repeats 3] [--precision fp16]

The peer of FID is `python -m pytorch_fid`, of LPIPS the lpips package asked pair by pair. Weights are seeded random ones
in files of the published names (times and agreement are valid, the scores themselves mean nothing). Images are 256 px PNG
files: crops of photographs that come with scikit-image, and fakes that are blurred and noisy crops. The sides take turns;
the ratio is the median over the rounds.
"""

# ruff: noqa: T201  (it prints a table)

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE_PX = 256
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg", "motorcycle_left.png",
          "ihc.png", "retina.jpg")  # fmt: skip
LPIPS_PAIR_BY_PAIR = """
import json, sys, time
from pathlib import Path
import lpips
import numpy as np
from PIL import Image
folders = [sorted(Path(one).iterdir()) for one in sys.argv[1:3]]
measure = lpips.LPIPS(net="alex", verbose=False)
found = []
for real, fake in zip(*folders, strict=True):
    one, two = (lpips.im2tensor(np.asarray(Image.open(path).convert("RGB"))) for path in (real, fake))
    found.append(float(measure(one, two)))
print(json.dumps(sum(found) / len(found)))
"""


@dataclass(frozen=True)
class Place:
    """Where one benchmark keeps its files."""

    folder: Path
    images: int
    precision: str

    @property
    def environment(self) -> dict[str, str]:
        """For both sides: the planted weights, and no warnings on the terminal."""
        return {**os.environ, "TORCH_HOME": str(self.folder / "torch"), "PYTHONWARNINGS": "ignore"}

    def images_of(self, name: str, count: int | None = None) -> Path:
        """A folder of images, made once."""
        folder = self.folder / f"{name}_{count or self.images}"
        if not folder.exists():
            write_images(folder, count or self.images, name)
        return folder

    def fresh_cache(self) -> Path:
        """The path of a cache that is not there yet."""
        path = self.folder / "cache.sqlite"
        for one in self.folder.glob("cache.sqlite*"):
            one.unlink()
        return path

    def run(self, *command: str) -> str:
        """Standard output of a Python process."""
        found = subprocess.run(
            [sys.executable, *command], env=self.environment, capture_output=True, text=True, check=False
        )
        if found.returncode:
            raise SystemExit(f"{' '.join(command)}\n{found.stderr}")
        return found.stdout

    def ours(self, metric: str, cache: Path, *sets: Path | str) -> None:
        """`evalkit metrics`."""
        out = self.folder / "ours"
        shutil.rmtree(out, ignore_errors=True)
        words = ["-m", "evalkit.cli", "metrics", *map(str, sets), "--metrics", metric, "--cache", str(cache)]
        self.run(*words, "--precision", self.precision, "--out", str(out))

    def scores(self, key: str) -> list[float]:
        """What the last run of ours found."""
        lines = (self.folder / "ours" / "scores.jsonl").read_text(encoding="utf-8").splitlines()
        return [record["value"] for record in map(json.loads, lines) if record["key"] == key]

    def pytorch_fid(self, real: Path, fake: Path) -> float:
        """The peer's number."""
        words = ("-m", "pytorch_fid", str(real), str(fake), "--device", "cpu", "--num-workers", "2")
        return float(self.run(*words).split()[-1])


Side = Callable[[], float]
"""Does the work and returns its number."""


def first_run(place: Place) -> tuple[Side, Side]:
    """Nothing is cached."""
    real, fake = place.images_of("real"), place.images_of("fake")

    def ours() -> float:
        place.ours("fid", place.fresh_cache(), real, fake)
        return place.scores("fid")[0]

    return (lambda: place.pytorch_fid(real, fake)), ours


def new_fakes(place: Place) -> tuple[Side, Side]:
    """The real side is cached; the peer is given its .npz."""
    real, fake, other = place.images_of("real"), place.images_of("fake"), place.images_of("other")
    npz, kept = place.folder / "real.npz", place.folder / "kept.sqlite"
    place.run("-m", "pytorch_fid", "--save-stats", str(real), str(npz), "--device", "cpu")
    place.ours("fid", kept, real, other)

    def ours() -> float:
        cache = place.fresh_cache()
        for one in place.folder.glob("kept.sqlite*"):
            shutil.copy(one, cache.with_name(one.name.replace("kept", "cache")))
        place.ours("fid", cache, real, fake)
        return place.scores("fid")[0]

    return (lambda: place.pytorch_fid(npz, fake)), ours


def unchanged(place: Place) -> tuple[Side, Side]:
    """The same command again; the peer is given the .npz of the reals."""
    real, fake = place.images_of("real"), place.images_of("fake")
    npz, cache = place.folder / "real.npz", place.fresh_cache()
    if not npz.exists():
        place.run("-m", "pytorch_fid", "--save-stats", str(real), str(npz), "--device", "cpu")
    place.ours("fid", cache, real, fake)

    def ours() -> float:
        place.ours("fid", cache, real, fake)
        return place.scores("fid")[0]

    return (lambda: place.pytorch_fid(npz, fake)), ours


def ablations(place: Place) -> tuple[Side, Side]:
    """Ten sets of fakes in one command; the peer ten times."""
    real = place.images_of("real")
    fakes = [place.images_of(f"ablation{number}") for number in range(10)]

    def ours() -> float:
        place.ours("fid", place.fresh_cache(), real, *(f"a{n}={fake}" for n, fake in enumerate(fakes)))
        return statistics.mean(place.scores("fid"))

    return (lambda: statistics.mean(place.pytorch_fid(real, fake) for fake in fakes)), ours


def lpips_pairs(place: Place) -> tuple[Side, Side]:
    """LPIPS (alex) of all pairs."""
    real, fake = place.images_of("real"), place.images_of("fake")

    def ours() -> float:
        place.ours("lpips_alex", place.fresh_cache(), real, fake)
        return place.scores("lpips_alex")[0]

    return (lambda: float(place.run("-c", LPIPS_PAIR_BY_PAIR, str(real), str(fake)))), ours


CASES = {
    "first": first_run,
    "new_fakes": new_fakes,
    "ablations": ablations,
    "unchanged": unchanged,
    "lpips": lpips_pairs,
}


def write_images(folder: Path, count: int, name: str) -> None:
    """Crops of photographs; of every set but `real` blurred a little and noisy, each set in its own way."""
    import skimage

    opened = [Image.open(Path(skimage.data_dir) / one).convert("RGB") for one in PHOTOS]
    photos = [Image.fromarray(np.asarray(photo)) for photo in opened]  # without their colour profiles
    rng = np.random.default_rng([2017, *name.encode()])
    crops = np.random.default_rng(2017)  # the same for every set
    partial = folder.with_name(f".{folder.name}.partial")
    partial.mkdir()
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(crops.integers(128, min(photo.size)))
        left, top = (int(crops.integers(0, length - side + 1)) for length in photo.size)
        crop = photo.crop((left, top, left + side, top + side)).resize((SIZE_PX, SIZE_PX))
        if name != "real":
            soft = np.asarray(crop.filter(ImageFilter.GaussianBlur(0.5 + rng.random())), np.float64)
            crop = Image.fromarray((soft + rng.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8))
        crop.save(partial / f"{number:05}.png")
    partial.rename(folder)


def main() -> None:
    """Print one row per case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "fp16"), default="fp32")
    asked = parser.parse_args()
    from evalkit.metrics.networks.random_weights import plant

    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), asked.images, asked.precision)
        plant(place.folder / "torch", names=("inception", "alexnet"))
        print(
            f"{asked.images} + {asked.images} images of {SIZE_PX} px, {asked.precision}, {os.cpu_count()} CPUs\n"
        )
        print(
            "| case | peer, s | ours, s | times as fast | peer's number | ours |\n|---|---|---|---|---|---|"
        )
        for case in asked.case or CASES:
            print(row(case, *CASES[case](place), asked.repeats), flush=True)


def row(case: str, peer: Side, ours: Side, repeats: int) -> str:
    """Both sides in turn, and the median of the rounds' ratios with its range."""
    times = {"peer": [], "ours": []}  # type: dict[str, list[float]]
    numbers = {"peer": 0.0, "ours": 0.0}
    for _ in range(repeats):
        for side, work in (("peer", peer), ("ours", ours)):
            began = time.perf_counter()
            numbers[side] = work()
            times[side].append(time.perf_counter() - began)
    ratios = [one / other for one, other in zip(times["peer"], times["ours"], strict=True)]
    spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if repeats > 1 else ""
    return (
        f"| {case} | {statistics.median(times['peer']):.1f} | {statistics.median(times['ours']):.2f} "
        f"| {statistics.median(ratios):.2f}{spread} | {numbers['peer']:.6f} | {numbers['ours']:.6f} |"
    )


if __name__ == "__main__":
    main()
