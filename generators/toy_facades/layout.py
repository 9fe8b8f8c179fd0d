"""Where everything stands on a made-up facade: parts in painting order, in label pixels."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Kind = Literal[
    "sky", "ground", "wall", "roof", "cornice", "window", "sill", "shutter", "balcony", "door", "shop", "awning",
    "pillar", "chimney", "plant",
]  # fmt: skip

PALETTE: dict[Kind, tuple[int, int, int]] = {
    "sky": (0, 0, 170),
    "ground": (90, 90, 90),
    "wall": (0, 0, 255),
    "roof": (160, 0, 200),
    "cornice": (0, 255, 255),
    "window": (0, 85, 255),
    "sill": (85, 255, 170),
    "shutter": (255, 255, 0),
    "balcony": (170, 255, 85),
    "door": (0, 170, 255),
    "shop": (170, 0, 0),
    "awning": (255, 85, 0),
    "pillar": (255, 0, 0),
    "chimney": (255, 170, 0),
    "plant": (0, 140, 40),
}
"""Label colour (RGB) of every class; its position is the class index. In the manner of the CMP facades' labels."""

CLASSES: tuple[Kind, ...] = tuple(PALETTE)

Shape = Literal["box", "arch", "trapezoid", "gable", "ellipse"]


@dataclass(frozen=True)
class Part:
    """One piece of the facade: a box in label pixels, right and bottom excluded, and the shape within it."""

    kind: Kind
    left: int
    top: int
    right: int
    bottom: int
    shape: Shape = "box"

    @property
    def width(self) -> int:
        """In label pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """In label pixels."""
        return self.bottom - self.top


@dataclass
class _Plan:
    """A facade while it is being laid out."""

    size: int
    rng: np.random.Generator
    parts: list[Part] = field(default_factory=list)

    def add(
        self, kind: Kind, left: float, top: float, right: float, bottom: float, shape: Shape = "box"
    ) -> None:
        box = [int(np.clip(round(value), 0, self.size)) for value in (left, top, right, bottom)]
        if box[2] > box[0] and box[3] > box[1]:
            self.parts.append(Part(kind, box[0], box[1], box[2], box[3], shape))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """A share of the facade's size, in pixels."""
        return float(self.rng.uniform(low, high)) * self.size


@dataclass(frozen=True)
class _WindowStyle:
    """What all windows of one facade have in common."""

    width: float
    height: float
    shape: Shape
    shutters: bool
    sills: bool


def lay_out(size_px: int, rng: np.random.Generator) -> list[Part]:
    """The parts of one facade, in painting order, drawn at random.

    Args:
        size_px: Side of the square label map.
        rng: Decides everything.
    """
    plan = _Plan(size_px, rng)
    plan.add("sky", 0, 0, size_px, size_px)
    ground = size_px - plan.between(0.04, 0.1)
    left, right = (
        (plan.between(0.0, 0.09), size_px - plan.between(0.0, 0.09)) if plan.chance(0.6) else (0, size_px)
    )
    wall_top = _roof(plan, left, right)
    plan.add("wall", left, wall_top, right, ground)
    plan.add("ground", 0, ground, size_px, size_px)
    floors = int(rng.integers(2, 5 if size_px < 80 else 6))
    storey = (ground - wall_top) / (floors + 0.25)
    shop_height = storey * float(rng.uniform(1.1, 1.3))
    upper = (ground - shop_height - wall_top) / max(floors - 1, 1)
    _upper_floors(plan, left, right, wall_top, upper, floors - 1)
    _ground_floor(plan, left, right, ground - shop_height, ground)
    if plan.chance(0.25):
        _plants(plan, ground)
    return plan.parts


def _roof(plan: _Plan, left: float, right: float) -> float:
    """Draw the roof; returns where the wall begins."""
    form = plan.rng.choice(["flat", "pitched", "mansard", "gable"], p=[0.3, 0.3, 0.25, 0.15])
    eaves = plan.between(0.16, 0.26) if form != "flat" else plan.between(0.03, 0.14)
    ridge = eaves - plan.between(0.09, 0.14)
    if form != "flat":
        for _ in range(int(plan.rng.integers(0, 3))):
            x = plan.rng.uniform(left + 0.15 * (right - left), left + 0.8 * (right - left))
            plan.add("chimney", x, ridge - plan.between(0.02, 0.05), x + plan.between(0.04, 0.07), eaves)
    if form in ("pitched", "gable"):
        top = ridge if form == "pitched" else max(1.0, ridge - plan.between(0.0, 0.05))
        plan.add("roof", left, top, right, eaves, "trapezoid" if form == "pitched" else "gable")
    if form == "mansard":
        plan.add("roof", left, ridge, right, eaves)
        count = int(plan.rng.integers(2, 5))
        pitch, width = (right - left) / count, plan.between(0.06, 0.1)
        for index in range(count):
            middle = left + (index + 0.5) * pitch
            plan.add("cornice", middle - width / 2 - 1, ridge + 1, middle + width / 2 + 1, eaves - 1)
            plan.add("window", middle - width / 2, ridge + 3, middle + width / 2, eaves - 1)
    depth = plan.between(0.02, 0.04)
    plan.add("cornice", left - 1, eaves - depth / 2, right + 1, eaves + depth / 2)
    return eaves + depth / 2


def _upper_floors(plan: _Plan, left: float, right: float, top: float, storey: float, floors: int) -> None:
    columns = int(plan.rng.integers(3, 6 if plan.size < 80 else 7))
    pitch = (right - left) / (columns + float(plan.rng.uniform(0.1, 0.5)))
    start = (left + right - columns * pitch) / 2
    height = max(6.0, storey * float(plan.rng.uniform(0.52, 0.7)))
    width = max(
        5.0, min(pitch * float(plan.rng.uniform(0.42, 0.6)), height * float(plan.rng.uniform(0.6, 1.05)))
    )
    style = _WindowStyle(
        width=width,
        height=height,
        shape="arch" if plan.chance(0.3) and height > 1.25 * width else "box",
        shutters=plan.chance(0.35),
        sills=plan.chance(0.75),
    )
    lines, balconies = (
        plan.chance(0.45),
        plan.rng.choice(["none", "each", "long", "some"], p=[0.4, 0.2, 0.15, 0.25]),
    )
    missing = {int(plan.rng.integers(columns))} if plan.chance(0.12) else set()
    for floor in range(floors):
        bottom = top + (floor + 1) * storey
        if lines and floor < floors - 1:
            plan.add("cornice", left, bottom - 1, right, bottom + 1)
        for column in range(columns):
            if column not in missing:
                _window(plan, start + (column + 0.5) * pitch, bottom - 0.16 * storey, style, pitch)
        middles = [start + (column + 0.5) * pitch for column in range(columns) if column not in missing]
        _balconies(
            plan,
            str(balconies),
            floor,
            (bottom - 0.16 * storey, storey),
            middles,
            min(0.38 * pitch, 0.85 * width),
        )
    if plan.chance(0.3):
        width = plan.between(0.03, 0.05)
        plan.add("pillar", left, top, left + width, top + floors * storey)
        plan.add("pillar", right - width, top, right, top + floors * storey)
    plan.add(
        "cornice", left, top + floors * storey - 1, right, top + floors * storey + plan.between(0.01, 0.025)
    )


def _window(plan: _Plan, middle: float, bottom: float, style: _WindowStyle, pitch: float) -> None:
    left, right = middle - style.width / 2, middle + style.width / 2
    plan.add("window", left, bottom - style.height, right, bottom, style.shape)
    shutter = min(style.width * 0.45, (pitch - style.width) / 2 - 0.5)
    if style.shutters and shutter >= 2:
        plan.add("shutter", left - shutter, bottom - style.height, left, bottom)
        plan.add("shutter", right, bottom - style.height, right + shutter, bottom)
    if style.sills:
        plan.add("sill", left - 1, bottom, right + 1, bottom + max(1.0, 0.015 * plan.size))


def _balconies(
    plan: _Plan, rule: str, floor: int, row: tuple[float, float], middles: list[float], half: float
) -> None:
    bottom, storey = row
    top, low = bottom - 0.24 * storey, bottom + max(2.0, 0.06 * storey)
    if rule == "long" and floor % 2 == 0:
        plan.add("balcony", middles[0] - half, top, middles[-1] + half, low)
    for middle in middles:
        if rule == "each" or (rule == "some" and plan.chance(0.3)):
            plan.add("balcony", middle - half, top, middle + half, low)


def _ground_floor(plan: _Plan, left: float, right: float, top: float, ground: float) -> None:
    height, width = ground - top, right - left
    door_width = max(7.0, plan.between(0.09, 0.15))
    door_left = left + float(plan.rng.uniform(0.05, 0.95)) * (width - door_width - 4) + 2
    door_top = top + height * float(plan.rng.uniform(0.2, 0.32))
    shop = plan.chance(0.45)
    for low, high in ((left, door_left), (door_left + door_width, right)):
        room = high - low
        if room < 0.12 * plan.size:
            continue
        if shop:
            plan.add(
                "shop", low + 0.06 * room, top + 0.3 * height, high - 0.06 * room, ground - 0.12 * height
            )
            if plan.chance(0.6):
                plan.add(
                    "awning", low + 0.03 * room, top + 0.16 * height, high - 0.03 * room, top + 0.42 * height
                )
        else:
            _ground_windows(plan, low, high, top + 0.26 * height, ground - 0.26 * height)
    shape: Shape = "arch" if plan.chance(0.3) else "box"
    plan.add("cornice", door_left - 2, door_top - 2, door_left + door_width + 2, ground, shape)
    plan.add("door", door_left, door_top, door_left + door_width, ground, shape)


def _ground_windows(plan: _Plan, low: float, high: float, top: float, bottom: float) -> None:
    count = max(1, int((high - low) / (0.2 * plan.size)))
    pitch = (high - low) / count
    for index in range(count):
        middle = low + (index + 0.5) * pitch
        plan.add("window", middle - 0.3 * pitch, top, middle + 0.3 * pitch, bottom)
        plan.add(
            "sill", middle - 0.3 * pitch - 1, bottom, middle + 0.3 * pitch + 1, bottom + 0.015 * plan.size
        )


def _plants(plan: _Plan, ground: float) -> None:
    middle, radius = plan.between(0.05, 0.95), plan.between(0.05, 0.1)
    for _ in range(int(plan.rng.integers(3, 7))):
        x, y = middle + plan.between(-0.07, 0.07), ground - radius + plan.between(-0.08, 0.03)
        size = radius * float(plan.rng.uniform(0.5, 1.0))
        plan.add("plant", x - size, y - size, x + size, min(y + size, plan.size - 1), "ellipse")
