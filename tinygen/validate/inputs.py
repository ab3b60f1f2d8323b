"""The inputs of a validation: seeded random ones plus corners, or the user's own arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinygen.errors import UsageError
from tinygen.ir import Array, DType, Graph, Quant, Tensor
from tinygen.validate.archive import ArchiveError, read_arrays

Inference = tuple[Array, ...]
"""One array a model input, in its shape and dtype."""

CORNERS = 3
LARGEST_FLOAT = float(np.finfo(np.float32).max) / 2
"""Of random inputs: their range is computed in float64 and must stay one of float32."""


def random_inputs(graph: Graph, count: int, seed: int) -> tuple[Inference, ...]:
    """`count` random inferences, then the corners: all lowest, all highest, all zero point."""
    generator = np.random.default_rng(seed)
    drawn = [tuple(_random(tensor, graph, generator) for tensor in graph.inputs) for _ in range(count)]
    corners = [tuple(_constant(tensor, graph, corner) for tensor in graph.inputs) for corner in range(CORNERS)]
    return (*drawn, *corners)


def load_inputs(graph: Graph, path: Path) -> tuple[Inference, ...]:
    """Inferences from an .npz file: arrays named like the model's inputs, or one array an input in their order.

    Each array has the input's shape, or one more leading dimension that counts inferences. Raises UsageError when a
    name, shape, dtype or count does not fit.
    """
    try:
        arrays = read_arrays(path)
    except ArchiveError as error:
        raise UsageError(f"{path}: cannot be read as an .npz file: {error}.") from error
    names = [tensor.name for tensor in graph.inputs]
    if len(set(names)) == len(names) and set(arrays) == set(names):
        chosen = [arrays[name] for name in names]
    elif len(arrays) != len(names):
        raise UsageError(
            f"{path}: holds {len(arrays)} arrays ({', '.join(arrays)}), the model has {len(names)} inputs "
            f"({', '.join(names)}). Give one array an input, under its name or in this order."
        )
    elif set(arrays) & set(names):
        strangers = sorted(set(arrays) - set(names))
        raise UsageError(f"{path}: the model has no input named {strangers[0]!r}. Its inputs: {', '.join(names)}.")
    else:
        chosen = list(arrays.values())
    batches = [_batch(tensor, array, path) for tensor, array in zip(graph.inputs, chosen, strict=True)]
    counts = {len(batch) for batch in batches}
    if len(counts) != 1:
        raise UsageError(f"{path}: the arrays hold different numbers of inferences: {sorted(counts)}.")
    if counts == {0}:
        raise UsageError(f"{path}: the arrays hold no inference.")
    return tuple(tuple(arrays) for arrays in zip(*batches, strict=True))


def as_bytes(inferences: Sequence[Inference]) -> tuple[tuple[bytes, ...], ...]:
    """Each array as the little-endian bytes that the firmware copies into its arena."""
    return tuple(
        tuple(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays) for arrays in inferences
    )


def _batch(tensor: Tensor, array: Array, path: Path) -> Array:
    if array.dtype != tensor.dtype.numpy:
        raise UsageError(f"{path}: input {tensor.name!r} is {tensor.dtype.value}, the array is {array.dtype}.")
    if array.shape == tensor.shape:
        return array[np.newaxis]
    if array.shape[1:] == tensor.shape:
        return array
    raise UsageError(
        f"{path}: input {tensor.name!r} has shape {tensor.shape}, the array {array.shape}. "
        "Give that shape, or one more leading dimension that counts inferences."
    )


def _integer_quant(tensor: Tensor, graph: Graph) -> tuple[DType, Quant] | None:
    """Type and quantisation behind a float input: those of the QUANTIZE that reads it, or of the rows it makes."""
    for node in graph.nodes:
        if node.op.name in ("QUANTIZE", "INPUT_ROWS") and node.input(0).index == tensor.index:
            output = node.output
            return (output.dtype, output.quant) if output.quant is not None else None
    return None


def _range(tensor: Tensor, graph: Graph) -> tuple[float, float, float]:
    """Lowest, highest and neutral value of an input; for float inputs a little more than int8 can express."""
    if tensor.dtype is not DType.FLOAT32:
        info = np.iinfo(tensor.dtype.numpy)
        neutral = tensor.zero_point if tensor.quant is not None and tensor.quant.is_per_tensor else 0
        return float(info.min), float(info.max), float(neutral)
    found = _integer_quant(tensor, graph)
    if found is None:
        return -1.0, 1.0, 0.0
    dtype, quant = found
    info = np.iinfo(dtype.numpy)
    low, high = (info.min - 1 - quant.zero_point) * quant.scale, (info.max + 1 - quant.zero_point) * quant.scale
    return max(low, -LARGEST_FLOAT), min(high, LARGEST_FLOAT), 0.0


def _random(tensor: Tensor, graph: Graph, generator: np.random.Generator) -> Array:
    low, high, _ = _range(tensor, graph)
    if tensor.dtype is DType.FLOAT32:
        return generator.uniform(low, high, tensor.shape).astype(np.float32)
    return generator.integers(int(low), int(high), tensor.shape, tensor.dtype.numpy, endpoint=True)


def _constant(tensor: Tensor, graph: Graph, corner: int) -> Array:
    return np.full(tensor.shape, _range(tensor, graph)[corner], tensor.dtype.numpy)
