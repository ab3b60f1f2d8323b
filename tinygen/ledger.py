"""The ledger: what every byte of RAM and flash is for, so that the parts add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygen.program import Program

_UNUSED, _SCRATCH, _ACTIVATIONS, _STATE = range(4)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The arena by what its bytes hold at some time, and the constants in flash. All in bytes.

    state          of variables that outlive an inference
    activations    of tensors, inputs and outputs among them, and perhaps of scratch at another time
    scratch        of kernels' working memory and of nothing else: what the arena would be smaller without it
    unused         between them, for the alignment of words
    """

    arena_bytes: int
    state_bytes: int
    activation_bytes: int
    scratch_bytes: int
    unused_bytes: int
    constant_bytes: int


def ledger(program: Program) -> Ledger:
    """Count the bytes of a program's arena by address."""
    plan, state = program.plan, {tensor.index for tensor in program.graph.variables}
    use = np.zeros(plan.arena_bytes, np.uint8)
    for layer in program.layers:
        if layer.scratch_offset is not None and layer.instance is not None:
            size = layer.instance.kernel.scratch_bytes(program.graph.nodes[layer.index])
            use[layer.scratch_offset : layer.scratch_offset + size] = _SCRATCH
    for kind, held in ((_ACTIVATIONS, plan.views.keys() - state), (_STATE, plan.views.keys() & state)):
        for index in held:
            view = plan.views[index]
            use[view.offset_bytes : view.offset_bytes + view.size_bytes] = kind
    counts = np.bincount(use, minlength=4)
    return Ledger(
        arena_bytes=plan.arena_bytes,
        state_bytes=int(counts[_STATE]),
        activation_bytes=int(counts[_ACTIVATIONS]),
        scratch_bytes=int(counts[_SCRATCH]),
        unused_bytes=int(counts[_UNUSED]),
        constant_bytes=program.weights_bytes,
    )
