"""The doctor's look at torch and its device, in a process of its own: a broken installation may crash or hang."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.cli.doctor_finding import Finding, gib

PATIENCE_S = 90.0
"""Torch's first import from a cold disk takes half a minute."""
INSTALL = "Run: make setup, or see https://pytorch.org/get-started/locally"


@dataclass(frozen=True)
class Device:
    """A GPU that torch sees."""

    name: str
    total_bytes: int
    free_bytes: int
    capability: str
    bf16: bool
    fault: str = ""
    """Why nothing could be computed on it; empty where that went well."""


@dataclass(frozen=True)
class Torch:
    """What torch said of itself."""

    version: str = ""
    """Empty where it cannot be imported; then `fault` says why."""
    cuda: str = ""
    """The CUDA that it was built for; empty for a build without."""
    threads: int = 0
    devices: tuple[Device, ...] = ()
    fault: str = ""

    @property
    def usable(self) -> tuple[Device, ...]:
        """The GPUs that compute."""
        return tuple(one for one in self.devices if not one.fault)


class TorchProbe:
    """Asks torch in a child process, while other things are looked at."""

    def __init__(self) -> None:
        """Start asking."""
        self._child = subprocess.Popen(
            [sys.executable, "-m", "evalkit.cli.doctor_torch"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self) -> Torch:
        """What came of it."""
        try:
            out, err = self._child.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            return Torch(fault=f"no answer within {PATIENCE_S:.0f} s")
        return heard(out, err, self._child.returncode)


def heard(out: str, err: str, code: int) -> Torch:
    """What the child said, or how it ended instead."""
    try:
        told = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        last = err.strip().splitlines()[-1:] or [f"Python ended with code {code}"]
        return Torch(fault=last[0])
    return Torch(**{**told, "devices": tuple(Device(**one) for one in told.get("devices", ()))})


def torch_findings(torch: Torch, gpu_files: Path = Path("/dev")) -> Iterator[Finding]:
    """Torch, and what it computes on."""
    if not torch.version:
        absent = "No module named 'torch'" in torch.fault
        text = "not installed" if absent else f"cannot be imported ({torch.fault})"
        yield Finding("torch", "missing", f"{text}. {INSTALL}")
        return
    build = f"built for CUDA {torch.cuda}" if torch.cuda else "built without CUDA"
    yield Finding("torch", "ok", f"{torch.version}, {build}, {torch.threads} threads")
    for number, one in enumerate(torch.devices):
        half = "bf16 and fp16" if one.bf16 else "fp16 (bf16 only emulated)"
        text = (
            f"cuda:{number} {one.name}, {gib(one.total_bytes)} ({gib(one.free_bytes)} free), compute capability "
            f"{one.capability}; half precision: {half}"
        )
        if one.fault:
            yield Finding("device", "missing", f"{text}; nothing can be computed on it: {one.fault}")
        else:
            yield Finding("device", "ok", text)
    if not torch.devices:
        yield Finding("device", "warn", _no_gpu(torch, gpu_files))


def _no_gpu(torch: Torch, gpu_files: Path) -> str:
    cpu = "the CPU computes; half precision there: bf16, not fp16"
    if not any(gpu_files.glob("nvidia[0-9]*")):
        return f"no NVIDIA GPU here: {cpu}"
    if not torch.cuda:
        return f"there is an NVIDIA GPU, but torch is a build without CUDA: {cpu}. {INSTALL}"
    reason = f" ({torch.fault})" if torch.fault else ""
    return (
        f"there is an NVIDIA GPU, but torch cannot use it{reason}: {cpu}. Compare `nvidia-smi` with CUDA {torch.cuda}, "
        "and see that CUDA_VISIBLE_DEVICES is not empty."
    )


def _ask() -> dict[str, Any]:
    """In the child: import torch and compute a little on each GPU."""
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda or "",
        "threads": torch.get_num_threads(),
        "devices": [_device(number) for number in range(count)],
        "fault": " ".join(str(one.message).splitlines()[0] for one in caught if "CUDA" in str(one.message)),
    }


def _device(number: int) -> dict[str, Any]:
    import torch

    about = torch.cuda.get_device_properties(number)
    told = {
        "name": about.name,
        "total_bytes": about.total_memory,
        "free_bytes": 0,
        "capability": f"{about.major}.{about.minor}",
        "bf16": about.major >= 8,
    }
    try:
        square = torch.ones(8, 8, device=f"cuda:{number}", dtype=torch.float16)
        float((square @ square).sum())
        told["free_bytes"] = torch.cuda.mem_get_info(number)[0]
    except RuntimeError as error:
        told["fault"] = str(error).splitlines()[0]
    return told


if __name__ == "__main__":
    os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")
    sys.stdout.write(json.dumps(_ask()) + "\n")
