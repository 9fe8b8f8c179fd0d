import pkgutil
import subprocess
import sys

import pytest

import evalkit


def test_importing_evalkit_imports_nothing_heavy():
    code = "import sys, evalkit; print(sorted({'numpy', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_every_exported_name_is_there_and_none_is_also_a_submodule():
    submodules = {module.name for module in pkgutil.iter_modules(evalkit.__path__)}
    assert evalkit.__all__ == sorted(evalkit.__all__)
    for name in evalkit.__all__:
        assert callable(getattr(evalkit, name))
        assert name in dir(evalkit)
        assert name not in submodules


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'evalkit' has no attribute 'fool_rates'"):
        evalkit.fool_rates  # noqa: B018
