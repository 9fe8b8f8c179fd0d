"""Errors that a user can fix: one line that says what, where, what is allowed and what to do."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can fix; the command line prints it as one line and exits with 1, without a traceback."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists what is known; begins with a space."""
    options = sorted(known)
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Known: {', '.join(options)}." if options else ""
