"""Graph + Schedule → Plan: where every byte of the arena lies, and when.

A tensor lives from the step that writes it to the last step that reads it; graph inputs from before the first step,
graph outputs until after the last. Tensors whose bytes are the same (views) or that a kernel may overwrite while it
reads (in place) share one buffer. Buffers that live at the same time must not overlap; everything else may:

        step   0   1   2   3
      arena ┌───────┐
          0 │ input │   ┌───────┐
            └───────┘   │ c     │
            ┌───────────┐       │
            │ b         │───────┘
            └───────────┘

The largest sum of buffers alive at one step is a lower bound; packing tries orders of placement until it is reached.
"""

from tinygen.plan.arrange import arrange
from tinygen.plan.plan import plan
from tinygen.plan.values import Buffer, Plan, Step, View

__all__ = ["Buffer", "Plan", "Step", "View", "arrange", "plan"]
