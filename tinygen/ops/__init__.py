"""The operators: one file each, listed here so that a search finds every one."""

from tinygen.ir import Op
from tinygen.ops.add import Add
from tinygen.ops.concatenation import Concatenation
from tinygen.ops.conv2d import Conv2D
from tinygen.ops.depthwise_conv2d import DepthwiseConv2D
from tinygen.ops.dequantize import Dequantize
from tinygen.ops.expand_depthwise import ExpandDepthwise
from tinygen.ops.expand_dims import ExpandDims
from tinygen.ops.fully_connected import FullyConnected
from tinygen.ops.hard_swish import HardSwish
from tinygen.ops.leaky_relu import LeakyRelu
from tinygen.ops.logistic import Logistic
from tinygen.ops.mean import Mean
from tinygen.ops.mul import Mul
from tinygen.ops.pad import Pad, PadV2
from tinygen.ops.pool2d import AveragePool2D, MaxPool2D
from tinygen.ops.quantize import Quantize
from tinygen.ops.relu import Relu, Relu6, ReluN1To1
from tinygen.ops.reshape import Reshape
from tinygen.ops.softmax import Softmax
from tinygen.ops.squeeze import Squeeze
from tinygen.ops.sub import Sub
from tinygen.ops.tanh import Tanh

OPS: tuple[type[Op], ...] = (
    Add,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    Dequantize,
    ExpandDims,
    FullyConnected,
    HardSwish,
    LeakyRelu,
    Logistic,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    PadV2,
    Quantize,
    Relu,
    Relu6,
    ReluN1To1,
    Reshape,
    Softmax,
    Squeeze,
    Sub,
    Tanh,
)

MADE_BY_PASSES: tuple[type[Op], ...] = (ExpandDepthwise,)
"""Operators that no file has."""
