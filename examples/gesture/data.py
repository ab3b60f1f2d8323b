"""Synthesises accelerometer windows of hand gestures, in numpy alone.

A gesture is a path of the hand in metres; its second derivative plus gravity, seen from a tilted, imperfect
sensor, is the recording. Every class shares the ranges of strength, so no single reading tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Examples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

SAMPLE_RATE_HZ = 50
SAMPLES = 128
INPUT_SHAPE = (SAMPLES, 3)
GRAVITY_M_S2 = 9.81
CLASSES = ("idle", "circle", "figure of eight", "shake", "swipe", "double tap", "flip")

TRAINING_SEED, TRAINING_WEARERS = 1, 120
HELD_OUT_SEED, HELD_OUT_WEARERS = 2, 40

# Eight times the sensor's rate, so that differences of the path are close to derivatives.
FINE_FACTOR = 8
FINE_RATE_HZ = SAMPLE_RATE_HZ * FINE_FACTOR
FINE_TIME_S: FloatArray = np.arange(SAMPLES * FINE_FACTOR) / FINE_RATE_HZ
WINDOW_S = SAMPLES / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Wearer:
    """What stays the same in one person's windows: habits of moving, and the sensor itself."""

    tempo: float
    reach: float
    tilt_rad: FloatArray
    tremor_g: float
    sensor_gain: FloatArray
    sensor_bias_g: FloatArray


def training_set(count: int) -> Examples:
    """Return accelerations in g of shape (count, 128, 3), clipped to 4 g, and class indices (count,)."""
    return _examples(count, TRAINING_SEED, TRAINING_WEARERS)


def held_out_set(count: int) -> Examples:
    """Return the same as `training_set`, from other wearers, sensors and seeds."""
    return _examples(count, HELD_OUT_SEED, HELD_OUT_WEARERS)


def _examples(count: int, seed: int, wearer_count: int) -> Examples:
    """Draw `count` windows; example i depends on the seed and on i, never on `count`."""
    wearers = [_wearer(np.random.default_rng((seed, 0, index))) for index in range(wearer_count)]
    labels = np.arange(count) % len(CLASSES)
    windows = np.empty((count, *INPUT_SHAPE), np.float32)
    for index, label in enumerate(labels):
        rng = np.random.default_rng((seed, 1, index))
        wearer = wearers[rng.integers(wearer_count)]
        windows[index] = _recorded(CLASSES[label], wearer, rng)
    return windows, labels


def _wearer(rng: np.random.Generator) -> Wearer:
    """Draw one wearer."""
    return Wearer(
        tempo=rng.uniform(0.75, 1.3),
        reach=rng.uniform(0.5, 1.3),
        tilt_rad=rng.normal(0.0, 0.4, 3),
        tremor_g=rng.uniform(0.01, 0.12),
        sensor_gain=rng.uniform(0.96, 1.04, 3),
        sensor_bias_g=rng.normal(0.0, 0.04, 3),
    )


def _recorded(name: str, wearer: Wearer, rng: np.random.Generator) -> FloatArray:
    """Return one window (SAMPLES, 3) in g as the wearer's sensor records it."""
    path_m = np.zeros((FINE_TIME_S.size, 3))
    roll_rad = np.zeros(FINE_TIME_S.size)
    knock_g = np.zeros((FINE_TIME_S.size, 3))
    if name == "circle":
        path_m = _loops(wearer, rng, harmonic=1)
    elif name == "figure of eight":
        path_m = _loops(wearer, rng, harmonic=2)
    elif name == "shake":
        path_m = _shake(wearer, rng)
    elif name == "swipe":
        path_m = _swipe(wearer, rng)
    elif name == "double tap":
        first_s = rng.uniform(0.2, WINDOW_S - 0.7)
        strength_g = rng.uniform(0.5, 2.5)
        knock_g = _knock(first_s, strength_g, rng)
        knock_g += _knock(first_s + rng.uniform(0.16, 0.4), strength_g * rng.uniform(0.5, 1.5), rng)
    elif name == "flip":
        roll_rad = _flip(wearer, rng)
    else:
        path_m, roll_rad, knock_g = _idle(rng)

    velocity_m_s = np.gradient(path_m, 1 / FINE_RATE_HZ, axis=0)
    motion_g = np.gradient(velocity_m_s, 1 / FINE_RATE_HZ, axis=0) / GRAVITY_M_S2
    gravity_g = np.stack([np.sin(roll_rad), np.zeros_like(roll_rad), np.cos(roll_rad)], axis=1)
    tilt_rad = wearer.tilt_rad + rng.normal(0.0, 0.15, 3)
    fine_g = (motion_g + gravity_g + knock_g) @ _rotation(tilt_rad).T
    window_g: FloatArray = fine_g.reshape(SAMPLES, FINE_FACTOR, 3).mean(axis=1)
    time_s = np.arange(SAMPLES)[:, None] / SAMPLE_RATE_HZ
    tremor_rad = 2 * np.pi * rng.uniform(7, 11, 3) * time_s + rng.uniform(0, 2 * np.pi, 3)
    window_g += wearer.tremor_g * np.sin(tremor_rad)
    window_g += rng.normal(0.0, rng.uniform(0.02, 0.16), window_g.shape)
    return np.clip(window_g * wearer.sensor_gain + wearer.sensor_bias_g, -4.0, 4.0)


def _loops(wearer: Wearer, rng: np.random.Generator, harmonic: int) -> FloatArray:
    """Draw closed loops, mostly upright: `harmonic` 1 is a circle or ellipse, 2 is a figure of eight."""
    period_s = rng.uniform(0.75, 1.3) * harmonic**0.6 / wearer.tempo
    start_s = rng.uniform(0.0, 0.5)
    angle = rng.choice([-1, 1]) * 2 * np.pi * FINE_TIME_S / period_s + rng.uniform(0, 2 * np.pi)
    width_m = 0.16 * wearer.reach * rng.uniform(0.7, 1.3)
    height_m = width_m * rng.uniform(0.6, 1.4) / harmonic
    lead_rad = np.pi / 2 if harmonic == 1 else 0.0
    lead_rad += rng.normal(0.0, 0.3)
    wobble = 1 + 0.15 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * FINE_TIME_S + rng.uniform(0, 6.28))
    sideways_m = width_m * wobble * np.sin(angle)
    upright_m = height_m * wobble * np.sin(harmonic * angle + lead_rad)
    lean_rad = rng.normal(0.0, 0.3)
    path_m = np.stack(
        [
            sideways_m * np.cos(lean_rad) - upright_m * np.sin(lean_rad),
            sideways_m * rng.normal(0.0, 0.15),
            sideways_m * np.sin(lean_rad) + upright_m * np.cos(lean_rad),
        ],
        axis=1,
    )
    turns_s = rng.uniform(0.9, 1.8) * period_s
    return path_m * _fade(start_s, start_s + turns_s)[:, None]


def _shake(wearer: Wearer, rng: np.random.Generator) -> FloatArray:
    """Swing to and fro along one line, fast."""
    rate_hz = rng.uniform(2.2, 4.5) * wearer.tempo
    reach_m = 0.15 * wearer.reach * rng.uniform(0.7, 1.3) / rate_hz
    start_s = rng.uniform(0.0, 0.8)
    swing = np.sin(2 * np.pi * rate_hz * FINE_TIME_S + rng.uniform(0, 6.28))
    swing += rng.normal(0.0, 0.08) * np.sin(4 * np.pi * rate_hz * FINE_TIME_S)
    fade = _fade(start_s, start_s + rng.uniform(0.8, 1.8))
    return np.outer(reach_m * swing * fade, _direction(rng, spread=0.5))


def _swipe(wearer: Wearer, rng: np.random.Generator) -> FloatArray:
    """Move once along a line and, half of the time, slowly back."""
    reach_m = rng.choice([-1, 1]) * 0.32 * wearer.reach * rng.uniform(0.7, 1.3)
    start_s = rng.uniform(0.1, 1.2)
    length_s = rng.uniform(0.35, 0.65) / wearer.tempo
    travel = _ease((FINE_TIME_S - start_s) / length_s)
    if rng.random() < 0.5:
        back_s = start_s + length_s + rng.uniform(0.1, 0.3)
        travel -= _ease((FINE_TIME_S - back_s) / rng.uniform(0.7, 1.1))
    return np.outer(reach_m * travel, _direction(rng, spread=0.35))


def _flip(wearer: Wearer, rng: np.random.Generator) -> FloatArray:
    """Turn the wrist and, mostly, back again; returns the roll angle in radians."""
    start_s = rng.uniform(0.1, 1.0)
    length_s = rng.uniform(0.3, 0.6) / wearer.tempo
    turn = _ease((FINE_TIME_S - start_s) / length_s)
    if rng.random() < 0.7:
        back_s = start_s + length_s + rng.uniform(0.0, 0.5)
        turn -= _ease((FINE_TIME_S - back_s) / (length_s * rng.uniform(0.8, 1.4)))
    turn *= rng.choice([-1, 1]) * rng.uniform(1.0, 3.0)
    return turn


def _idle(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Rest, walk, tilt slowly, bump once, or reach slowly: path in metres, roll in radians, knocks in g."""
    path_m = np.zeros((FINE_TIME_S.size, 3))
    roll_rad: FloatArray = np.zeros(FINE_TIME_S.size)
    knock_g = np.zeros((FINE_TIME_S.size, 3))
    activity = rng.choice(["rest", "walk", "tilt", "bump", "reach"])
    if activity == "walk":
        step_rad = 2 * np.pi * rng.uniform(1.5, 2.2) * FINE_TIME_S + rng.uniform(0, 6.28)
        bounce_m = rng.uniform(0.008, 0.03)
        path_m[:, 2] = bounce_m * np.sin(step_rad)
        path_m[:, 0] = bounce_m * rng.uniform(0.2, 0.8) * np.sin(step_rad / 2 + rng.uniform(0, 6.28))
    elif activity == "tilt":
        start_s = rng.uniform(0.0, 1.0)
        roll_rad = rng.uniform(-1.0, 1.0) * _ease((FINE_TIME_S - start_s) / rng.uniform(1.0, 2.0))
    elif activity == "bump":
        knock_g = _knock(rng.uniform(0.2, WINDOW_S - 0.3), rng.uniform(0.5, 2.5), rng)
    elif activity == "reach":
        travel = _ease((FINE_TIME_S - rng.uniform(0.0, 0.8)) / rng.uniform(0.9, 1.6))
        path_m = np.outer(rng.uniform(-0.5, 0.5) * travel, _direction(rng, spread=1.0))
    return path_m, roll_rad, knock_g


def _knock(moment_s: float, strength_g: float, rng: np.random.Generator) -> FloatArray:
    """Return a short damped ringing (fine samples, 3) in g that begins at `moment_s`."""
    since_s = np.maximum(FINE_TIME_S - moment_s, 0.0)
    ringing = np.sin(2 * np.pi * rng.uniform(10, 18) * since_s) * np.exp(-since_s / rng.uniform(0.02, 0.05))
    direction = np.array([rng.normal(0.0, 0.3), rng.normal(0.0, 0.3), rng.choice([-1.0, 1.0])])
    return 2 * strength_g * np.outer(ringing, direction)


def _direction(rng: np.random.Generator, spread: float) -> FloatArray:
    """Return a unit vector near the x axis."""
    direction = np.array([1.0, 0.0, 0.0]) + rng.normal(0.0, spread, 3)
    return direction / float(np.linalg.norm(direction))


def _ease(progress: FloatArray) -> FloatArray:
    """Go from 0 to 1 with least jerk, as arms do; flat before 0 and after 1."""
    progress = np.clip(progress, 0.0, 1.0)
    return progress**3 * (10 - 15 * progress + 6 * progress**2)


def _fade(start_s: float, end_s: float) -> FloatArray:
    """Rise to 1 within 0.3 s after `start_s` and fall to 0 within 0.3 s after `end_s`."""
    return _ease((FINE_TIME_S - start_s) / 0.3) - _ease((FINE_TIME_S - end_s) / 0.3)


def _rotation(angles_rad: FloatArray) -> FloatArray:
    """Return the matrix of turns about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles_rad), np.sin(angles_rad)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    turned: FloatArray = about_z @ about_y @ about_x
    return turned
