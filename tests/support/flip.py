"""Flips one bit of one weight in a linked firmware."""

from __future__ import annotations

from pathlib import Path

from tinygen.program import Program
from tinygen.toolchain.elf import open_elf

BIT = 0x40


def flip_a_weight(elf: Path, program: Program) -> int:
    """Flip a high bit of the first layer's first weight in the file, in place; the layer's number is returned."""
    symbols = {constant.symbol: constant for constant in program.constants}
    layer, symbol = next(
        (layer.index, f"{program.name}_layer_{layer.index}_weights")
        for layer in program.layers
        if f"{program.name}_layer_{layer.index}_weights" in symbols
    )
    with open_elf(elf) as image:
        (found,) = image.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        address = found["st_value"]
        offset = next(
            section["sh_offset"] + address - section["sh_addr"]
            for section in image.iter_sections()
            if section["sh_type"] == "SHT_PROGBITS" and 0 <= address - section["sh_addr"] < section["sh_size"]
        )
    data = bytearray(elf.read_bytes())
    data[offset] ^= BIT
    elf.write_bytes(bytes(data))
    return layer
