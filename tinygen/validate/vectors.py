"""Test vectors that firmware carries inside: inputs, the CRC-32 of every tensor made of them, and of every constant."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinygen.compile import Compiled
from tinygen.emit.environment import environment
from tinygen.errors import DoesNotFitError, UsageError
from tinygen.ir import Array, Graph
from tinygen.program import Constant, Program
from tinygen.validate.compare import with_rows
from tinygen.validate.evaluate import evaluate
from tinygen.validate.inputs import Inference, as_bytes, random_inputs
from tinygen.version import VERSION

MOST_INFERENCES = 1000
MOST_REFERENCE_BYTES = 4 << 30
"""Of this machine's memory, for one inference of the numpy reference: far above what models of this kind need."""
WORKING_BYTES = 40
"""The reference's intermediate values of a layer, for each of its inputs and outputs: a handful of int64."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """`inputs[i]` are the bytes of model input i, one array an inference; `expected` the CRCs of every layer's outputs.

    `expected` has one tuple an inference: the tensors in the order of layers, then of each layer's outputs.
    """

    inputs: tuple[tuple[Bytes, ...], ...]
    expected: tuple[tuple[int, ...], ...]

    @property
    def inferences(self) -> int:
        return len(self.expected)


@dataclass(frozen=True, slots=True)
class CheckedConstant:
    """NAME_layer_`layer`_`array` of NAME_weights.c, as the self-test checks it; `layer` is its first reader."""

    symbol: str
    c_type: str
    elements: int
    size_bytes: int
    crc: int
    layer: int
    array: str


def checked_constants(program: Program) -> tuple[CheckedConstant, ...]:
    """Every array of the program once, in the order of NAME_weights.c; equal arrays of several layers are one."""
    first_users: dict[str, int] = {}
    for layer in program.layers:
        operands = [operand.constant for operand in layer.sources]
        for value in (*layer.values, *operands):
            if isinstance(value, Constant):
                first_users.setdefault(value.symbol, layer.index)
    return tuple(
        CheckedConstant(
            symbol=constant.symbol,
            c_type=constant.c_type,
            elements=constant.values.size,
            size_bytes=constant.values.nbytes,
            crc=zlib.crc32(_little_endian(constant.values)),
            layer=first_users[constant.symbol],
            array=constant.symbol.removeprefix(f"{program.name}_layer_{first_users[constant.symbol]}_"),
        )
        for constant in program.constants
    )


def check_count(count: int) -> None:
    """Raise UsageError for a number of inputs that a self-test cannot embed."""
    if not 1 <= count <= MOST_INFERENCES:
        raise UsageError(f"--self-test {count}: between 1 and {MOST_INFERENCES} inputs can be embedded.")


def make_vectors(compiled: Compiled, count: int, seed: int = 0) -> Vectors:
    """`count` random inputs and what the numpy reference makes of them; no interpreter is needed.

    It runs the model as the file has it, so that the vectors say nothing of what passes made of it. The numpy reference
    of every operator is held against the interpreters by the project's own tests.
    """
    check_count(count)
    graph, reference = compiled.model.graph, compiled.options.reference
    needs = reference_bytes(graph)
    if needs > MOST_REFERENCE_BYTES:
        raise DoesNotFitError(_too_large(compiled, needs))
    try:
        inferences = random_inputs(compiled.program.graph, count, seed)[:count]
        return vectors_of(compiled, inferences, (evaluate(graph, arrays, reference) for arrays in inferences))
    except MemoryError as error:
        raise DoesNotFitError(_too_large(compiled, needs)) from error


def reference_bytes(graph: Graph) -> int:
    """About what one inference of the numpy reference needs: every tensor once, and the work on the largest layer."""
    layers = [[t for t in (*node.inputs, *node.outputs) if t is not None] for node in graph.nodes]
    work = max((WORKING_BYTES * sum(t.elements for t in tensors) for tensors in layers), default=0)
    made = [tensor for node in graph.nodes for tensor in node.outputs]
    return work + sum(tensor.size_bytes for tensor in (*graph.inputs, *made))


def _too_large(compiled: Compiled, needs: int) -> str:
    return (
        f"{compiled.model.label}: for the self-test's checksums, one inference of the Python reference needs about "
        f"{needs:,} bytes of this machine's memory, more than it has or than the {MOST_REFERENCE_BYTES:,} allowed. "
        "Models for microcontrollers are smaller: are the input's dimensions right?"
    )


def vectors_of(compiled: Compiled, inferences: Sequence[Inference], expected: Iterable[Mapping[int, Array]]) -> Vectors:
    """The vectors of given inputs, and of what a reference made of them: tensor index → value, one mapping an input.

    Values are the model's, with every channel; of those that a pass left out the self-test knows nothing.
    """
    graph = compiled.program.graph
    made = [tensor.index for node in graph.nodes for tensor in node.outputs]
    known = (with_rows(graph, *pair) for pair in zip(inferences, expected, strict=True))
    crcs = tuple(tuple(zlib.crc32(_shown(graph, index, values[index])) for index in made) for values in known)
    raw = as_bytes(inferences)
    inputs = tuple(tuple(np.frombuffer(data[i], np.uint8) for data in raw) for i in range(len(graph.inputs)))
    return Vectors(inputs, crcs)


def _shown(graph: Graph, index: int, values: Array) -> bytes:
    """What the firmware shows of a tensor."""
    reduction = graph.reductions.get(index)
    if reduction is not None:
        values = reduction.of(values)
    return _little_endian(values)


def _little_endian(values: Array) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def selftest_sources(compiled: Compiled, vectors: Vectors) -> dict[str, str]:
    """NAME_selftest.h and NAME_selftest.c, by file name: portable C that any project can call."""
    name, nodes = compiled.program.name, compiled.program.graph.nodes
    counts = [len(node.outputs) for node in nodes]
    values = {
        "name": name,
        "macro": name.upper(),
        "version": VERSION,
        "identity": compiled.identity,
        "vectors": vectors,
        "pushed": compiled.program.pushed is not None,
        "constants": checked_constants(compiled.program),
        "layers": [node.op.name for node in nodes],
        "first_tensors": [sum(counts[:layer]) for layer in range(len(nodes))],
    }
    return {
        f"{name}_selftest{suffix}": environment().get_template(f"selftest/selftest{suffix}.j2").render(values)
        for suffix in (".h", ".c")
    }
