"""Which versions of which packages took part."""

import importlib.metadata
import platform

PACKAGES = (
    "evalkit", "numpy", "scipy", "pillow", "torch", "pytorch-fid", "lpips", "torchmetrics", "scikit-image",
)  # fmt: skip


def software() -> dict[str, str]:
    """Python and every package that a score may come from."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def version(name: str) -> str:
    """Of an installed package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
