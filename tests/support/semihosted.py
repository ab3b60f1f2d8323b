"""Runs firmware that a user's build system linked, from reset, in Unicorn; it prints by semihosting or STM32 UART."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tinygen.boards import Board, MemoryKind, UartFamily
from tinygen.emulate.symbols import read_image

PAGE = 4096
SYS_WRITEC, SYS_WRITE0, SYS_EXIT_EXTENDED = 0x03, 0x04, 0x20
SYSTEM_CONTROL, DWT, STM32_PERIPHERALS = 0xE000_E000, 0xE000_1000, 0x4000_0000
DWT_CTRL, DWT_CYCCNT = 0, 4
CYCLES_BETWEEN_READS = 4321


@dataclass
class Output:
    """What the firmware printed, and the code it ended with (None: it was stopped)."""

    text: str = ""
    exit_code: int | None = None
    trouble: str = ""
    _cycles: int = field(default=0, repr=False)

    @property
    def lines(self) -> list[str]:
        return self.text.replace("\r\n", "\n").splitlines()


def run_elf(elf: Path, board: Board, *, until: str = "", timeout_s: float = 60.0) -> Output:
    """From the vector table (the symbol `vectors`) to SYS_EXIT_EXTENDED, or until the text was printed."""
    unicorn = pytest.importorskip("unicorn", reason="pip install unicorn")
    from unicorn import arm_const

    output = Output()
    engine: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
    engine.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{board.target.unicorn_cpu}"))
    rights = {MemoryKind.FLASH: unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC}
    for memory in board.memories:
        size = -(-memory.size_bytes // PAGE) * PAGE
        engine.mem_map(memory.origin, size, rights.get(memory.kind, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE))
    engine.mem_map(SYSTEM_CONTROL, PAGE)

    control = [0]

    def read_dwt(_engine: Any, offset: int, _size: int, _user: object) -> int:
        output._cycles += CYCLES_BETWEEN_READS if offset == DWT_CYCCNT else 0
        return output._cycles if offset == DWT_CYCCNT else control[0]

    def write_dwt(_engine: Any, offset: int, _size: int, value: int, _user: object) -> None:
        if offset == DWT_CTRL:
            control[0] = value

    engine.mmio_map(DWT, PAGE, read_dwt, None, write_dwt, None)
    image = read_image(elf)
    for address, content in image.segments:
        engine.mem_write(address, content)

    def emit(text: str) -> None:
        output.text += text
        if until and until in output.text:
            engine.emu_stop()

    if board.console.uart in (UartFamily.STM32_V1, UartFamily.STM32_V2):
        _map_stm32(engine, board, emit)

    def on_interrupt(engine: Any, number: int, _user: object) -> None:
        pc = engine.reg_read(arm_const.UC_ARM_REG_PC)
        if bytes(engine.mem_read(pc, 2)) != b"\xab\xbe":
            output.trouble = f"exception {number} at {pc:#x}"
            engine.emu_stop()
            return
        operation = engine.reg_read(arm_const.UC_ARM_REG_R0)
        argument = engine.reg_read(arm_const.UC_ARM_REG_R1)
        if operation == SYS_WRITE0:
            emit(_text_at(engine, argument))
        elif operation == SYS_WRITEC:
            emit(chr(engine.mem_read(argument, 1)[0]))
        elif operation == SYS_EXIT_EXTENDED:
            output.exit_code = int.from_bytes(engine.mem_read(argument + 4, 4), "little")
            engine.emu_stop()
        else:
            output.trouble = f"semihosting operation {operation:#x}"
            engine.emu_stop()
        engine.reg_write(arm_const.UC_ARM_REG_PC, (pc + 2) | 1)

    def on_invalid(engine: Any, access: int, address: int, size: int, _value: int, _user: object) -> bool:
        pc = engine.reg_read(arm_const.UC_ARM_REG_PC)
        output.trouble = f"access {access} of {size} bytes at {address:#x}, in {image.function_at(pc)}"
        return False

    engine.hook_add(unicorn.UC_HOOK_INTR, on_interrupt)
    engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, on_invalid)
    start = image.symbol("vectors")  # not the first segment: a linker may have put the ELF header before
    stack, entry = (int.from_bytes(engine.mem_read(start + at, 4), "little") for at in (0, 4))
    engine.reg_write(arm_const.UC_ARM_REG_SP, stack)
    try:
        engine.emu_start(entry | 1, 0xFFFF_FFFE, timeout=int(timeout_s * 1e6))
    except unicorn.UcError as error:
        output.trouble = output.trouble or str(error)
    return output


def _text_at(engine: Any, address: int) -> str:
    found = bytearray()
    while (byte := engine.mem_read(address + len(found), 1)[0]) != 0:
        found.append(byte)
    return found.decode("ascii")


def _map_stm32(engine: Any, board: Board, emit: Any) -> None:
    """Clocks and pins as memory; the console's data register prints, its status register is always ready."""
    console = board.console
    status, data = (0x00, 0x04) if console.uart is UartFamily.STM32_V1 else (0x1C, 0x28)
    page = console.base // PAGE * PAGE

    def read(_engine: Any, offset: int, _size: int, _user: object) -> int:
        return 0xC0 if offset == console.base - page + status else 0

    def write(_engine: Any, offset: int, _size: int, value: int, _user: object) -> None:
        if offset == console.base - page + data:
            emit(chr(value & 0xFF))

    engine.mmio_map(page, PAGE, read, None, write, None)
    for start in sorted({step.address // PAGE * PAGE for step in console.setup} - {page}):
        engine.mem_map(start, PAGE)
