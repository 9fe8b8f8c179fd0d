"""What the user says about columns: `worker=WorkerId,image=file`."""

import re
from collections.abc import Iterable, Mapping

from studies.errors import UserError, did_you_mean


def parse_map(texts: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """KEY=COLUMN pairs, separated by commas; a column's name may hold commas itself.

    >>> parse_map(["worker=Name, given,image=file"], ["worker", "image"])
    {'worker': 'Name, given', 'image': 'file'}

    Raises:
        UserError: A pair is no pair, a key is unknown or stands there twice.
    """
    known = list(known)
    found: dict[str, str] = {}
    for pair in (part for text in texts for part in re.split(r",(?=\s*\w+=)", text)):
        key, equals, column = (part.strip() for part in pair.partition("="))
        if not (equals and key and column):
            raise UserError(f"--map {pair}: write KEY=COLUMN, for example worker=WorkerId.")
        if key not in known:
            raise UserError(f"--map {pair}: there is no key {key!r}.{did_you_mean(key, known)}")
        if key in found:
            raise UserError(f"--map: {key} stands there twice ({found[key]!r} and {column!r}).")
        found[key] = column
    return found


def require(found: Mapping[str, str], needed: Iterable[str], what: str) -> None:
    """Each needed key is mapped.

    Raises:
        UserError: One is not; names all that are missing.
    """
    missing = [key for key in needed if key not in found]
    if missing:
        pairs = ",".join(f"{key}=COLUMN" for key in missing)
        raise UserError(f"--map: {what} also needs {', '.join(missing)}. Add {pairs}.")
