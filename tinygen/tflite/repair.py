"""What the reference interpreters need of a model's bytes: a form they accept, and which tensors it computes."""

from __future__ import annotations

from tinygen.tflite.bounded import File, Table, Wire
from tinygen.tflite.root import MAX_TABLES, root_table
from tinygen.tflite.schema import ModelSlot, OperatorSlot, SubGraphSlot
from tinygen.tflite.tensors import misplaced_axis


def repaired(data: bytes) -> bytes:
    """A copy of a model in which every quantized_dimension that the reader reads as 0 is 0.

    The Python interpreters refuse such files otherwise. Raises ModelError when the file is malformed.
    """
    copy = bytearray(data)
    for subgraph in _subgraphs(data):
        for tensor in subgraph.tables(SubGraphSlot.TENSORS, MAX_TABLES, "tensor"):
            position = misplaced_axis(tensor)
            if position is not None:
                copy[position : position + Wire.INT32.size_bytes] = bytes(Wire.INT32.size_bytes)
    return bytes(copy)


def computed_tensors(data: bytes) -> tuple[int, ...]:
    """Indices of the first subgraph's inputs and of every tensor that its operators write, ascending.

    Raises ModelError when the file is malformed.
    """
    subgraph = _subgraphs(data)[0]
    indices = {*subgraph.integers(SubGraphSlot.INPUTS, Wire.INT32)}
    for operator in subgraph.tables(SubGraphSlot.OPERATORS, MAX_TABLES, "operator"):
        indices.update(operator.integers(OperatorSlot.OUTPUTS, Wire.INT32))
    return tuple(sorted(indices))


def _subgraphs(data: bytes) -> list[Table]:
    file = File("model", data)
    subgraphs = root_table(file).tables(ModelSlot.SUBGRAPHS, MAX_TABLES, "subgraph")
    if not subgraphs:
        raise file.fault("", "a model must have one subgraph. Found none.")
    return subgraphs
