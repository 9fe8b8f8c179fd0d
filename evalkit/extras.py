"""Which extra of evalkit brings a package that is not installed."""

import importlib.util
from collections.abc import Iterator, Mapping
from types import TracebackType

from studies.errors import UserError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "web": (
        *(
            "alembic",
            "babel",
            "cryptography",
            "flask",
            "flask_babel",
            "flask_wtf",
            "gunicorn",
            "jwt",
            "psycopg",
        ),
        *("sqlalchemy", "werkzeug", "wtforms"),
    ),
    "metrics": ("lpips", "pytorch_fid", "skimage", "torch", "torchmetrics", "torchvision"),
    "train": ("lightning_fabric",),
    "tensorboard": ("tensorboard",),
}
"""Names under which the packages of each extra are imported; `train` brings those of `metrics` too."""
PURPOSES: Mapping[str, str] = {
    "web": "the study's server and its database",
    "metrics": "scores of images",
    "train": "training and several devices",
    "tensorboard": "TensorBoard",
}


def missing_package(error: ModuleNotFoundError) -> str:
    """What to install, in one line; empty where no extra brings what is missing.

    >>> missing_package(ModuleNotFoundError(name="flask.views"))
    "flask is not installed; it is for the study's server and its database. Run: pip install 'evalkit[web]'"
    """
    package = (error.name or "").partition(".")[0]
    extra = next((name for name, packages in EXTRAS.items() if package in packages), "")
    if extra == "metrics" and any(name.startswith("generators.") for name in _modules(error.__traceback__)):
        extra = "train"
    return _advice(package, extra) if extra else ""


def need(package: str) -> None:
    """Refuse to go on without a package of an extra, before anything is read.

    Raises:
        UserError: It is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(missing_package(ModuleNotFoundError(name=package)))


def _advice(package: str, extra: str) -> str:
    return f"{package} is not installed; it is for {PURPOSES[extra]}. Run: pip install 'evalkit[{extra}]'"


def _modules(traceback: TracebackType | None) -> Iterator[str]:
    """Names of the modules that an error came through."""
    while traceback is not None:
        yield str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
