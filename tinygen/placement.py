"""Which memory of a board takes the arena, and which constants a memory of the user's choice takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinygen.boards import Board, Memory, MemoryKind
from tinygen.errors import UsageError
from tinygen.program import Constant, Program

_PLACES = (MemoryKind.RAM, MemoryKind.FLASH)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a program's bytes lie. None: where the compiler puts them, the board's first RAM and first flash.

    `constants` are the symbols of those in `weights`, `constant_bytes` their size.
    """

    arena: Memory | None = None
    weights: Memory | None = None
    constants: frozenset[str] = frozenset()
    constant_bytes: int = 0

    @property
    def arena_section(self) -> str | None:
        """The section of the arena, which an ordinary linker script takes for .bss."""
        return None if self.arena is None else f".bss.tinygen.{self.arena.name}"

    @property
    def weights_section(self) -> str | None:
        """The section of chosen constants: in RAM they are data that start-up copies, like .data."""
        if self.weights is None:
            return None
        kind = ".data" if self.weights.kind is MemoryKind.RAM else ".rodata"
        return f"{kind}.tinygen.{self.weights.name}"


NOWHERE = Placement()


def place(program: Program, board: Board, arena_memory: str | None, weights_memory: str | None) -> Placement:
    """Find the memories by name, and fill that of the weights with the constants that are read most often.

    They get what stack and arena leave of it. Raises UsageError for a memory that the board has not, or of no use here.
    """
    arena = None if arena_memory is None else _memory(board, arena_memory, "--arena-memory", (MemoryKind.RAM,))
    weights = None if weights_memory is None else _memory(board, weights_memory, "--weights-memory", _PLACES)
    if weights is None:
        return Placement(arena)
    room = weights.size_bytes
    room -= program.plan.arena_bytes if (arena or board.ram) is weights else 0
    room -= board.stack_bytes if board.ram is weights else 0
    chosen = []
    for constant in _by_heat(program):
        size = -(-constant.values.nbytes // 4) * 4  # each begins at a word
        if size <= room:
            chosen.append(constant)
            room -= size
    return Placement(
        arena, weights, frozenset(c.symbol for c in chosen), sum(constant.values.nbytes for constant in chosen)
    )


def _memory(board: Board, name: str, option: str, kinds: tuple[MemoryKind, ...]) -> Memory:
    able = {memory.name: memory for memory in board.memories if memory.kind in kinds}
    if name not in able:
        raise UsageError(
            f"{option} {name}: board {board.name} has no such memory for it. It has {', '.join(sorted(able))}; "
            f"`tinygen boards {board.name}` shows their sizes."
        )
    return able[name]


def _by_heat(program: Program) -> list[Constant]:
    """The constants, those first whose bytes are read most often in an inference: once a pixel of their layer."""
    reads: dict[str, int] = {}
    for layer in program.layers:
        used = [value for value in layer.values if isinstance(value, Constant)]
        used += [source.constant for source in layer.sources if source.constant is not None]
        shape = program.graph.nodes[layer.index].outputs[0].shape
        for symbol in {constant.symbol for constant in used}:
            reads[symbol] = reads.get(symbol, 0) + math.prod(shape[:-1])
    return sorted(program.constants, key=lambda constant: (-reads.get(constant.symbol, 0), constant.values.nbytes))
