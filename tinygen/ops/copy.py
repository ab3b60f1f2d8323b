"""copy_u8__c: the bytes of a tensor, in order, under another shape; where a view will not do."""

from __future__ import annotations

from dataclasses import dataclass

from tinygen.ir import Access, Int32, Kernel, Node, Params, Reference, Unit


@dataclass(frozen=True, slots=True)
class CopyParams(Params):
    input_row_bytes: Int32
    output_row_bytes: Int32


def params(node: Node, reference: Reference) -> CopyParams:
    """What copy_u8__c is given."""
    return CopyParams(node.input(0).row_bytes, node.output.row_bytes)


def covering_rows(node: Node, operand: int, begin: int, end: int) -> tuple[int, int]:
    """Rows of the input that hold the bytes of output rows begin..end-1."""
    from_bytes, to_bytes = begin * node.output.row_bytes, end * node.output.row_bytes
    row_bytes = node.input(operand).row_bytes
    return from_bytes // row_bytes, -(-to_bytes // row_bytes)


COPY = Kernel("copy_u8__c", access=Access(Unit.ROW, covering_rows), params=params)


def same_type(node: Node) -> str | None:
    """Input and output must have the same element type."""
    source, output = node.input(0).dtype, node.output.dtype
    return None if source is output else f"{source.value} to {output.value}"
