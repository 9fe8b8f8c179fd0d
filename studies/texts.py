"""Texts that participants read, before they are put into a language.

Protocols write English with `told`; the server looks the text up in its catalogue and fills the values in. The
extraction of translatable texts knows the function by its name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """One text for participants."""

    text: str
    """English, with `{name}` where a value goes."""
    values: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        """In English."""
        return self.fill(self.text)

    def fill(self, translated: str) -> str:
        """A translation of the text with the values in their places."""
        return translated.format(**dict(self.values))


def told(text: str, **values: object) -> Told:
    """A text for participants, with its values; a value that is itself `Told` is translated first."""
    return Told(text, tuple(values.items()))
