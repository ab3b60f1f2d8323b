"""Trains the shape classifier from scratch and writes vision.tflite beside this script."""

import sys
from pathlib import Path

import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.training import make_reproducible, rectified, train_and_write
from examples.vision.data import CLASSES, INPUT_SHAPE, held_out_set, training_set

layers = tf.keras.layers


# Channels, expansion and stride of each inverted residual block.
BLOCKS = ((8, 1, 1), (16, 4, 2), (16, 4, 1), (24, 4, 2), (24, 4, 1), (24, 4, 1), (40, 4, 2), (40, 4, 1))
RELU_LIMIT = 6.0


def build_model() -> tf.keras.Model:
    """Return inverted residual blocks in the manner of MobileNetV2 (Sandler et al., 2018)."""
    picture = layers.Input(INPUT_SHAPE, name="picture")
    stem = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name="stem")
    x = rectified(picture, stem, RELU_LIMIT)
    for block, (channels, expansion, stride) in enumerate(BLOCKS, start=1):
        x = _inverted_residual(x, f"block{block}", channels, expansion, stride)
    x = rectified(x, layers.Conv2D(96, 1, use_bias=False, name="last"), RELU_LIMIT)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="average")(x))
    scores = layers.Dense(len(CLASSES), activation="softmax", name="scores")(x)
    return tf.keras.Model(picture, scores, name="vision")


def _inverted_residual(x: tf.Tensor, name: str, channels: int, expansion: int, stride: int) -> tf.Tensor:
    """Expand, filter each channel, project, and add the input back where the shapes agree."""
    shortcut = x
    if expansion > 1:
        expanding = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand")
        x = rectified(x, expanding, RELU_LIMIT)
    filtering = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")
    x = rectified(x, filtering, RELU_LIMIT)
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = layers.BatchNormalization(name=f"{name}_project_norm")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x]) if shortcut.shape == x.shape else x


if __name__ == "__main__":
    make_reproducible()
    train_and_write(
        build_model(),
        Path(__file__).with_name("vision.tflite"),
        training_set(40_000),
        held_out_set(400),
        epochs=7,
        learning_rate=3e-3,
    )
