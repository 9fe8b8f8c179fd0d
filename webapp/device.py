"""What is known of a participant's device and eyes: the browser's family, and what the page asks once per session."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CARD_WIDTH_MM = 85.60
"""Source: ISO/IEC 7810, ID-1, the size of bank cards."""

_FAMILIES = (
    ("Edge", r"Edg(?:e|A|iOS)?/(\d+)"),
    ("Opera", r"OPR/(\d+)"),
    ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"),
    ("Headless Chrome", r"HeadlessChrome/(\d+)"),
    ("Chrome", r"(?:Chrome|CriOS|Chromium)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\S+ )?Safari/"),
)
"""The more particular first: most browsers also call themselves Chrome or Safari."""


def browser_family(user_agent: str) -> str:
    """Family and major version, for example `Firefox 145`; the rest of the header is not kept."""
    for family, pattern in _FAMILIES:
        if match := re.search(pattern, user_agent[:1000]):
            return f"{family} {match[1][:4]}"
    return "other"


class Device(BaseModel):
    """The answers of the page between the consent and the trials; empty where nothing was asked or answered."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    colour_vision: Literal["", "no", "yes", "unknown", "undisclosed"] = ""
    """Whether there is a colour vision deficiency, as the participant says."""
    card_css_px: float | None = Field(default=None, ge=50, le=5000)
    """Width of the outline that fits a bank card, in CSS pixels."""
    device_pixel_ratio: float | None = Field(default=None, gt=0, le=100)
    """Device pixels per CSS pixel while the outline was fitted."""
    distance: float | None = Field(default=None, gt=0, le=1000)
    """From the eyes to the screen, in `distance_unit`."""
    distance_unit: Literal["cm", "arm"] = "cm"

    @property
    def device_px_per_mm(self) -> float | None:
        """Device pixels per millimetre of the screen; does not depend on the zoom."""
        if self.card_css_px is None or self.device_pixel_ratio is None:
            return None
        return round(self.card_css_px * self.device_pixel_ratio / CARD_WIDTH_MM, 3)

    @property
    def viewing_distance(self) -> str:
        """As it was given: `60 cm`, or `1 arm` for an arm's length."""
        return "" if self.distance is None else f"{self.distance:g} {self.distance_unit}"


ASKED = "asked"
"""Key of `SessionRow.device` that says that the page has asked."""


def record(device: Device) -> dict[str, object]:
    """What `SessionRow.device` keeps."""
    return {ASKED: True, **device.model_dump(exclude_defaults=True)}
