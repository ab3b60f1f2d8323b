"""One row an operator: how to draw a random node of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.ops.cases import activations, convolutions, elementwise, pooling, quantise, shape
from tests.support.models import ModelBuilder
from tinygen.ir import Reference

LITERT, TFLM = Reference.LITERT, Reference.TFLM


@dataclass(frozen=True)
class Case:
    """An operator's row: `add` puts one random node with its own inputs and outputs into a model.

    `references` are the interpreters that have the operator in this form; `count` nodes make a model.
    """

    name: str
    add: Callable[[ModelBuilder, np.random.Generator], None]
    references: tuple[Reference, ...] = (LITERT, TFLM)
    count: int = 200


CASES: tuple[Case, ...] = (
    Case("conv_2d", convolutions.conv_2d),
    Case("conv_2d_pointwise", convolutions.conv_2d_pointwise),
    Case("conv_2d_without_bias", convolutions.conv_2d_without_bias, references=(TFLM,), count=40),
    Case("depthwise_conv_2d", convolutions.depthwise_conv_2d),
    Case("fully_connected", convolutions.fully_connected),
    Case("average_pool_2d", pooling.average_pool_2d),
    Case("average_pool_2d_large", pooling.average_pool_2d_large, count=40),
    Case("max_pool_2d", pooling.max_pool_2d),
    Case("mean", pooling.mean),
    Case("mean_spatial", pooling.mean_spatial),
    Case("softmax", activations.softmax),
    Case("add", elementwise.add),
    Case("sub", elementwise.sub),
    Case("mul", elementwise.mul),
    Case("relu", activations.relu),
    Case("relu6", activations.relu6),
    Case("relu_n1_to_1", activations.relu_n1_to_1, references=(LITERT,)),
    Case("leaky_relu", activations.leaky_relu),
    Case("hard_swish", activations.hard_swish),
    Case("logistic", activations.logistic),
    Case("tanh", activations.tanh),
    Case("quantize_float", quantise.quantize_float),
    Case("quantize_float_uint8", quantise.quantize_float_uint8, references=(LITERT,)),
    Case("requantize", quantise.requantize),
    Case("dequantize", quantise.dequantize),
    Case("pad", shape.pad),
    Case("pad_int64", shape.pad_int64, references=(LITERT,)),
    Case("padv2", shape.padv2),
    Case("concatenation", shape.concatenation),
    Case("reshape", shape.reshape),
    Case("squeeze", shape.squeeze),
    Case("expand_dims", shape.expand_dims),
)
