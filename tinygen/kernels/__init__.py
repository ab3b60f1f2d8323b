"""Kernels: the grammar of their names and the choice of one for each node."""

from tinygen.kernels.choose import Optimize, Schedule, select
from tinygen.kernels.names import KernelName

__all__ = ["KernelName", "Optimize", "Schedule", "select"]
