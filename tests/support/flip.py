"""Flips one bit of one weight in a linked firmware."""

from __future__ import annotations

from pathlib import Path

from tinygen.program import Program
from tinygen.toolchain.elf import open_elf

BIT = 0x40


STREAM_HEADS = {"CONV_2D": 8, "FULLY_CONNECTED": 16}
"""Bytes of biases before the first weight, where a kernel has all its constants in one stream; else none."""


def weights_in(elf: Path, name: str, layer: int, op: str) -> tuple[str, int]:
    """The constant that holds a layer's weights, and where in it they begin."""
    with open_elf(elf) as image:
        table = image.get_section_by_name(".symtab")
        if table.get_symbol_by_name(f"{name}_layer_{layer}_weights"):
            return f"{name}_layer_{layer}_weights", 0
        assert table.get_symbol_by_name(f"{name}_layer_{layer}_stream"), f"layer {layer} has no weights"
        return f"{name}_layer_{layer}_stream", STREAM_HEADS.get(op, 0)


def flip_a_weight(elf: Path, program: Program) -> tuple[int, str]:
    """Flip a high bit of the first layer's first weight in the file, in place: the layer and the array's name."""
    layer = next(layer for layer in program.layers if layer.op_name in STREAM_HEADS)
    symbol, first = weights_in(elf, program.name, layer.index, layer.op_name)
    with open_elf(elf) as image:
        (found,) = image.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        address = found["st_value"] + first
        offset = next(
            section["sh_offset"] + address - section["sh_addr"]
            for section in image.iter_sections()
            if section["sh_type"] == "SHT_PROGBITS" and 0 <= address - section["sh_addr"] < section["sh_size"]
        )
    data = bytearray(elf.read_bytes())
    data[offset] ^= BIT
    elf.write_bytes(bytes(data))
    return layer.index, symbol.removeprefix(f"{program.name}_layer_{layer.index}_")
