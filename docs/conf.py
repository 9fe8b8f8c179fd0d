"""The documentation site: `make docs`. Pages are Markdown and read as they are, too; Sphinx checks each link."""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path[:0] = [str(Path(__file__).parent / "_extensions")]

project = "evalkit"
author = "the evalkit authors"
release = version = importlib.metadata.version("evalkit")
html_title = "evalkit"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands_and_names"]
exclude_patterns = ["_extensions", "_build"]

myst_heading_anchors = 4
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]
"""Types of other packages in signatures; links between pages stay strict."""

autodoc_typehints = "description"
autodoc_preserve_defaults = True
default_role = "code"
napoleon_custom_sections = [("Source", "notes")]

html_theme = "furo"
html_show_copyright = False
html_copy_source = False


def literals(_app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]) -> None:
    """Docstrings mark code as Markdown does, also in the middle of a word; make it what reStructuredText takes."""
    lines[:] = [
        line
        if line.lstrip().startswith((">>>", "..."))
        else re.sub(r"(?<!`)`([^`]+)`(?!`)", r"\\ ``\1``\\ ", line)
        for line in lines
    ]


def setup(app: Sphinx) -> None:
    """Before napoleon reads them."""
    app.connect("autodoc-process-docstring", literals, priority=100)
