"""Constraints that several operators share; each docstring is the sentence the user reads."""

from __future__ import annotations

from tinygen.ir import Activation, Constraint, DType, FusedActivation, Node, Tensor


def types_of(tensors: tuple[Tensor | None, ...]) -> str:
    """The element types of some tensors, as a person reads them."""
    return ", ".join("none" if t is None else t.dtype.value for t in tensors)


def int8_data(node: Node) -> str | None:
    """Input and output must be int8."""
    if node.input(0).dtype is DType.INT8 and node.output.dtype is DType.INT8:
        return None
    return f"{types_of(node.inputs[:1])} to {types_of(node.outputs)}"


def per_tensor_data(node: Node) -> str | None:
    """Input and output must have one scale and one zero point."""
    for tensor in (node.input(0), node.output):
        if tensor.quant is None:
            return f"tensor {tensor.index} has no quantisation"
        if not tensor.quant.is_per_tensor:
            return f"tensor {tensor.index} has {len(tensor.quant.scales)} scales"
    return None


def rank_4(node: Node) -> str | None:
    """The input must have four dimensions: batch, height, width, channels."""
    return None if len(node.input(0).shape) == 4 else node.input(0).describe()


def constant_weights(node: Node) -> str | None:
    """Weights and bias must be constants."""
    for position, tensor in enumerate(node.inputs[1:], 1):
        if tensor is not None and not tensor.is_constant:
            return f"input {position} is computed at run time"
    return None


def int8_weights(node: Node) -> str | None:
    """Weights must be int8 with zero point 0 and one scale, or one for each output channel."""
    weights = node.input(1)
    if weights.dtype is not DType.INT8 or weights.quant is None:
        return weights.describe() + ("" if weights.quant else " without quantisation")
    nonzero = [z for z in weights.quant.zero_points if z]
    return f"zero point {nonzero[0]}" if nonzero else None


def int32_bias(node: Node) -> str | None:
    """A bias must be int32, one value for each output channel."""
    bias = node.optional(2)
    if bias is None:
        return None
    channels = node.output.shape[-1]
    if bias.dtype is DType.INT32 and bias.elements == channels:
        return None
    return f"{bias.describe()} for {channels} channels"


def clamping_activation(node: Node) -> str | None:
    """The fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1."""
    activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
    return activation.name if activation in (Activation.TANH, Activation.SIGN_BIT) else None


def int8_operands(node: Node) -> str | None:
    """All inputs and the output must be int8."""
    tensors = (*node.inputs, *node.outputs)
    if all(t is not None and t.dtype is DType.INT8 for t in tensors):
        return None
    return f"{types_of(node.inputs)} to {types_of(node.outputs)}"


def per_tensor_operands(node: Node) -> str | None:
    """All inputs and the output must have one scale and one zero point."""
    for tensor in (*node.inputs, *node.outputs):
        if tensor is None or tensor.quant is None or not tensor.quant.is_per_tensor:
            return "a tensor without quantisation" if tensor is None or tensor.quant is None else tensor.describe()
    return None


def clamp_fits_int32(node: Node) -> str | None:
    """The output scale must be at least 2^-24 where an activation has an upper bound."""
    activation: FusedActivation = node.op.fused_activation_function  # type: ignore[attr-defined]
    bounded = activation in (Activation.RELU6, Activation.RELU_N1_TO_1)
    return f"{activation.name} with scale {node.output.scale}" if bounded and node.output.scale < 2.0**-24 else None


INT8_CONVOLUTION: tuple[Constraint, ...] = (
    int8_data,
    per_tensor_data,
    constant_weights,
    int8_weights,
    int32_bias,
    clamping_activation,
    clamp_fits_int32,
)

INT8_BINARY: tuple[Constraint, ...] = (int8_operands, per_tensor_operands, clamping_activation, clamp_fits_int32)

LARGEST_SHIFT = 23
"""255 × 2^23 < 2^31: a difference of two 8-bit values can be shifted this far to the left."""


def scale_ratio(node: Node) -> str | None:
    """The input scale must be below 2^23 times the output scale."""
    ratio = node.input(0).scale / node.output.scale
    return None if ratio < 2.0**LARGEST_SHIFT * (1 - 2.0**-20) else f"{node.input(0).scale} and {node.output.scale}"


INT8_UNARY: tuple[Constraint, ...] = (int8_data, per_tensor_data)
