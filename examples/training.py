"""Trains an example's Keras model and quantises it to int8; the only code here that needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from examples.common import Examples, open_model, predictions, quantised

SEED = 7
BATCH = 64
REPRESENTATIVES = 400


def make_reproducible() -> None:
    """Seed Python, numpy and TensorFlow; call before a model is built."""
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()


def rectified(x: tf.Tensor, convolution: tf.keras.Layer, limit: float | None = None) -> tf.Tensor:
    """Apply a convolution, batch normalisation and a ReLU up to `limit`, all named after the convolution."""
    x = tf.keras.layers.BatchNormalization(name=f"{convolution.name}_norm")(convolution(x))
    return tf.keras.layers.ReLU(limit, name=f"{convolution.name}_relu")(x)


def train_and_write(
    model: tf.keras.Model,
    path: Path,
    training: Examples,
    held_out: Examples,
    epochs: int,
    learning_rate: float,
) -> None:
    """Fit `model`, write it to `path` in int8, and print the float and the int8 accuracy."""
    features, labels = training
    steps = epochs * -(-len(features) // BATCH)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(features, labels, batch_size=BATCH, epochs=epochs, verbose=2)
    path.write_bytes(int8_model(model, features[:REPRESENTATIVES]))

    held_out_features, held_out_labels = held_out
    float_accuracy = model.evaluate(held_out_features, held_out_labels, verbose=0)[1]
    interpreter = open_model(path)
    classes = predictions(interpreter, quantised(interpreter, held_out_features))
    print(f"held-out accuracy: float {float_accuracy:.4f}, int8 {np.mean(classes == held_out_labels):.4f}")
    print(f"{path.name}: {path.stat().st_size} bytes")


def int8_model(model: tf.keras.Model, representatives: npt.NDArray[np.float32]) -> bytes:
    """Convert to a flatbuffer with int8 inputs, outputs and operators, and static shapes of batch one."""
    batch_of_one = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="input")
    infer = tf.function(lambda features: model(features, training=False), input_signature=[batch_of_one])
    # The converter finds weights through a trackable object, and Keras 3 hides those of a model from it.
    weights = tf.Module()
    weights.variables_of_model = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([infer.get_concrete_function()], weights)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = _batches_of_one(representatives)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    flatbuffer: bytes = converter.convert()
    return flatbuffer


def _batches_of_one(
    features: npt.NDArray[np.float32],
) -> Callable[[], Iterator[list[npt.NDArray[np.float32]]]]:
    """Return the generator function by which the converter asks for calibration inputs."""
    return lambda: ([values[None]] for values in features)
