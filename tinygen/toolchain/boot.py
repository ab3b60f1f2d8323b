"""The start of flash that a chip's boot ROM asks for: looked at, and sealed with its checksum, in the linked file."""

from __future__ import annotations

import struct
from pathlib import Path

from tinygen.boards import Board, Boot
from tinygen.errors import ToolError
from tinygen.toolchain.elf import open_elf
from tinygen.toolchain.platforms import Platform

LOADERS = {Boot.RP2040: "boot_rp2040.S"}
LOADER = "tinygen_boot"

HEAD_BYTES = 256
"""What the RP2040's ROM copies and checks; the last four bytes are the CRC of the others."""
TABLE_BYTES = 64
"""The vector table of the core's own exceptions, which the ROM runs as instructions."""
HARMLESS_END = 0x4000
"""Thumb instructions below it shift, add, subtract, move and compare low registers, all of them; none is undefined."""
POLYNOMIAL = 0x04C1_1DB7


def loader_sources(board: Board, platform: Platform) -> tuple[str, ...]:
    """The file of `firmware/` that the board's ROM starts: of what is flashed, on boards that name a ROM."""
    return (LOADERS[board.boot],) if board.boot and platform is Platform.SELF_TEST else ()


def seal(elf: Path, board: Board) -> None:
    """Writes the checksum into the file. Raises ToolError where the ROM or the core would stumble."""
    origin = board.flash.origin
    data = bytearray(elf.read_bytes())
    with open_elf(elf) as file:
        heads = [
            segment["p_offset"] + origin - segment["p_paddr"]
            for segment in file.iter_segments()
            if segment["p_type"] == "PT_LOAD"
            and segment["p_paddr"] <= origin
            and origin + HEAD_BYTES <= segment["p_paddr"] + segment["p_filesz"]
        ]
        table = file.get_section_by_name(".symtab")
        loaders = [symbol["st_value"] & ~1 for symbol in (table.get_symbol_by_name(LOADER) if table else None) or ()]
    if len(heads) != 1 or loaders != [origin + TABLE_BYTES]:
        raise ToolError(
            f"firmware: the loader of board {board.name} is not behind a vector table of {TABLE_BYTES} bytes at the "
            f"start of flash, 0x{origin:08x}. This is a bug in tinygen's linker script."
        )
    end = heads[0] + HEAD_BYTES
    head = data[heads[0] : end]
    _check_table(bytes(head[:TABLE_BYTES]), board)
    data[end - 4 : end] = crc32(bytes(head[:-4])).to_bytes(4, "little")
    elf.write_bytes(data)


def crc32(data: bytes) -> int:
    """As the RP2040's ROM computes it: most significant bit first, from all ones, nothing inverted at the end."""
    crc = 0xFFFF_FFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (POLYNOMIAL if crc & 1 << 31 else 0)
            crc &= 0xFFFF_FFFF
    return crc


def _check_table(table: bytes, board: Board) -> None:
    """The core runs through the table to the loader, so nothing in it may jump, store or be undefined."""
    for index, halfword in enumerate(struct.unpack(f"<{TABLE_BYTES // 2}H", table)):
        if halfword >= HARMLESS_END:
            word = int.from_bytes(table[index // 2 * 4 :][:4], "little")
            raise ToolError(
                f"firmware: word {index // 2} of the vector table of board {board.name} is 0x{word:08x}. The core runs "
                f"it as instructions on its way to the loader, and 0x{halfword:04x} is not one of the harmless ones, "
                f"below 0x{HARMLESS_END:04x}."
            )
