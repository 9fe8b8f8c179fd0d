"""The tables of docs/reliability.md: each run prints its row and puts it into the page."""

import datetime
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def machine() -> str:
    """The class of this machine and how busy it was: cores and the load of the last minute."""
    return f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"


def keep_row(table: str, key: str, cells: list[Any]) -> None:
    """Print a row, and put it into the table between `<!-- table -->` and `<!-- end -->` in place of the row of `key`.

    Args:
        table: The table's name in the comment before it.
        key: The row's first cell.
        cells: The others; date and machine are added.
    """
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    row = "| " + " | ".join([key, *(str(cell) for cell in cells), today, machine()]) + " |"
    sys.stdout.write(f"\n{table}: {row}\n")
    page = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {re.escape(table)} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert found is not None, f"docs/reliability.md has no table {table!r}"
    lines = found[1].strip().splitlines()
    kept = [line for line in lines if not line.startswith(f"| {key} |")]
    page = page.replace(found[1], "\n".join([*kept, row]) + "\n")
    PAGE.write_text(page, encoding="utf-8")
