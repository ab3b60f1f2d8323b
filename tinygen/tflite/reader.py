"""Reads a .tflite file into a Graph, or says in one ModelError what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinygen.errors import UsageError
from tinygen.ir import Graph, Node
from tinygen.ops import OPS
from tinygen.tflite.bounded import File, Table, Wire
from tinygen.tflite.checks import Problems, supported_node
from tinygen.tflite.operators import RawOperator, check_order, read_operators
from tinygen.tflite.root import MAX_FILE_BYTES, MAX_TABLES, root_table
from tinygen.tflite.schema import ModelSlot, SubGraphSlot
from tinygen.tflite.tensors import Tensors, UnsupportedTensor

Source = str | os.PathLike[str] | bytes


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """A model and the file it was read from.

    `notes` are oddities that were tolerated, a sentence each; `label` is what errors call the file.
    """

    graph: Graph
    notes: tuple[str, ...]
    data: bytes
    sha256: str
    label: str


def read(source: Source, *, name: str | None = None) -> ModelFile:
    """The model in `source`, a path or the file's bytes. `name` replaces the file's stem as the graph's name.

    Constants of the graph share memory with `data`. Raises UsageError when the file cannot be read and ModelError
    when it is malformed or holds what tinygen cannot compute; the latter lists everything at once.
    """
    label, stem, data = _load(source)
    file = File(label if name is None or not isinstance(source, bytes) else name, data)
    root = root_table(file)
    subgraph, tensors = _subgraph(file, root)
    operators = _operators(file, root, subgraph, len(tensors))
    inputs = _boundary(file, subgraph, SubGraphSlot.INPUTS, "input", len(tensors))
    outputs = _boundary(file, subgraph, SubGraphSlot.OUTPUTS, "output", len(tensors))
    _check_inputs(file, inputs, tensors)
    check_order(file, operators, tensors, inputs, outputs)

    ops = {op.name: op for op in OPS}
    problems = Problems()
    nodes: list[Node] = []
    for raw in operators:
        node = supported_node(raw, ops, tensors, problems)
        if node is not None:
            nodes.append(node)
            if raw.version > node.op.version:
                tensors.notes.append(
                    f"{raw.describe()}: version {raw.version} is newer than {node.op.version}, the newest that "
                    "tinygen knows; it sets no unknown attribute."
                )
    for index in (*inputs, *outputs):
        try:
            tensors.get(index)
        except UnsupportedTensor as unsupported:
            problems.add(str(unsupported))
    problems.raise_if_any(file)
    graph = Graph(
        name=stem if name is None else name,
        nodes=tuple(nodes),
        inputs=tuple(tensors.get(index) for index in inputs),
        outputs=tuple(tensors.get(index) for index in outputs),
    )
    return ModelFile(graph, tuple(tensors.notes), data, hashlib.sha256(data).hexdigest(), file.label)


def read_model(source: Source, *, name: str | None = None) -> Graph:
    """The graph in `source`; see `read`."""
    return read(source, name=name).graph


def _load(source: Source) -> tuple[str, str, bytes]:
    """What errors call the file, its stem, its bytes."""
    if isinstance(source, bytes):
        return "model", "model", source
    path = Path(source)
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: this is not a file. Give the path of a .tflite file.")
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(f"{path}: there is no such file. Give the path of a .tflite file.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{str(path)!r}: the file cannot be read: {reason}.") from error
    return str(path), path.stem, data


def _subgraph(file: File, root: Table) -> tuple[Table, Tensors]:
    """The only subgraph and its tensors."""
    subgraphs = root.tables(ModelSlot.SUBGRAPHS, MAX_TABLES, "subgraph")
    if len(subgraphs) != 1:
        raise file.fault(
            "",
            f"a model must have one subgraph. Found {len(subgraphs)}: control flow (IF, WHILE) and state "
            "(CALL_ONCE, VAR_HANDLE) are not supported. Make the state an input and an output of the model.",
        )
    buffers = root.tables(ModelSlot.BUFFERS, MAX_TABLES, "buffer")
    return subgraphs[0], Tensors(file, subgraphs[0].tables(SubGraphSlot.TENSORS, MAX_TABLES, "tensor"), buffers)


def _operators(file: File, root: Table, subgraph: Table, tensors: int) -> list[RawOperator]:
    tables = subgraph.tables(SubGraphSlot.OPERATORS, MAX_TABLES, "operator")
    if not tables:
        raise file.fault("", "the model has no operators: there is nothing to compute.")
    codes = root.tables(ModelSlot.OPERATOR_CODES, MAX_TABLES, "operator code")
    return read_operators(file, tables, codes, tensors)


def _boundary(file: File, subgraph: Table, slot: SubGraphSlot, role: str, tensors: int) -> tuple[int, ...]:
    """The tensor indices of the model's inputs or outputs."""
    indices = subgraph.integers(slot, Wire.INT32)
    if not indices:
        raise file.fault("", f"the model has no {role}s.")
    for position, index in enumerate(indices):
        if not 0 <= index < tensors:
            raise file.fault(f"{role} {position}", f"it is tensor {index}, but the file has {tensors} tensors.")
    return indices


def _check_inputs(file: File, inputs: Sequence[int], tensors: Tensors) -> None:
    seen: set[int] = set()
    for position, index in enumerate(inputs):
        if index in seen:
            raise file.fault(f"input {position}", f"{tensors.describe(index)} is already another input.")
        if tensors.is_constant(index):
            raise file.fault(f"input {position}", f"{tensors.describe(index)} is a constant. The file is damaged.")
        seen.add(index)
