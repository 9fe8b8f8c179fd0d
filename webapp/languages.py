"""The languages of the participant page: catalogues, the texts of its scripts, and who puts a text into which language.

Catalogues stand in `translations/LANGUAGE/LC_MESSAGES/messages.po`; the compiled `messages.mo` beside it is kept in the
repository, so that a checkout and a wheel work without a build step.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel.support import NullTranslations, Translations
from flask import Flask
from flask_babel import Babel
from markupsafe import Markup, escape

from studies.texts import Told, told

FOLDER = Path(__file__).parent / "translations"

NAMES = {"en": "English", "zh": "中文"}
"""Each language in its own words; the keys are those that `[page] languages` may name."""

TAGS = {"en": "en", "zh": "zh-Hans"}
"""The `lang` attribute, which chooses fonts and a screen reader's voice."""

SCRIPT_TEXTS = {
    "practice": told("Practice {number} of {of}"),
    "trial": told("Trial {number} of {of}"),
    "window_size": told("{width} × {height} pixels"),
    "window_fits": told("That is large enough, thank you."),
    "window_pinched": told("Please zoom out again with two fingers."),
    "window_turn": told("Turning the device may be enough; else please open the link on a computer."),
    "window_larger": told("Please make the window larger; as soon as it is large enough you can go on."),
    "void_hidden": told(
        "The page was not visible while the images were shown. Please stay on this page until the question comes."
    ),
    "void_blurred": told(
        "Another window came to the front while the images were shown. Please stay on this page until the question comes."
    ),
    "void_resized": told(
        "The window changed its size while the images were shown. Please leave it as it is until the question comes."
    ),
    "void_fullscreen": told(
        "The page left full screen while the images were shown. Please leave it as it is until the question comes."
    ),
    "void_frame_gap": told(
        "Your device paused for a moment while the images were shown. That was not your fault. Closing other programs "
        "may help."
    ),
    "void_display_failed": told("The images could not be shown. That was not your fault."),
    "disturbed": told(
        "Something on this device keeps disturbing the images: perhaps another program, or messages that pop up. If you "
        "can, please close what you do not need. You can simply go on."
    ),
    "correct": told("✓ You are correct!"),
    "incorrect": told("✗ Incorrect."),
    "incorrect_left_real": told("✗ Incorrect. The left image was real."),
    "incorrect_left_fake": told("✗ Incorrect. The left image was fake."),
    "incorrect_right_real": told("✗ Incorrect. The right image was real."),
    "incorrect_right_fake": told("✗ Incorrect. The right image was fake."),
    "incorrect_centre_real": told("✗ Incorrect. The image was real."),
    "incorrect_centre_fake": told("✗ Incorrect. The image was fake."),
    "incorrect_left_other": told("✗ Incorrect. The left image was made from another picture."),
    "incorrect_right_other": told("✗ Incorrect. The right image was made from another picture."),
    "match": told("Made from this picture"),
    "other": told("Made from another picture"),
    "real": told("Real"),
    "fake": told("Fake"),
    "your_choice": told("your choice"),
    "failed": told("The page had to stop."),
    "refused_unknown_session": told("This browser has no session here. Open the study's link again."),
    "refused_spent": told("An image could not be fetched any more."),
}
"""What the page's scripts say; they hold no text of their own. `{name}` is filled in by the script."""


@lru_cache
def _catalogue(language: str) -> NullTranslations:
    return Translations.load(FOLDER, [language])


def _translated(text: str, language: str) -> str:
    return _catalogue(language).gettext(text) if text else ""


def say(text: Told, language: str) -> str:
    """A text in a language, with its values in their places; a value that is itself `Told` is translated, too."""
    values = {name: say(value, language) if isinstance(value, Told) else value for name, value in text.values}
    return _translated(text.text, language).format(**values)


def script_texts(language: str) -> dict[str, str]:
    """The texts of the page's scripts, places for values left open."""
    return {key: _translated(text.text, language) for key, text in SCRIPT_TEXTS.items()}


def keys(text: str) -> Markup:
    """A text in which arrows are drawn as keys."""
    return Markup(re.sub("([←→↑↓])", r"<kbd>\1</kbd>", str(escape(text))))  # noqa: S704  (escaped before)


def install(app: Flask, language: Callable[[], str]) -> None:
    """Let templates speak: `_("…")`, `told | say`, `text | keys`, and the names `lang`, `language`.

    Args:
        app: The server.
        language: The language of the running request.
    """
    Babel(app, default_translation_directories=str(FOLDER), locale_selector=language)
    app.jinja_env.filters["say"] = lambda text: say(text, language())
    app.jinja_env.filters["keys"] = keys

    def names() -> dict[str, Any]:
        spoken = language()
        return {"lang": TAGS[spoken], "language": spoken}

    app.context_processor(names)
