"""The frozen values that the pipeline's arrows pass: tensors, operators, kernels, graphs."""

from tinygen.ir.changes import Fusion, Reduction
from tinygen.ir.graph import Graph, Node
from tinygen.ir.kernel import (
    Access,
    Cost,
    CType,
    Direction,
    Float,
    Int8Array,
    Int32,
    Int32Array,
    Kernel,
    Params,
    Unit,
)
from tinygen.ir.op import Activation, Clamp, Constraint, FusedActivation, Op, Padding
from tinygen.ir.reference import Reference, Rounding
from tinygen.ir.tensor import Array, DType, Quant, Shape, Tensor

__all__ = [
    "Access",
    "Activation",
    "Array",
    "CType",
    "Clamp",
    "Constraint",
    "Cost",
    "DType",
    "Direction",
    "Float",
    "FusedActivation",
    "Fusion",
    "Graph",
    "Int8Array",
    "Int32",
    "Int32Array",
    "Kernel",
    "Node",
    "Op",
    "Padding",
    "Params",
    "Quant",
    "Reduction",
    "Reference",
    "Rounding",
    "Shape",
    "Tensor",
    "Unit",
]
