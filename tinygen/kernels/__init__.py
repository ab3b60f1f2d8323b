"""Kernels: the grammar of their names, which apply to a layer, and the choice of one for each."""

from tinygen.kernels.choose import Optimize, Schedule, flash_budget, named_bytes, select
from tinygen.kernels.names import KernelName, function_name
from tinygen.kernels.rows import applicable, kernels_for

__all__ = [
    "KernelName",
    "Optimize",
    "Schedule",
    "applicable",
    "flash_budget",
    "function_name",
    "kernels_for",
    "named_bytes",
    "select",
]
