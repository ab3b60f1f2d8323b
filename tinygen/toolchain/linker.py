"""Linker scripts from a board's memories."""

from __future__ import annotations

from tinygen.boards import Board, Memory, MemoryKind
from tinygen.targets import Architecture

# QEMU's Xtensa sim machine has neither the chip's addresses nor its windows: ROM with the reset vector, one RAM.
# Nothing lies below its RAM, so a stack at the bottom faults when it overflows.
SIM_ROM = Memory(name="flash", kind=MemoryKind.FLASH, origin=0x5000_0000, size_bytes=64 << 20)
SIM_RAM_ORIGIN = 0x6000_0000


def linker_script(board: Board) -> str:
    """The GNU linker script: stack at the bottom of RAM, so that an overflow leaves RAM instead of reaching data."""
    if board.target.architecture is Architecture.XTENSA:
        flash, constants = SIM_ROM, SIM_ROM
        # The board's own size, so that what does not fit the chip does not link either.
        ram = Memory(name="ram", kind=MemoryKind.RAM, origin=SIM_RAM_ORIGIN, size_bytes=board.ram_bytes)
    else:
        flash, ram = board.flash, board.ram
        constants = board.window(MemoryKind.CONSTANTS) or flash
    regions = {memory.name: memory for memory in (flash, constants, ram)}
    lines = [
        f"  {name} : ORIGIN = 0x{memory.origin:08x}, LENGTH = 0x{memory.size_bytes:x}"
        for name, memory in regions.items()
    ]
    newline = "\n"
    # Literals precede the code that loads them; SUBALIGN keeps them aligned on Xtensa.
    return f"""MEMORY
{{
{newline.join(lines)}
}}
_flash_start = 0x{flash.origin:08x};
_flash_end = 0x{flash.end:08x};
_constants_start = 0x{constants.origin:08x};
_constants_end = 0x{constants.end:08x};
_ram_start = 0x{ram.origin:08x};
_ram_end = 0x{ram.end:08x};
_stack_bottom = 0x{ram.origin:08x};
_stack_top = 0x{ram.origin + board.stack_bytes:08x};
SECTIONS
{{
  .vectors : {{ KEEP(*(.reset)) KEEP(*(.vectors)) }} > {flash.name}
  .text : {{ . = ALIGN(4); _code_start = .; *(.literal .literal.*) *(.text .text.*) . = ALIGN(4);
    _code_end = .; }} > {flash.name}
  .rodata : {{ . = ALIGN(16); *(.rodata .rodata.*) *(.srodata .srodata.*) . = ALIGN(4); }}
    > {constants.name}
  .stack (NOLOAD) : {{ . = . + 0x{board.stack_bytes:x}; }} > {ram.name}
  .data : {{ . = ALIGN(16); _data_start = .; *(.data .data.*) *(.sdata .sdata.*) . = ALIGN(4); _data_end = .; }}
    > {ram.name} AT> {constants.name}
  _data_load = LOADADDR(.data);
  .bss (NOLOAD) : {{ . = ALIGN(16); _bss_start = .; *(.bss .bss.*) *(.sbss .sbss.*) *(COMMON) . = ALIGN(4);
    _bss_end = .; }} > {ram.name}
  /DISCARD/ : {{ *(.comment) *(.ARM.exidx*) *(.ARM.attributes) *(.note*) *(.eh_frame*) }}
}}
"""
