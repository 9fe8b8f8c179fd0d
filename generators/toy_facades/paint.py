"""How a made-up facade looks: parts -> photo, painted four times as large and reduced."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from generators.toy_facades.layout import Kind, Part

Array = NDArray[np.float32]

SCALE = 4
"""Painted pixels per photo pixel."""

_WALLS = [
    *[(214, 190, 150), (226, 209, 178), (196, 120, 90), (170, 92, 72), (205, 196, 184), (178, 170, 160)],
    *[(222, 180, 120), (230, 220, 205), (190, 160, 150), (150, 140, 130), (206, 166, 140), (188, 196, 186)],
]
_ROOFS = [(120, 66, 50), (90, 90, 98), (140, 84, 60), (70, 72, 80), (104, 110, 104)]
_WOOD = [
    (60, 90, 70),
    (70, 84, 110),
    (110, 60, 44),
    (90, 70, 50),
    (52, 60, 66),
    (140, 110, 80),
    (120, 130, 130),
]
_FRAMES = [(235, 232, 225), (225, 220, 208), (80, 62, 50), (60, 66, 70)]
_SKIES = [
    ((104, 150, 205), (190, 212, 232)),
    ((150, 172, 196), (214, 220, 226)),
    ((196, 200, 206), (226, 228, 230)),
]


@dataclass(frozen=True)
class Look:
    """Colours and light of one facade; colours are RGB in 0..1."""

    wall: Array
    trim: Array
    roof: Array
    wood: Array
    frame: Array
    awning: Array
    sky: tuple[Array, Array]
    pattern: str
    """plaster | brick | stone"""
    panes: int
    """Panes across a window."""


def photograph(parts: list[Part], size_px: int, rng: np.random.Generator) -> Image.Image:
    """The photo that matches the parts, RGB, `size_px` on a side."""
    painter = _Painter(size_px * SCALE, _look(rng), rng)
    for part in parts:
        painter.draw(part)
    return _develop(painter.rgb, size_px, rng)


def outline(part: Part, scale: int) -> NDArray[np.bool_]:
    """Which pixels of its box a part covers, at `scale` pixels per label pixel; shape (height, width)."""
    image = Image.new("1", (part.width * scale, part.height * scale))
    pen = ImageDraw.Draw(image)
    left, top, right, bottom = 0, 0, image.width - 1, image.height - 1
    if part.shape == "box":
        pen.rectangle((left, top, right, bottom), fill=1)
    elif part.shape == "ellipse":
        pen.ellipse((left, top, right, bottom), fill=1)
    elif part.shape == "arch":
        radius = (right - left) / 2
        pen.rectangle((left, min(top + radius, bottom), right, bottom), fill=1)
        pen.ellipse((left, top, right, min(top + 2 * radius, bottom)), fill=1)
    else:
        inset = (right - left) * (0.5 if part.shape == "gable" else 0.12)
        pen.polygon([(left, bottom), (left + inset, top), (right - inset, top), (right, bottom)], fill=1)
    return np.asarray(image, dtype=bool)


def _look(rng: np.random.Generator) -> Look:
    def pick(colours: list[Any], spread: float = 12) -> Array:
        colour = np.asarray(colours[int(rng.integers(len(colours)))], dtype=np.float32)
        return np.clip((colour + rng.normal(0, spread, 3)) / 255, 0.02, 0.98).astype(np.float32)

    wall = pick(_WALLS)
    above, below = _SKIES[int(rng.integers(len(_SKIES)))]
    light = np.float32(0.45)
    return Look(
        wall=wall,
        trim=(wall * (1 - light) + light * np.float32(rng.uniform(0.75, 0.95))).astype(np.float32),
        roof=pick(_ROOFS),
        wood=pick(_WOOD),
        frame=pick(_FRAMES, 6),
        awning=pick(_WOOD, 40),
        sky=(_colour(above), _colour(below)),
        pattern=str(rng.choice(["plaster", "brick", "stone"], p=[0.5, 0.3, 0.2])),
        panes=int(rng.choice([1, 2, 2, 3])),
    )


class _Painter:
    """Paints parts one over another; light comes from the upper left."""

    def __init__(self, side: int, look: Look, rng: np.random.Generator) -> None:
        self.side, self.look, self.rng = side, look, rng
        self.rgb: Array = np.zeros((side, side, 3), np.float32)
        self.grain = _noise(rng, side, 3, 0.5) + _noise(rng, side, 24, 0.5)

    def draw(self, part: Part) -> None:
        """Paint one part over what is there, with its shadow."""
        if part.kind in ("cornice", "balcony", "sill", "awning", "roof"):
            self._cast_shadow(part)
        box = np.s_[part.top * SCALE : part.bottom * SCALE, part.left * SCALE : part.right * SCALE]
        covered = outline(part, SCALE)
        before = self.rgb[box].copy()
        painted = self._surface(part.kind, before)
        self.rgb[box] = np.where(covered[..., None], painted, before)

    def _cast_shadow(self, part: Part) -> None:
        depth = int(SCALE * (2.5 if part.kind in ("cornice", "awning", "balcony", "roof") else 1.2))
        shift = depth // 2
        rows = np.s_[part.bottom * SCALE : part.bottom * SCALE + depth]
        columns = np.s_[part.left * SCALE + shift : part.right * SCALE + shift]
        height = self.rgb[rows, columns].shape[0]
        fade = np.linspace(0.62, 0.95, depth, dtype=np.float32)[:height]
        self.rgb[rows, columns] *= fade[:, None, None]

    def _surface(self, kind: Kind, before: Array) -> Array:
        height, width = before.shape[:2]
        look = self.look
        if kind == "sky":
            return (
                _gradient(look.sky[0], look.sky[1], height, width) + 0.03 * self.grain[:height, :width, None]
            )
        if kind == "wall":
            return self._wall(height, width)
        if kind == "ground":
            return self._textured(np.full(3, 0.5, np.float32) * (0.7 + 0.3 * look.trim), height, width, 0.08)
        if kind == "roof":
            return self._tiles(height, width)
        if kind in ("window", "shop"):
            return self._glass(height, width, 1 if kind == "shop" else look.panes)
        if kind == "shutter":
            return self._slats(look.wood, height, width, SCALE + 1)
        if kind == "balcony":
            return self._railing(before)
        if kind == "door":
            return self._door(height, width)
        if kind == "awning":
            return self._awning(height, width)
        if kind == "plant":
            return self._leaves(height, width)
        if kind == "chimney":
            return self._textured(look.roof * 0.5 + look.wall * 0.4, height, width, 0.1)
        return self._moulding(height, width, upright=kind == "pillar")

    def _textured(self, colour: Array, height: int, width: int, strength: float) -> Array:
        top, left = (int(self.rng.integers(self.side - length + 1)) for length in (height, width))
        grain = self.grain[top : top + height, left : left + width, None]
        return (colour * (1 + strength * grain)).astype(np.float32)

    def _wall(self, height: int, width: int) -> Array:
        look, rng = self.look, self.rng
        wall = self._textured(look.wall, height, width, 0.05)
        if look.pattern != "plaster":
            course, length = (
                (int(2.2 * SCALE), int(5 * SCALE)) if look.pattern == "brick" else (6 * SCALE, 11 * SCALE)
            )
            row, column = np.arange(height) // course, np.arange(width)
            shifted = column[None, :] + (row[:, None] % 2) * (length // 2)
            tones = rng.normal(
                1, 0.08 if look.pattern == "brick" else 0.05, (row[-1] + 1, width // length + 3)
            )
            wall *= tones[row[:, None], shifted // length][..., None].astype(np.float32)
            joint = ((np.arange(height) % course < SCALE // 3 + 1)[:, None]) | (
                shifted % length < SCALE // 3 + 1
            )
            wall[joint] = wall[joint] * 0.55 + (0.36 if look.pattern == "brick" else 0.18)
        stains = _noise(rng, self.side, 5, 1.0)[:height, :width]
        weather = (
            1 - 0.1 * np.clip(stains, 0, 1) - 0.1 * np.linspace(0, 1, height, dtype=np.float32)[:, None] ** 4
        )
        return (wall * weather[..., None]).astype(np.float32)

    def _tiles(self, height: int, width: int) -> Array:
        tiles = self._textured(self.look.roof, height, width, 0.12)
        course = 2 * SCALE
        rows = 0.82 + 0.3 * (np.arange(height) % course) / course
        tones = self.rng.normal(1, 0.07, (height // course + 1, width // course + 1))
        each = tones[(np.arange(height) // course)[:, None], (np.arange(width) // course)[None, :]]
        return (tiles * (rows[:, None] * each)[..., None]).astype(np.float32)

    def _glass(self, height: int, width: int, panes: int) -> Array:
        rng = self.rng
        dark = np.asarray([0.1, 0.13, 0.17], np.float32) * np.float32(rng.uniform(0.7, 1.5))
        glass = _gradient(
            dark * 0.6 + 0.4 * self.look.sky[1] * np.float32(rng.uniform(0.3, 1.1)), dark, height, width
        )
        across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
        band = (across + down * rng.uniform(0.4, 0.9) + rng.uniform(0, 1)) % 1.0
        glass += (0.12 * rng.random() * ((band > 0.35) & (band < 0.6)))[..., None].astype(np.float32)
        if panes > 1 and rng.random() < 0.55:  # curtains, drawn apart by chance
            gap = rng.uniform(0.15, 0.8) / 2
            cloth = (np.abs(across - 0.5) > gap)[..., None]
            folds = 0.62 + 0.12 * np.sin(across * rng.uniform(25, 45))[..., None]
            glass = np.where(cloth, 0.35 * glass + 0.65 * folds * _colour((255, 250, 235)), glass).astype(
                np.float32
            )
        elif rng.random() < 0.08:  # somebody is at home
            glass = 0.4 * glass + 0.6 * _colour((242, 199, 115))
        reveal: NDArray[np.float64] = np.minimum(
            1, 0.45 + 0.55 * np.minimum(np.arange(height)[:, None] / (2.5 * SCALE), 1)
        )
        reveal = reveal * np.minimum(1, 0.6 + 0.4 * np.arange(width)[None, :] / (1.5 * SCALE))
        return self._framed((glass * reveal[..., None]).astype(np.float32), panes)

    def _framed(self, glass: Array, panes: int) -> Array:
        height, width = glass.shape[:2]
        bar = max(2, SCALE * 3 // 4)
        bars = np.zeros((height, width), bool)
        bars[:bar] = bars[-bar:] = bars[:, :bar] = bars[:, -bar:] = True
        for index in range(1, panes):
            middle = width * index // panes
            bars[:, middle - bar // 2 : middle + (bar + 1) // 2] = True
        if panes > 1:
            middle = int(height * 0.32)
            bars[middle : middle + bar] = True
        lit = self.look.frame * np.linspace(0.8, 1.0, height, dtype=np.float32)[:, None, None]
        return np.where(bars[..., None], lit, glass).astype(np.float32)

    def _slats(self, colour: Array, height: int, width: int, pitch: int) -> Array:
        rows = 0.72 + 0.4 * ((np.arange(height) % pitch) / pitch)
        slats = self._textured(colour, height, width, 0.04) * rows[:, None, None].astype(np.float32)
        slats[:, :2] *= 0.75
        slats[:, -2:] *= 0.6
        return slats

    def _railing(self, before: Array) -> Array:
        height, width = before.shape[:2]
        iron = np.asarray([0.12, 0.12, 0.13], np.float32)
        railing = before * 0.8
        bars = np.arange(width) % int(1.75 * SCALE) < SCALE * 0.6
        railing[:, bars] = iron
        railing[: SCALE * 3 // 4] = iron * 1.4
        slab = max(SCALE, height // 5)
        railing[-slab:] = self.look.trim * np.linspace(1.0, 0.7, slab, dtype=np.float32)[:, None, None]
        return railing

    def _door(self, height: int, width: int) -> Array:
        door = self._textured(self.look.wood * 0.8, height, width, 0.08)
        light = int(height * 0.24)
        door[:light] = self._glass(light, width, 1)
        leaves = 2 if width > 9 * SCALE else 1
        for leaf in range(leaves):
            left, right = width * leaf // leaves, width * (leaf + 1) // leaves
            door[light:, left : left + 2] *= 0.5
            for top, bottom in ((0.3, 0.6), (0.66, 0.94)):
                panel = np.s_[int(height * top) : int(height * bottom), left + 2 * SCALE : right - 2 * SCALE]
                door[panel] *= 0.78
                door[
                    int(height * bottom) : int(height * bottom) + 2, left + 2 * SCALE : right - 2 * SCALE
                ] *= 1.3
        door[:, : SCALE // 2] *= 0.5
        return door

    def _awning(self, height: int, width: int) -> Array:
        stripes = (np.arange(width) // (3 * SCALE)) % 2 == 0
        cloth = np.where(stripes[None, :, None], self.look.awning, np.float32(0.88))
        slope = np.linspace(1.1, 0.8, height)[:, None, None]
        scallop = np.arange(height) > height - SCALE
        return (cloth * slope * np.where(scallop, 0.8, 1.0)[:, None, None]).astype(np.float32)

    def _leaves(self, height: int, width: int) -> Array:
        green = np.asarray([0.22, 0.34, 0.14], np.float32) * np.float32(self.rng.uniform(0.7, 1.2))
        blotches = _noise(self.rng, max(height, width), max(3, width // 7), 1.0)[:height, :width]
        fall = np.linspace(1.25, 0.6, height, dtype=np.float32)[:, None]
        light: Array = np.clip(fall + np.float32(0.45) * blotches, 0.25, 2).astype(np.float32)
        return green * light[..., None]

    def _moulding(self, height: int, width: int, *, upright: bool) -> Array:
        """Trim: bright where it faces the light, dark on its far edge."""
        length = width if upright else height
        profile = np.interp(np.linspace(0, 1, length), [0, 0.25, 0.7, 1], [1.08, 1.0, 0.92, 0.72])
        shape = profile[None, :, None] if upright else profile[:, None, None]
        return (self._textured(self.look.trim, height, width, 0.05) * shape).astype(np.float32)


def _develop(rgb: Array, size_px: int, rng: np.random.Generator) -> Image.Image:
    """Light over the whole picture, then camera: reduce, exposure, white balance, blur, noise."""
    side = rgb.shape[0]
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    light = 1 + rng.uniform(-0.12, 0.12) * across - rng.uniform(0, 0.12) * down
    if rng.random() < 0.3:  # the shadow of a house across the street
        edge = (across * rng.uniform(-1, 1) + down - rng.uniform(-0.3, 0.7)) * side / 10
        light = light * (1 - 0.38 / (1 + np.exp(-np.clip(edge, -30, 30))))
    lit = rgb * light[..., None] * rng.uniform(0.88, 1.12) * rng.normal(1, 0.03, 3)
    small = lit.reshape(size_px, SCALE, size_px, SCALE, 3).mean(axis=(1, 3))
    small = np.clip(small, 0, 1) ** rng.uniform(0.9, 1.15)
    image = Image.fromarray((small * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.35))
    noisy = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(1.5, 3.5), (size_px, size_px, 1))
    noisy += rng.normal(0, 1.2, noisy.shape)
    return Image.fromarray(np.clip(np.round(noisy), 0, 255).astype(np.uint8))


def _colour(rgb: tuple[int, int, int]) -> Array:
    return np.asarray([level / 255 for level in rgb], np.float32)


def _gradient(above: Array, below: Array, height: int, width: int) -> Array:
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    blend: Array = above * (1 - down) + below * down
    return np.repeat(blend, width, axis=1)


def _noise(rng: np.random.Generator, side: int, cells: int, strength: float) -> Array:
    """Smooth noise of about unit spread: random values on a coarse grid, enlarged."""
    coarse = Image.fromarray(rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), np.float32) * np.float32(
        strength
    )
