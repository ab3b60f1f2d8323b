"""The ledger: what every byte of RAM and flash is for, so that the parts add up to the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygen.program import Program

_UNUSED, _SCRATCH, _ACTIVATIONS, _STATE = range(4)


@dataclass(frozen=True, slots=True)
class Ledger:
    """The arena by what its bytes hold at some time, and the constants in flash. All in bytes.

    state          of variables that outlive an inference, and of what is kept between two pushed rows
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


@dataclass(frozen=True, slots=True)
class CodeSize:
    """What a compiler makes of a model's C; flash is code and weights, the compiler's run-time support not counted.

    stack_bytes       worst case of NAME_run, or of NAME_push_row and its like, and all it calls; None: the calls cannot
                      all be known
    writable_bytes    .data and .bss, which generated C promises not to have
    deepest_calls     the functions that take so much of the stack, the caller first
    compiler          name and version of who says so
    """

    code_bytes: int
    weights_bytes: int
    stack_bytes: int | None
    writable_bytes: int = 0
    deepest_calls: tuple[str, ...] = ()
    compiler: str = ""


def ledger(program: Program) -> Ledger:
    """Count the bytes of a program's arena by address."""
    plan, state = program.plan, {tensor.index for tensor in program.graph.variables}
    held = []
    for layer in program.layers:
        if layer.scratch_offset is not None and layer.instance is not None:
            size = layer.instance.kernel.scratch_bytes(program.graph.nodes[layer.index])
            held.append((_SCRATCH, layer.scratch_offset, layer.scratch_offset + size))
    for index, view in plan.views.items():
        kind = _STATE if index in state else _ACTIVATIONS
        held.append((kind, view.offset_bytes, view.offset_bytes + view.size_bytes))
    if program.pushed is not None:
        begin = program.pushed.offset_bytes
        held.append((_STATE, begin, begin + program.pushed.progress.size_bytes))
    # Between two borders all bytes are alike, however large the arena is.
    borders = np.unique([0, plan.arena_bytes, *(begin for _, begin, _ in held), *(end for _, _, end in held)])
    use = np.zeros(len(borders) - 1, np.int64)
    for kind, begin, end in sorted(held):  # what weighs more comes later
        use[np.searchsorted(borders, begin) : np.searchsorted(borders, end)] = kind
    counts = np.bincount(use, weights=np.diff(borders), minlength=4)
    return Ledger(
        arena_bytes=plan.arena_bytes,
        state_bytes=int(counts[_STATE]),
        activation_bytes=int(counts[_ACTIVATIONS]),
        scratch_bytes=int(counts[_SCRATCH]),
        unused_bytes=int(counts[_UNUSED]),
        constant_bytes=program.weights_bytes,
    )
