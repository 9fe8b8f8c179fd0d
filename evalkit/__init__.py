"""evalkit: do your images fool people, by how much, and how sure are you?

Names are imported when they are first used, so that `import evalkit` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.analyses import analyze as analyze_study
    from evalkit.analyses.plain_tables import fool_rate, fool_rate_difference, fool_rate_test
    from evalkit.metrics.functions import fid, kid, lpips, psnr, score_images, ssim
    from evalkit.notebook import Study
    from evalkit.report import write_report
    from studies.errors import UserError
    from studies.imagesets import ImageSet

__all__ = [
    "ImageSet",
    "Study",
    "UserError",
    "analyze_study",
    "fid",
    "fool_rate",
    "fool_rate_difference",
    "fool_rate_test",
    "kid",
    "lpips",
    "psnr",
    "score_images",
    "ssim",
    "write_report",
]

_HOMES = {
    "ImageSet": ("studies.imagesets", "ImageSet"),
    "Study": ("evalkit.notebook", "Study"),
    "UserError": ("studies.errors", "UserError"),
    "analyze_study": ("evalkit.analyses", "analyze"),
    **{
        name: ("evalkit.analyses.plain_tables", name)
        for name in ("fool_rate", "fool_rate_difference", "fool_rate_test")
    },
    **{
        name: ("evalkit.metrics.functions", name)
        for name in ("fid", "kid", "lpips", "psnr", "score_images", "ssim")
    },
    "write_report": ("evalkit.report", "write_report"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'evalkit' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
