"""Trains the gesture recogniser from scratch and writes gesture.tflite beside this script."""

import sys
from pathlib import Path

import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.gesture.data import CLASSES, INPUT_SHAPE, held_out_set, training_set
from examples.training import make_reproducible, rectified, train_and_write

layers = tf.keras.layers


def build_model() -> tf.keras.Model:
    """Return a small stack of 1-D convolutions with pooling between them."""
    window = layers.Input(INPUT_SHAPE, name="window")
    x = rectified(window, layers.Conv1D(16, 7, padding="same", use_bias=False, name="first"))
    x = layers.MaxPooling1D(2, name="first_pool")(x)
    x = rectified(x, layers.Conv1D(24, 5, padding="same", use_bias=False, name="second"))
    x = layers.MaxPooling1D(2, name="second_pool")(x)
    x = rectified(x, layers.DepthwiseConv1D(5, padding="same", use_bias=False, name="third_depthwise"))
    x = rectified(x, layers.Conv1D(32, 1, use_bias=False, name="third_pointwise"))
    x = rectified(x, layers.Conv1D(32, 5, strides=2, padding="same", use_bias=False, name="fourth"))
    x = layers.GlobalAveragePooling1D(name="average")(x)
    x = layers.Dropout(0.2)(layers.Dense(24, activation="relu", name="hidden")(x))
    scores = layers.Dense(len(CLASSES), activation="softmax", name="scores")(x)
    return tf.keras.Model(window, scores, name="gesture")


if __name__ == "__main__":
    make_reproducible()
    train_and_write(
        build_model(),
        Path(__file__).with_name("gesture.tflite"),
        training_set(14_000),
        held_out_set(700),
        epochs=15,
        learning_rate=3e-3,
    )
