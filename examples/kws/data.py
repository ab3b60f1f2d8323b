"""Synthesises spoken-tone keyword clips and their cepstral features, in numpy alone.

A voice is three formant tones, switched on and off at the pitch (as vocal folds do), plus a band of noise
for hissing sounds. Words share their sounds, so only the order of several sounds tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Examples = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]

SAMPLE_RATE_HZ = 16_000
CLIP_SAMPLES = 16_000
FRAME_SAMPLES = 640
HOP_SAMPLES = 320
FRAMES = 1 + (CLIP_SAMPLES - FRAME_SAMPLES) // HOP_SAMPLES
COEFFICIENTS = 10
INPUT_SHAPE = (FRAMES, COEFFICIENTS, 1)
FFT_SAMPLES = 1024
MEL_BANDS = 40

KEYWORDS = {
    "yes": "jes",
    "no": "nou",
    "up": "a.p",
    "down": "daun",
    "left": "lef.t",
    "right": "rai.t",
    "on": "on",
    "off": "of",
}
CLASSES = ("silence", "unknown", *KEYWORDS)

# Unknown words of the held-out split; training never contains them.
HELD_OUT_WORDS = ("nous", "si.t", "lo.p", "rouf", "jun", "fain", "les", "u.t", "nef", "saun", "ai", "dou")

TRAINING_SEED, TRAINING_SPEAKERS = 1, 160
HELD_OUT_SEED, HELD_OUT_SPEAKERS = 2, 40


@dataclass(frozen=True)
class Sound:
    """One speech sound: three formants in Hz, their amplitudes, and a band of noise around `noise_hz`."""

    formants_hz: tuple[float, ...]
    amplitudes: tuple[float, ...]
    noise_hz: float
    noise_amplitude: float
    duration_s: float


VOWEL_AMPLITUDES = (1.0, 0.6, 0.3)
SOUNDS = {
    "i": Sound((270, 2290, 3010), VOWEL_AMPLITUDES, 4000, 0.0, 0.14),
    "e": Sound((530, 1840, 2480), VOWEL_AMPLITUDES, 4000, 0.0, 0.14),
    "a": Sound((730, 1090, 2440), VOWEL_AMPLITUDES, 4000, 0.0, 0.15),
    "o": Sound((570, 840, 2410), VOWEL_AMPLITUDES, 4000, 0.0, 0.15),
    "u": Sound((300, 870, 2240), VOWEL_AMPLITUDES, 4000, 0.0, 0.13),
    "j": Sound((280, 2200, 2900), (0.5, 0.3, 0.15), 4000, 0.0, 0.07),
    "l": Sound((360, 1300, 2700), (0.6, 0.25, 0.15), 4000, 0.0, 0.08),
    "r": Sound((420, 1250, 1600), (0.6, 0.35, 0.25), 4000, 0.0, 0.08),
    "n": Sound((250, 1450, 2300), (0.5, 0.1, 0.05), 4000, 0.0, 0.11),
    "d": Sound((250, 1700, 2600), (0.25, 0.1, 0.05), 3500, 0.15, 0.05),
    "s": Sound((400, 1700, 2600), (0.0, 0.0, 0.0), 5600, 0.35, 0.15),
    "f": Sound((400, 1200, 2400), (0.0, 0.0, 0.0), 3800, 0.18, 0.13),
    "t": Sound((400, 1700, 2600), (0.0, 0.0, 0.0), 4600, 0.45, 0.05),
    "p": Sound((400, 900, 2300), (0.0, 0.0, 0.0), 1300, 0.35, 0.05),
    ".": Sound((400, 1200, 2400), (0.0, 0.0, 0.0), 4000, 0.0, 0.06),
}


@dataclass(frozen=True)
class Speaker:
    """What stays the same in one person's clips."""

    pitch_hz: float
    formant_scale: float
    tempo: float
    breath: float
    accent: dict[str, FloatArray]

    def formant_factors(self, symbol: str) -> FloatArray:
        """Return the factors (3,) by which this speaker's formants differ from the table's."""
        return self.accent[symbol] * self.formant_scale


def training_set(count: int) -> Examples:
    """Return features of shape (count, 49, 10, 1), about unit variance, and class indices (count,)."""
    return _examples(count, TRAINING_SEED, TRAINING_SPEAKERS, unknown_words=())


def held_out_set(count: int) -> Examples:
    """Return the same as `training_set`, from other speakers, seeds, accents and unknown words."""
    return _examples(count, HELD_OUT_SEED, HELD_OUT_SPEAKERS, unknown_words=HELD_OUT_WORDS)


def _examples(count: int, seed: int, speaker_count: int, unknown_words: tuple[str, ...]) -> Examples:
    """Draw `count` clips; example i depends on the seed and on i, never on `count`."""
    speakers = [_speaker(np.random.default_rng((seed, 0, index))) for index in range(speaker_count)]
    labels = np.arange(count) % len(CLASSES)
    features = np.empty((count, *INPUT_SHAPE), np.float32)
    for index, label in enumerate(labels):
        rng = np.random.default_rng((seed, 1, index))
        speaker = speakers[rng.integers(speaker_count)]
        speech = np.zeros(CLIP_SAMPLES)
        if CLASSES[label] == "unknown":
            speech = _speech(_unknown_word(rng, unknown_words), speaker, rng)
        elif CLASSES[label] in KEYWORDS:
            speech = _speech(KEYWORDS[CLASSES[label]], speaker, rng)
        features[index, :, :, 0] = cepstrum(_recorded(speech, rng))
    return features, labels


def _speaker(rng: np.random.Generator) -> Speaker:
    """Draw one speaker; low voices tend to have low formants."""
    pitch_hz = rng.uniform(85, 260)
    return Speaker(
        pitch_hz=pitch_hz,
        formant_scale=0.9 + 0.2 * (pitch_hz - 85) / 175 + rng.uniform(-0.06, 0.06),
        tempo=rng.uniform(0.8, 1.3),
        breath=rng.uniform(0.0, 0.06),
        accent={symbol: rng.uniform(0.92, 1.08, 3) for symbol in SOUNDS},
    )


def _unknown_word(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    """Pick one of `words`, or without any invent one that is neither a keyword nor a held-out word."""
    if words:
        return words[rng.integers(len(words))]
    reserved = {*KEYWORDS.values(), *HELD_OUT_WORDS}
    while True:
        onset = rng.choice(["", "j", "l", "r", "n", "d", "s", "f", "t", "p"])
        nucleus = rng.choice(["i", "e", "a", "o", "u", "au", "ai", "ou"])
        coda = rng.choice(["", "n", "s", "f", "l", ".t", ".p", "f.t", "s.t"])
        word = f"{onset}{nucleus}{coda}"
        if word not in reserved:
            return word


def _speech(word: str, speaker: Speaker, rng: np.random.Generator) -> FloatArray:
    """Return a clip of CLIP_SAMPLES samples in which `speaker` says `word` at a random moment."""
    sounds = [
        replace(
            SOUNDS[symbol],
            formants_hz=tuple(SOUNDS[symbol].formants_hz * speaker.formant_factors(symbol)),
            duration_s=SOUNDS[symbol].duration_s * rng.uniform(0.75, 1.35) / speaker.tempo,
        )
        for symbol in word
    ]
    edges_s = np.cumsum([0.0, *(sound.duration_s for sound in sounds)])
    edges_s += rng.uniform(0.03, max(0.04, 0.97 - edges_s[-1]))
    time_s = np.arange(CLIP_SAMPLES) / SAMPLE_RATE_HZ

    # A sound holds its value from 25 % to 75 % of its length and glides to its neighbours in between.
    lengths_s = np.diff(edges_s)
    knots_s = np.stack([edges_s[:-1] + 0.25 * lengths_s, edges_s[:-1] + 0.75 * lengths_s], axis=1).ravel()
    envelope_knots_s = np.concatenate([edges_s[:1] - 0.01, knots_s, edges_s[-1:] + 0.02])

    def track(values: list[float]) -> FloatArray:
        return np.asarray(np.interp(time_s, knots_s, np.repeat(values, 2)))

    def envelope(values: list[float]) -> FloatArray:
        return np.asarray(np.interp(time_s, envelope_knots_s, [0.0, *np.repeat(values, 2), 0.0]))

    glide = rng.uniform(-0.25, 0.15)
    pitch_hz = speaker.pitch_hz * rng.uniform(0.9, 1.1) * (1 + glide * (time_s - edges_s[0]))
    pitch_hz *= 1 + 0.02 * np.sin(2 * np.pi * rng.uniform(4, 7) * time_s)
    folds = (0.5 + 0.5 * np.cos(_phase(pitch_hz))) ** 2
    voice = np.zeros(CLIP_SAMPLES)
    for formant in range(3):
        tone = np.sin(_phase(track([sound.formants_hz[formant] for sound in sounds])))
        voice += tone * envelope([sound.amplitudes[formant] for sound in sounds])
    hiss = np.convolve(rng.standard_normal(CLIP_SAMPLES), np.ones(9) / 3, mode="same")
    hiss *= np.cos(_phase(track([sound.noise_hz * speaker.formant_scale for sound in sounds])))
    breath = speaker.breath * envelope([sound.amplitudes[0] for sound in sounds])
    return voice * folds + hiss * (envelope([sound.noise_amplitude for sound in sounds]) + breath)


def _phase(frequency_hz: FloatArray) -> FloatArray:
    """Integrate a frequency track to radians."""
    return 2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ


def _recorded(speech: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Add room, distractors and noise, with speech about 0 to 25 dB above the noise."""
    echo_samples = int(rng.integers(200, 1600))
    speech[echo_samples:] += rng.uniform(0.0, 0.3) * speech[:-echo_samples]
    time_s = np.arange(CLIP_SAMPLES) / SAMPLE_RATE_HZ
    white = rng.standard_normal(CLIP_SAMPLES)
    taps = int(rng.integers(2, 24))
    dull = np.convolve(white, np.ones(taps) / np.sqrt(taps), mode="same")
    colour = rng.uniform(0.0, 1.0)
    noise = (1 - colour) * white + colour * dull
    noise *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 3.0) * time_s + rng.uniform(0, 6.28))
    noise += rng.uniform(0.0, 0.7) * np.sin(2 * np.pi * rng.choice([50, 60]) * rng.integers(1, 5) * time_s)
    if rng.random() < 0.4:
        start_hz, end_hz = rng.uniform(300, 4000, 2)
        middle_s, width_s = rng.uniform(0.1, 0.9), rng.uniform(0.01, 0.06)
        beep = np.sin(_phase(np.linspace(start_hz, end_hz, CLIP_SAMPLES)))
        noise += rng.uniform(0.5, 3.0) * beep * np.exp(-(((time_s - middle_s) / width_s) ** 2))
    if rng.random() < 0.3:
        click = int(rng.integers(CLIP_SAMPLES - 200))
        noise[click : click + 200] += 6 * rng.standard_normal(200) * np.exp(-np.arange(200) / 40)
    speech_level = 0.3
    noise_level = float(speech_level * 10 ** (-rng.uniform(0, 25) / 20) / np.sqrt(np.mean(noise**2)))
    gain = 10 ** (rng.uniform(-12, 6) / 20)
    return gain * (speech + noise_level * noise)


def cepstrum(clip: FloatArray) -> FloatArray:
    """Turn (CLIP_SAMPLES,) samples, full scale about 1, into (FRAMES, COEFFICIENTS) within 4 deviations."""
    frames = np.lib.stride_tricks.sliding_window_view(clip, FRAME_SAMPLES)[::HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME_SAMPLES), FFT_SAMPLES)) ** 2
    log_mel = np.log(power @ _MEL_FILTERS + 1e-3)
    features: FloatArray = (log_mel @ _COSINES - _FEATURE_MEANS) / _FEATURE_DEVIATIONS
    return features.clip(-4.0, 4.0)


def _mel_filters() -> FloatArray:
    """Return triangular filters (FFT bins, MEL_BANDS), evenly spaced in mel from 60 Hz to 7600 Hz."""
    low_mel, high_mel = (2595 * np.log10(1 + hz / 700) for hz in (60, 7600))
    edges_hz = 700 * (10 ** (np.linspace(low_mel, high_mel, MEL_BANDS + 2) / 2595) - 1)
    bins_hz = np.arange(FFT_SAMPLES // 2 + 1)[:, None] * SAMPLE_RATE_HZ / FFT_SAMPLES
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def _cosines() -> FloatArray:
    """Return the orthonormal DCT-II basis (MEL_BANDS, COEFFICIENTS)."""
    angles = np.pi * (np.arange(MEL_BANDS)[:, None] + 0.5) * np.arange(COEFFICIENTS) / MEL_BANDS
    basis: FloatArray = np.cos(angles) * np.sqrt(2 / MEL_BANDS)
    basis[:, 0] /= np.sqrt(2)
    return basis


_MEL_FILTERS = _mel_filters()
_COSINES = _cosines()
# Of the training split, rounded; firmware that computes the features uses the same numbers.
_FEATURE_MEANS = np.array([10.6, 2.9, 1.7, 0.7, -0.5, -0.9, -0.4, 0.3, -0.1, -0.3])
_FEATURE_DEVIATIONS = np.array([14.2, 5.2, 3.1, 2.8, 2.7, 2.5, 2.1, 1.9, 1.6, 1.7])
