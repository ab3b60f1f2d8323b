"""The Program: everything the C text needs, with addresses bound and constants packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygen.ir import Array, Graph, Kernel, Reference, Tensor
from tinygen.kernels import Schedule
from tinygen.plan import Block, Plan, Progress, View


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """An array in NAME_weights.c. `c_type` is the element's."""

    symbol: str
    c_type: str
    values: Array


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a parameter struct: its C type and name."""

    c_type: str
    name: str


@dataclass(frozen=True, slots=True)
class KernelInstance:
    """A kernel as one C function: its switches are set and its parameter struct is known."""

    function: str
    kernel: Kernel
    switches: Mapping[str, str]
    members: tuple[Member, ...]


Value = int | float | Constant


@dataclass(frozen=True, slots=True)
class Operand:
    """Where a kernel reads: a view of the arena, or a constant with the same geometry."""

    view: View
    constant: Constant | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One node, lowered. `instance` is None where the node is a view and computes nothing.

    `sums_rows` are the operand's rows where the kernel accumulates: the call with the last one makes the output.
    """

    index: int
    op_name: str
    title: str
    instance: KernelInstance | None
    values: tuple[Value, ...]
    sources: tuple[Operand, ...]
    sinks: tuple[View, ...]
    scratch_offset: int | None
    sums_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model. `integer` is the int8 or uint8 tensor behind a float edge, else `tensor`.

    The offsets of an input whose rows are pushed are None: it is nowhere in the arena.
    """

    tensor: Tensor
    integer: Tensor
    offset_bytes: int | None
    integer_offset_bytes: int | None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The input whose rows the caller gives one by one, to layer 0.

    rows            of the input
    row_bytes       of a row as the caller has it
    progress        what an inference keeps from one row to the next, `offset_bytes` where in the arena
    """

    rows: int
    row_bytes: int
    progress: Progress
    offset_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A model ready to be printed. The first `input_edges` layers quantise, the last `output_edges` dequantise.

    `blocks` are the plan's steps; none has an edge among other layers. With `pushed` rows, the first block takes them.
    """

    name: str
    reference: Reference
    graph: Graph
    schedule: Schedule
    plan: Plan
    layers: tuple[Layer, ...]
    instances: tuple[KernelInstance, ...]
    constants: tuple[Constant, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    input_edges: int
    output_edges: int
    blocks: tuple[Block, ...]
    pushed: Pushed | None = None

    def blocks_of_layers(self, begin: int, end: int) -> tuple[Block, ...]:
        """The blocks of layers begin..end-1, which are apart from the others."""
        return tuple(block for block in self.blocks if begin <= block.layers[0] < end)

    @property
    def weights_bytes(self) -> int:
        """Bytes of all constants, without padding between them."""
        return sum(constant.values.nbytes for constant in self.constants)

    @property
    def has_float_edges(self) -> bool:
        return self.input_edges + self.output_edges > 0
