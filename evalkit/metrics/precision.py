"""Which precision each metric is computed in: half where it was asked for, is faster here and changes nothing."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence

from evalkit.metrics import METRICS
from evalkit.metrics.base import Options, Statistics
from evalkit.metrics.cache import Cache
from evalkit.metrics.lpips import NETWORKS
from evalkit.metrics.pictures import PictureSet
from evalkit.metrics.team import Team
from evalkit.metrics.weights import settings_of

_PROBES = {"inception": "inception", **{trunk.weights: name for name, trunk in NETWORKS.items()}}
"""File of weights -> network that is tried."""
_IMAGES = 64
_NOT_MIXED = (
    "Half precision is not used: the reals are statistics of float32 features, and the two are never mixed; give the"
    " real images themselves."
)


def settle_precision(
    asked: Mapping[str, tuple[str, ...]],
    options: Options,
    reals: PictureSet | Statistics,
    sets: Sequence[PictureSet],
    cache: Cache | None,
    team: Team,
) -> tuple[dict[str, Options], list[str]]:
    """Options of each metric asked for, and a line for each network that was tried.

    A metric keeps half precision only if every network that it needs passes `half_precision.check` on the first images;
    what was found is kept in the cache, for this machine. Statistics are of float32 features, and so are the fakes then.
    """
    if options.precision == "fp32" or not sets:
        return dict.fromkeys(asked, options), []
    if isinstance(reals, Statistics):
        return dict.fromkeys(asked, dataclasses.replace(options, precision="fp32")), [_NOT_MIXED]
    verdicts: dict[str, tuple[bool, str]] = {}
    settled = {}
    for name, keys in asked.items():
        needed = METRICS[name].weights(keys)
        for weights in needed:
            if weights not in verdicts:
                verdicts[weights] = tuple(team.first_says(_verdict(weights, options, sets[0], cache, team)))
        fast = all(verdicts[weights][0] for weights in needed)
        settled[name] = options if fast else dataclasses.replace(options, precision="fp32")
    return settled, [f"{weights}: {line}" for weights, (_, line) in verdicts.items()]


def _verdict(
    weights: str, options: Options, images: PictureSet, cache: Cache | None, team: Team
) -> tuple[bool, str]:
    """Whether to use half precision, and why, as found now or earlier."""
    if team.rank:
        return False, ""  # the first process finds out for all
    first = images.pictures[:_IMAGES]
    about = [platform.node(), settings_of(weights, options), options.device, [one.digest for one in first]]
    key = hashlib.sha256(json.dumps(["half precision", about]).encode()).hexdigest()
    if cache is not None and (known := cache.score(key)) is not None:
        return bool(known[0]), str(known[1])
    from evalkit.metrics.networks.half_precision import check

    found = check([picture.read() for picture in first], options, _PROBES[weights])
    if cache is not None:
        cache.keep_score(key, [found.ok, found.line])
    return found.ok, found.line
