"""Linker scripts from a board's memories."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinygen.boards import Board, Memory, MemoryKind
from tinygen.targets import Architecture
from tinygen.toolchain.boot import loader_sources
from tinygen.toolchain.platforms import WINDOWED_SIMS, Platform

REGION_SUFFIX = "_memory"

# QEMU's Xtensa sim machine has neither the chip's addresses nor its windows: ROM with the reset vector, one RAM.
# Nothing lies below its RAM, so a stack at the bottom faults when it overflows.
SIM_ROM = Memory(name="flash", kind=MemoryKind.FLASH, origin=0x5000_0000, size_bytes=64 << 20)
SIM_RAM_ORIGIN = 0x6000_0000
# Its windowed cores: 128 MB of RAM from 0 on, ROM for a jump at reset. sim_xtensa_windowed.S has the MMU leave only
# four pages of 16 MB of that RAM to data, one for each of the chip's memories. All of it is in the GB that a windowed
# return cannot leave.
WINDOWED_SIM_RESET = Memory(name="reset", kind=MemoryKind.FLASH, origin=0xFE00_0000, size_bytes=0x1000)
WINDOWED_SIM_PAGE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Which memory takes which part of a firmware; several may be the same."""

    code: Memory
    constants: Memory
    vectors: Memory
    reset: Memory
    ram: Memory
    extra: tuple[Memory, ...] = ()  # where only what asks for them by name lies

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Each once."""
        parts = (self.code, self.constants, self.vectors, self.reset, self.ram, *self.extra)
        return tuple({memory.name: memory for memory in parts}.values())


def layout(board: Board, platform: Platform) -> Layout:
    """The memories of a platform. Sims get the board's sizes, so that what does not fit the chip does not link."""
    if platform is Platform.XTENSA_SIM:
        ram = Memory(name="ram", kind=MemoryKind.RAM, origin=SIM_RAM_ORIGIN, size_bytes=board.ram_bytes)
        return Layout(SIM_ROM, SIM_ROM, SIM_ROM, SIM_ROM, ram)
    constants = board.window(MemoryKind.CONSTANTS) or board.flash
    # Xtensa takes exceptions from VECBASE, which the chips keep in instruction RAM.
    vectors = board.window(MemoryKind.INSTRUCTION_RAM) if board.target.architecture is Architecture.XTENSA else None
    chip = Layout(board.flash, constants, vectors or board.flash, vectors or board.flash, board.ram)
    if platform not in WINDOWED_SIMS:
        kinds = (MemoryKind.RAM, MemoryKind.FLASH)
        others = (m for m in board.memories if m.kind in kinds and m not in (board.ram, board.flash))
        return replace(chip, extra=tuple(others))
    page = WINDOWED_SIM_PAGE_BYTES
    ram, vectors, code, constants = (
        Memory(memory.name, memory.kind, number * page, min(memory.size_bytes, page))
        for number, memory in enumerate((chip.ram, chip.vectors, chip.code, chip.constants), start=1)
    )
    return Layout(code, constants, vectors, WINDOWED_SIM_RESET, ram)


def region(memory: Memory) -> str:
    """What the script calls a memory: no name that a user gives is then a word of linker scripts."""
    return f"{memory.name}{REGION_SUFFIX}"


def linker_script(board: Board, platform: Platform = Platform.BOARD) -> str:
    """The GNU linker script: stack at the bottom of RAM, so that an overflow leaves RAM instead of reaching data."""
    parts = layout(board, platform)
    code, constants, ram = parts.code, parts.constants, parts.ram
    lines = [
        f"  {region(memory)} : ORIGIN = 0x{memory.origin:08x}, LENGTH = 0x{memory.size_bytes:x}"
        for memory in parts.memories
    ]
    newline = "\n"
    # The core runs through the table to the loader: near the start, the handlers' addresses are harmless instructions.
    loaded = bool(loader_sources(board, platform))
    loader, handlers = (" KEEP(*(.boot))", " *(.text.Reset_Handler .text.Fault_Handler)") if loaded else ("", "")
    # Literals lie with the code of their own file, ahead of it, because l32r reaches back 256 KB.
    # .bss is loaded where it lies: behind .data's copy, a loader that clears it would clear flash or what follows it.
    return f"""MEMORY
{{
{newline.join(lines)}
}}
_flash_start = 0x{code.origin:08x};
_flash_end = 0x{code.end:08x};
_constants_start = 0x{constants.origin:08x};
_constants_end = 0x{constants.end:08x};
_ram_start = 0x{ram.origin:08x};
_ram_end = 0x{ram.end:08x};
_stack_bottom = 0x{ram.origin:08x};
_stack_top = 0x{ram.origin + board.stack_bytes:08x};
SECTIONS
{{
  .reset : {{ KEEP(*(.reset)) }} > {region(parts.reset)}
  .vectors : {{ KEEP(*(.vectors)){loader} }} > {region(parts.vectors)}
  .text : {{ . = ALIGN(4); _code_start = .;{handlers} *(.literal .literal.* .text .text.*) . = ALIGN(4);
    _code_end = .; }} > {region(code)}
{"".join(_extra_sections(memory, constants) for memory in parts.extra)}\
  .rodata : {{ . = ALIGN(16); *(.rodata .rodata.*) *(.srodata .srodata.*) . = ALIGN(4);
    _contents_start = .;{"".join(_contents(memory) for memory in parts.extra)} _contents_end = .;
    _memories_start = .;{"".join(_bounds(memory) for memory in parts.extra)} _memories_end = .; }}
    > {region(constants)}
  .stack (NOLOAD) : {{ . = . + 0x{board.stack_bytes:x}; }} > {region(ram)}
  .data : {{ . = ALIGN(16); _data_start = .; *(.data .data.*) *(.sdata .sdata.*) . = ALIGN(4); _data_end = .; }}
    > {region(ram)} AT> {region(constants)}
  _data_load = LOADADDR(.data);
  .bss (NOLOAD) : AT(ADDR(.bss)) {{ . = ALIGN(16); _bss_start = .; *(.bss .bss.*) *(.sbss .sbss.*) *(COMMON)
    . = ALIGN(4); _bss_end = .; }} > {region(ram)}
  /DISCARD/ : {{ *(.comment) *(.ARM.exidx*) *(.ARM.attributes) *(.note*) *(.eh_frame*) }}
}}
"""


def _extra_sections(memory: Memory, constants: Memory) -> str:
    """The sections of a memory that only takes what asks for it: see `tinygen.placement`, which names them."""
    name, where = memory.name, region(memory)
    if memory.kind is MemoryKind.FLASH:
        return f"  .rodata_{name} : {{ . = ALIGN(16); *(.rodata.tinygen.{name}) . = ALIGN(4); }} > {where}\n"
    return (
        f"  .data_{name} : {{ . = ALIGN(16); *(.data.tinygen.{name}) . = ALIGN(4); }} > {where}"
        f" AT> {region(constants)}\n"
        f"  .bss_{name} (NOLOAD) : AT(ADDR(.bss_{name})) {{ . = ALIGN(16); *(.bss.tinygen.{name}) . = ALIGN(4); }}"
        f" > {where}\n"
    )


def _contents(memory: Memory) -> str:
    """Rows of the table that firmware/memories.c fills a memory by: from, to, bytes."""
    if memory.kind is MemoryKind.FLASH:
        return ""
    data, bss = f".data_{memory.name}", f".bss_{memory.name}"
    return (
        f" LONG(LOADADDR({data})) LONG(ADDR({data})) LONG(SIZEOF({data})) LONG(0) LONG(ADDR({bss})) LONG(SIZEOF({bss}))"
    )


def _bounds(memory: Memory) -> str:
    """A row of the table that firmware/protect.c leaves a memory open by: start, end, whether it can be written."""
    writable = int(memory.kind is MemoryKind.RAM)
    return f" LONG(0x{memory.origin:08x}) LONG(0x{memory.end:08x}) LONG({writable})"
