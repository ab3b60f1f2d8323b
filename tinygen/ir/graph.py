"""Nodes and the graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tinygen.ir.changes import Fusion, Reduction
from tinygen.ir.op import Op
from tinygen.ir.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One use of an operator. `index` is its operator index in the model file; None is an omitted optional input."""

    op: Op
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    index: int

    def input(self, position: int) -> Tensor:
        """The input at `position`, which must be present."""
        tensor = self.inputs[position]
        assert tensor is not None, f"{self.describe()} has no input {position}"
        return tensor

    def optional(self, position: int) -> Tensor | None:
        """The input at `position`, or None where it is omitted or the list is shorter."""
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def output(self) -> Tensor:
        """The only output."""
        (tensor,) = self.outputs
        return tensor

    def describe(self) -> str:
        """`operator 3 (CONV_2D)`, as errors name a node."""
        return f"operator {self.index} ({self.op.name})"


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A model: nodes in execution order.

    variables   the state that outlives an inference
    reductions  tensors of which a pass left channels out, by index
    fusions     tensors that passes left out, with an operator each
    pushed      the input whose rows the caller gives one by one, so that the arena never holds it; None: none
    """

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    variables: tuple[Tensor, ...] = ()
    reductions: Mapping[int, Reduction] = field(default_factory=dict)
    fusions: tuple[Fusion, ...] = ()
    pushed: Tensor | None = None

    @property
    def held_inputs(self) -> tuple[Tensor, ...]:
        """The inputs that lie in the arena when an inference begins."""
        return tuple(tensor for tensor in self.inputs if tensor is not self.pushed)

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor once: inputs, then in order of first use."""
        seen: set[int] = set()
        candidates = [*self.inputs, *self.variables]
        for node in self.nodes:
            candidates += [t for t in node.inputs if t is not None]
            candidates += node.outputs
        for tensor in [*candidates, *self.outputs]:
            if tensor.index not in seen:
                seen.add(tensor.index)
                yield tensor

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(node.op.macs(node) for node in self.nodes)
