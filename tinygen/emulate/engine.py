"""Unicorn engines: the right core for a board, its memories, its registers' numbers."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from tinygen.boards import Board, MemoryKind
from tinygen.emulate.symbols import Image
from tinygen.errors import EmulatorError
from tinygen.targets import Architecture

PAGE_BYTES = 4096
SYSTEM_CONTROL = 0xE000_E000  # one page of registers that Cortex-M start-up writes
BKPT_SEMIHOSTING = b"\xab\xbe"


@dataclass(frozen=True, slots=True)
class Core:
    """An engine and what differs between its architectures."""

    engine: Any
    registers: dict[str, int]  # pc, sp, link, and a0 to a4: where calls have their arguments
    arm: bool

    def read(self, register: str) -> int:
        return int(self.engine.reg_read(self.registers[register]))

    def trapped_pc(self) -> int:
        """Where an exception comes from, for the hook of exceptions: on RISC-V, Unicorn is 4 bytes on by then."""
        return self.read("pc") - (0 if self.arm else 4)

    def write(self, register: str, value: int) -> None:
        self.engine.reg_write(self.registers[register], value)


def unicorn_module(name: str = "") -> Any:
    """Unicorn or one of its parts; imported late, because it is optional, and untyped."""
    return importlib.import_module(f"unicorn.{name}" if name else "unicorn")


def make_core(board: Board) -> Core:
    """An engine of the board's core, with nothing mapped."""
    unicorn = unicorn_module()
    arm = board.target.architecture is Architecture.ARM_M
    constants = unicorn_module("arm_const" if arm else "riscv_const")
    if arm:
        # Not UC_MODE_MCLASS: it makes every core an M33, and an M0 would run DSP and FPU code.
        engine = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        engine.ctl_set_cpu_model(getattr(constants, f"UC_CPU_ARM_{board.target.unicorn_cpu}"))
        names = {"pc": "PC", "sp": "SP", "link": "LR", "a0": "R0", "a1": "R1", "a2": "R2", "a3": "R3"}
        prefix = "UC_ARM_REG_"
    else:
        engine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        names = {"pc": "PC", "sp": "SP", "link": "RA", **{f"a{i}": f"A{i}" for i in range(5)}}
        prefix = "UC_RISCV_REG_"
    return Core(engine, {key: getattr(constants, prefix + name) for key, name in names.items()}, arm)


def map_memories(core: Core, board: Board, image: Image) -> None:
    """The board's memories with their rights, the registers that Arm start-up writes, and the firmware."""
    unicorn = unicorn_module()
    read, write, execute = unicorn.UC_PROT_READ, unicorn.UC_PROT_WRITE, unicorn.UC_PROT_EXEC
    rights = {
        MemoryKind.FLASH: read | execute,
        MemoryKind.CONSTANTS: read,
        MemoryKind.RAM: read | write,
        MemoryKind.INSTRUCTION_RAM: read | write | execute,
    }
    try:
        for memory in board.memories:
            start = memory.origin // PAGE_BYTES * PAGE_BYTES
            end = -(-memory.end // PAGE_BYTES) * PAGE_BYTES
            core.engine.mem_map(start, end - start, rights[memory.kind])
        if core.arm:
            core.engine.mem_map(SYSTEM_CONTROL, PAGE_BYTES, read | write)
        for address, content in image.segments:
            core.engine.mem_write(address, content)
    except unicorn.UcError as error:
        raise EmulatorError(
            f"emulator unicorn: the memories of board {board.name} cannot be mapped ({error}); "
            "do two of them share a 4 KiB page?"
        ) from error


def access_kind(access: int) -> str:
    """What an invalid access was, in words."""
    unicorn = unicorn_module()
    kinds = {
        unicorn.UC_MEM_READ_UNMAPPED: "invalid read",
        unicorn.UC_MEM_WRITE_UNMAPPED: "invalid write",
        unicorn.UC_MEM_FETCH_UNMAPPED: "jump to no memory",
        unicorn.UC_MEM_READ_PROT: "invalid read",
        unicorn.UC_MEM_WRITE_PROT: "write to read-only memory",
        unicorn.UC_MEM_FETCH_PROT: "jump into data",
    }
    return kinds.get(access, "invalid access")
