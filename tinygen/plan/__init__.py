"""Graph + Schedule → Plan: where every byte of the arena lies, and when.

A byte lives from the unit of a kernel call that writes it to the last unit that reads it; graph inputs from before the
first step, graph outputs until after the last. Bytes that live at the same time must not share an address; everything
else may, so an output starts inside its dying input, as far as the kernel's order of access allows:

        step   0      1      2
      arena ┌──────┬──────┐
          0 │ in   │ b    │
            │      │╱‾‾‾‾╱│
            │     ╱│ a  ╱ │
            │____╱ │___╱  │
            │ a    │      │
            └──────┴──────┘

The most bytes that live at one time is a lower bound; packing tries orders of placement until it is reached.
"""

from tinygen.plan.arrange import arrange, plan
from tinygen.plan.blocks import Block, blocks_of
from tinygen.plan.order import arrange_in_best_order
from tinygen.plan.progress import Progress
from tinygen.plan.recompute import recompute
from tinygen.plan.values import Buffer, Plan, Step, View

__all__ = [
    "Block",
    "Buffer",
    "Plan",
    "Progress",
    "Step",
    "View",
    "arrange",
    "arrange_in_best_order",
    "blocks_of",
    "plan",
    "recompute",
]
