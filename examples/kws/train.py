"""Trains the keyword spotter from scratch and writes kws.tflite beside this script."""

import sys
from pathlib import Path

import tensorflow as tf

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.kws.data import CLASSES, INPUT_SHAPE, held_out_set, training_set
from examples.training import make_reproducible, rectified, train_and_write

layers = tf.keras.layers


def build_model() -> tf.keras.Model:
    """Return a depthwise-separable network in the manner of DS-CNN (Zhang et al., 2017)."""
    features = layers.Input(INPUT_SHAPE, name="features")
    stem = layers.Conv2D(48, (10, 4), strides=2, padding="same", use_bias=False, name="stem")
    x = rectified(features, stem)
    for block, (channels, stride) in enumerate(((48, 1), (48, 1), (64, 2), (64, 1), (64, 1)), start=1):
        name = f"block{block}"
        spatial = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")
        mixing = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")
        x = rectified(rectified(x, spatial), mixing)
    x = layers.AveragePooling2D(x.shape[1:3], name="average")(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    scores = layers.Dense(len(CLASSES), activation="softmax", name="scores")(x)
    return tf.keras.Model(features, scores, name="kws")


if __name__ == "__main__":
    make_reproducible()
    train_and_write(
        build_model(),
        Path(__file__).with_name("kws.tflite"),
        training_set(12_000),
        held_out_set(500),
        epochs=16,
        learning_rate=3e-3,
    )
