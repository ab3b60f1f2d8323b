"""The memory map of a program: the arena over time, and what each buffer holds."""

from __future__ import annotations

from collections.abc import Sequence

from tinygen.emit.names import comment_text
from tinygen.ir import Tensor
from tinygen.plan import Plan
from tinygen.plan.picture import memory_picture
from tinygen.program import Program

LONGEST_NAME = 40


def memory_map(program: Program) -> str:
    """The picture and its legend; of a ring it says how many of its tensor's rows are there at a time."""
    return memory_picture(program.plan, {t.index: _label(t, program.plan) for t in program.graph.tensors()})


def memory_file(programs: Sequence[Program]) -> str:
    """The maps of all models of a project, as the text of one file."""
    return "\n\n".join(f"{program.name}\n\n{memory_map(program)}" for program in programs) + "\n"


def _label(tensor: Tensor, plan: Plan) -> str:
    """A converter joins the names of all operators that it fused; the first one says enough."""
    name = tensor.name.split(";")[0]
    shown = comment_text(name if len(name) <= LONGEST_NAME else f"...{name[3 - LONGEST_NAME :]}")
    view = plan.views.get(tensor.index)
    ring = f", {view.ring_rows} of {tensor.rows} rows" if view and view.ring_rows < tensor.rows else ""
    return f"{tensor.describe()}{ring} {shown}".rstrip()
