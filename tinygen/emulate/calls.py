"""Where a function returns to, or returns: addresses behind the calls of it, or of its last instructions.

Both are read from an ELF file's code.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygen.emulate.symbols import Image
from tinygen.targets import Architecture

RA = 1  # RISC-V's register of return addresses
CODE = ("_code_start", "_code_end")  # the linker script's
RETW, RETW_N = b"\x90\x00\x00", b"\x1d\xf0"  # Xtensa ISA, windowed register option


def return_addresses(image: Image, architecture: Architecture, function: str) -> tuple[int, ...]:
    """The addresses behind every direct call of a function, without Thumb bit, ascending.

    Empty on Xtensa, whose calls go through registers: `return_instructions` is for it. What is no call, but has
    the bits of one, gives an address that no program comes to, or one more that it does come to.
    """
    decode = {Architecture.ARM_M: _thumb_calls, Architecture.RISCV32: _riscv_calls}.get(architecture)
    if decode is None:
        return ()
    target = image.symbol(function)
    begin, end = (image.symbol(name) for name in CODE)
    code = _content(image, begin, end)
    return tuple(begin + behind for behind, offset in decode(code) if begin + offset == target)


def return_instructions(image: Image, function: str) -> tuple[int, ...]:
    """The addresses of RETW and RETW.N in a function of a windowed Xtensa program, ascending.

    A windowed function ends in nothing else: it has no tail calls.
    """
    begin, end = next(
        (start, end)
        for start, end, name in zip(image.function_starts, image.function_ends, image.function_names, strict=True)
        if name == function
    )
    code = _content(image, begin, end)
    return tuple(begin + at for at, length in _xtensa_lengths(code) if code[at : at + length] in (RETW, RETW_N))


def _content(image: Image, begin: int, end: int) -> bytes:
    """What is loaded at these addresses."""
    for address, data in image.segments:
        if address <= begin < address + len(data):
            return data[begin - address : end - address]
    return b""


def _xtensa_lengths(code: bytes) -> Iterator[tuple[int, int]]:
    """Each instruction's offset and bytes. The lowest four bits tell: 8 to 13 density, 14 and 15 the ESP32-S3's own."""
    at = 0
    while at < len(code):
        kind = code[at] & 15
        length = 3 if kind < 8 else 2 if kind < 14 else 4
        yield at, length
        at += length


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _thumb_calls(code: bytes) -> Iterator[tuple[int, int]]:
    """BL: the offset behind it, and the offset that it calls. Armv7-M reference manual, A7.7.18."""
    for at in range(0, len(code) - 3, 2):
        first, second = (int.from_bytes(code[i : i + 2], "little") for i in (at, at + 2))
        if first >> 11 == 0b11110 and second & 0xD000 == 0xD000:
            sign = first >> 10 & 1
            i1, i2 = (~(second >> bit ^ sign) & 1 for bit in (13, 11))
            distance = sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1
            yield at + 4, at + 4 + _signed(distance, 25)


def _riscv_calls(code: bytes) -> Iterator[tuple[int, int]]:
    """JAL, C.JAL, and AUIPC with JALR: the offset behind it, and the offset that it calls. RISC-V ISA, RV32I and C."""
    for at in range(0, len(code) - 1, 2):
        word = int.from_bytes(code[at : at + 4], "little")
        following = int.from_bytes(code[at + 4 : at + 8], "little")
        if word & 0xFFF == RA << 7 | 0x6F:
            parts = word >> 31 << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1
            yield at + 4, at + _signed(parts, 21)
        elif word & 0xE003 == 0x2001:  # the bits of C.JAL's distance, from bit 12 of the instruction down
            places = (11, 4, 9, 8, 10, 6, 7, 3, 2, 1, 5)
            parts = sum((word >> 12 - index & 1) << place for index, place in enumerate(places))
            yield at + 2, at + _signed(parts, 12)
        elif word & 0xFFF == RA << 7 | 0x17 and following & 0xFFFFF == RA << 15 | RA << 7 | 0x67:
            yield at + 8, at + _signed(word & 0xFFFF_F000, 32) + _signed(following >> 20, 12)
