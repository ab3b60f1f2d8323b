"""What firmware is linked for, and the files of `firmware/` that bring it up there."""

from __future__ import annotations

from enum import Enum

from tinygen.boards import Board
from tinygen.targets import WINDOWED, Architecture, Family
from tinygen.toolchain.find import Toolchain, find_toolchain


class Platform(Enum):
    """What the firmware is linked for."""

    BOARD = "board"  # the board's own addresses
    XTENSA_SIM = "xtensa-sim"  # QEMU's sim machine with an LX106: call0 ABI, simcalls
    XTENSA_WINDOWED_SIM = "xtensa-windowed-sim"  # the same machine with a core like the ESP32's: the chip's own objects
    HOST = "host"  # a native program under the sanitizers
    SELF_TEST = "self-test"  # the board's own addresses and console, vectors inside: emulators and the real board
    SELF_TEST_SIM = "self-test-sim"  # the same for XTENSA_WINDOWED_SIM and its console


WINDOWED_SIMS = frozenset({Platform.XTENSA_WINDOWED_SIM, Platform.SELF_TEST_SIM})


ENTRY: dict[Architecture, str] = {
    Architecture.ARM_M: "Reset_Handler",
    Architecture.RISCV32: "_start",
    Architecture.XTENSA: "_start",
}
"""The symbol that firmware begins at."""

_START: dict[Architecture, tuple[str, ...]] = {
    Architecture.ARM_M: ("start_arm_m.c",),
    Architecture.RISCV32: ("start_riscv.S",),
    Architecture.XTENSA: ("start_xtensa_windowed.S",),
}


def board_platform(board: Board, toolchain: Toolchain | None = None) -> Platform:
    """What a firmware that streams tensors is linked for; Xtensa's emulator has not the chip's memory map.

    Raises ToolError for an Xtensa board when no compiler is given and none is found.
    """
    if board.target.architecture is not Architecture.XTENSA:
        return Platform.BOARD
    family = (toolchain or find_toolchain(board.target)).family
    return Platform.XTENSA_WINDOWED_SIM if family in WINDOWED else Platform.XTENSA_SIM


def start_sources(board: Board, toolchain: Toolchain, platform: Platform) -> tuple[str, ...]:
    """Start-up, memcpy and arithmetic for a cross-compiled firmware: all that main() needs but a way to speak.

    They call `main`, and `tinygen_fault` (io.h) when the core faults. The sims' files define `tinygen_simcall`.
    """
    if platform is Platform.XTENSA_SIM:
        start: tuple[str, ...] = ("start_xtensa.S",)
    elif platform in WINDOWED_SIMS:
        start = ("start_xtensa_windowed.S", "sim_xtensa_windowed.S")
    else:
        start = _START[board.target.architecture]
    return (*start, "memory.c", "memories.c", *_RUNTIME.get(toolchain.family, ()))


# Compilers whose run-time library is missing, or lacks what that chip has in ROM.
_RUNTIME: dict[Family, tuple[str, ...]] = {
    Family.XTENSA_GCC: ("xtensa_arithmetic.c",),
    Family.XTENSA_LLVM: ("xtensa_arithmetic.c", "xtensa_llvm.c"),
}
