"""Synthesises small colour pictures of shapes, in numpy alone.

Shape is the only thing that differs between classes: colours, textures, backgrounds, size, place, angle,
light, blur, clutter and noise are drawn from the same ranges for all of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Examples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

PIXELS = 48
INPUT_SHAPE = (PIXELS, PIXELS, 3)
CLASSES = ("disc", "ring", "square", "triangle", "star", "cross", "crescent", "heart")

TRAINING_SEED, TRAINING_PALETTES = 1, 400
HELD_OUT_SEED, HELD_OUT_PALETTES = 2, 100

# Pixel centres, in units of half the picture's width: both run from -1 to 1.
DOWN, RIGHT = np.meshgrid(*[(np.arange(PIXELS) + 0.5) / PIXELS * 2 - 1] * 2, indexing="ij")
PIXEL = 2 / PIXELS


def training_set(count: int) -> Examples:
    """Return pictures of shape (count, 48, 48, 3), 0 to 1, and class indices (count,)."""
    return _examples(count, TRAINING_SEED, TRAINING_PALETTES)


def held_out_set(count: int) -> Examples:
    """Return the same as `training_set`, with other palettes and seeds."""
    return _examples(count, HELD_OUT_SEED, HELD_OUT_PALETTES)


def _examples(count: int, seed: int, palette_count: int) -> Examples:
    """Draw `count` pictures; example i depends on the seed and on i, never on `count`."""
    palettes = [_palette(np.random.default_rng((seed, 0, index))) for index in range(palette_count)]
    labels = np.arange(count) % len(CLASSES)
    pictures = np.empty((count, *INPUT_SHAPE), np.float32)
    for index, label in enumerate(labels):
        rng = np.random.default_rng((seed, 1, index))
        pictures[index] = _picture(CLASSES[label], palettes[rng.integers(palette_count)], rng)
    return pictures, labels


def _palette(rng: np.random.Generator) -> FloatArray:
    """Draw five colours (5, 3): the shape's two, similar; the background's two, far from them; clutter."""
    while True:
        shape, background, clutter = rng.uniform(0.0, 1.0, (3, 3))
        if np.abs(shape - background).sum() > 0.8:
            break
    second_shape = shape + rng.uniform(-0.15, 0.15, 3)
    second_background = background + rng.uniform(-0.25, 0.25, 3)
    palette: FloatArray = np.stack([shape, second_shape, background, second_background, clutter])
    return palette.clip(0.0, 1.0)


def _picture(name: str, palette: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return one picture (PIXELS, PIXELS, 3), rounded to 8-bit levels as a camera does."""
    picture = _blend(palette[2], palette[3], _texture(rng))
    for _ in range(rng.integers(0, 4)):
        picture = _blend_mask(picture, palette[rng.choice([1, 3, 4])], 0.7 * _clutter(rng))
    size = rng.uniform(0.38, 0.68)
    angle = rng.uniform(0, 2 * np.pi)
    centre_right, centre_down = rng.uniform(-0.9, 0.9, 2) * (0.95 - size)
    right = ((RIGHT - centre_right) * np.cos(angle) + (DOWN - centre_down) * np.sin(angle)) / size
    down = ((DOWN - centre_down) * np.cos(angle) - (RIGHT - centre_right) * np.sin(angle)) / size
    right = right * rng.uniform(0.85, 1.15) + down * rng.uniform(-0.12, 0.12)
    coverage = _coverage(_distance(name, right, down, rng) * size)
    picture = _blend_mask(picture, _blend(palette[0], palette[1], _texture(rng)), coverage)
    if rng.random() < 0.3:
        picture = _blend_mask(picture, palette[4], _clutter(rng))

    light_angle = rng.uniform(0, 2 * np.pi)
    slope = rng.uniform(0.0, 0.35) * (np.cos(light_angle) * RIGHT + np.sin(light_angle) * DOWN)
    picture *= (rng.uniform(0.6, 1.1) + slope)[:, :, None]
    if rng.random() < 0.5:
        picture = _blurred(picture)
    picture += rng.normal(0.0, rng.uniform(0.0, 0.09), picture.shape)
    return np.round(np.clip(picture, 0.0, 1.0) * 255) / 255


def _distance(name: str, right: FloatArray, down: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return a value that is negative inside the shape of radius 1 and grows about as fast as distance."""
    radius = np.hypot(right, down)
    if name == "disc":
        return radius - 0.9
    if name == "ring":
        width = rng.uniform(0.17, 0.28)
        return np.abs(radius - (1 - width)) - width
    if name == "square":
        return np.maximum(np.abs(right), np.abs(down)) - 0.8
    if name == "triangle":
        return np.maximum(np.abs(right) * 0.866 - down * 0.5, down) - 0.5
    if name == "star":
        sector = np.pi / 5
        angle = np.abs((np.arctan2(right, -down) + sector) % (2 * sector) - sector)
        inner = rng.uniform(0.38, 0.5)
        # The edge runs from the point (1, 0) to the notch at `inner`, half a sector away.
        edge_right, edge_down = inner * np.cos(sector) - 1, inner * np.sin(sector)
        cross = (radius * np.cos(angle) - 1) * edge_down - radius * np.sin(angle) * edge_right
        return np.asarray(cross / np.hypot(edge_right, edge_down))
    if name == "cross":
        arm = rng.uniform(0.22, 0.34)
        across, along = np.sort(np.abs([right, down]), axis=0)
        return np.asarray(np.maximum(across - arm, along - 0.95))
    if name == "crescent":
        shift = rng.uniform(0.4, 0.6)
        return np.maximum(radius - 0.95, 0.8 - np.hypot(right - shift, down))
    side, height = np.abs(right), 0.25 - down
    lobe = np.hypot(side - 0.42, height - 0.25) - 0.5
    point = np.maximum((side + np.abs(height + 0.05) - 1.05) * 0.707, height - 0.25)
    return np.where(height > 0.25, lobe, np.minimum(lobe, point))


def _coverage(distance: FloatArray) -> FloatArray:
    """Turn distance into how much of each pixel is covered, 0 to 1."""
    return np.clip(0.5 - distance / PIXEL, 0.0, 1.0)


def _texture(rng: np.random.Generator) -> FloatArray:
    """Return a pattern (PIXELS, PIXELS), 0 to 1: plain, gradient, stripes, checks or blotches."""
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * RIGHT + np.sin(angle) * DOWN
    across = np.cos(angle) * DOWN - np.sin(angle) * RIGHT
    rate = rng.uniform(6, 25)
    kind = rng.choice(["plain", "gradient", "stripes", "checks", "blotches"])
    if kind == "plain":
        return np.full_like(RIGHT, rng.uniform())
    if kind == "gradient":
        return np.asarray((along + 1.5) / 3)
    if kind == "stripes":
        return np.asarray(0.5 + 0.5 * np.sin(rate * along))
    if kind == "checks":
        return np.where(np.sin(rate * along) * np.sin(rate * across) > 0, 1.0, 0.0)
    blotches = rng.uniform(0.0, 1.0, (12, 12)).repeat(4, axis=0).repeat(4, axis=1)
    return _blurred(blotches[:, :, None])[:, :, 0]


def _clutter(rng: np.random.Generator) -> FloatArray:
    """Return the coverage of a thin line or a small blot somewhere."""
    centre_right, centre_down = rng.uniform(-0.9, 0.9, 2)
    right, down = RIGHT - centre_right, DOWN - centre_down
    if rng.random() < 0.5:
        angle = rng.uniform(0, np.pi)
        return _coverage(np.abs(np.cos(angle) * right + np.sin(angle) * down) - rng.uniform(0.02, 0.05))
    return _coverage(np.hypot(right, down) - rng.uniform(0.06, 0.2))


def _blend(first: FloatArray, second: FloatArray, amount: FloatArray) -> FloatArray:
    """Mix two colours (3,) by `amount` (PIXELS, PIXELS)."""
    return first + (second - first) * amount[:, :, None]


def _blend_mask(under: FloatArray, over: FloatArray, coverage: FloatArray) -> FloatArray:
    """Paint a picture or a colour over a picture."""
    return under + (over - under) * coverage[:, :, None]


def _blurred(picture: FloatArray) -> FloatArray:
    """Blur (rows, columns, channels) with the 3x3 binomial kernel, repeating the border."""
    padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16
