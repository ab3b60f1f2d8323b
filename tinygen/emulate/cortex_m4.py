"""Estimates the cycles of a Cortex-M4 for a block of Thumb code; the rules are those of docs/profile.md.

Source: Arm's Cortex-M4 Technical Reference Manual, "Processor instruction timings", with single-cycle memory. A taken
branch costs TAKEN_CYCLES more, which whoever follows the blocks adds.
"""

from __future__ import annotations

from collections.abc import Iterator

TAKEN_CYCLES = 2  # 1 to 3 in the manual: the refill of the pipeline
DIVIDE_CYCLES = 12  # 2 to 12 in the manual, by the operands
FLOAT_DIVIDE_CYCLES = 14
FLOAT_MAC_CYCLES = 3
LOAD_CYCLES = 2  # of one register; a load right behind another one costs 1
TABLE_BRANCH_CYCLES = 2
OTHER_CYCLES = 1  # also stores, which the write buffer hides, multiplications and multiply-accumulates


def block_cycles(code: bytes) -> int:
    """Cycles of the instructions of a block, one after the other."""
    cycles = 0
    after_load = False
    for first, second in _instructions(code):
        is_load = _is_load(first, second)
        if is_load:
            cycles += LOAD_CYCLES - after_load
        else:
            cycles += _short(first) if second is None else _long(first, second)
        after_load = is_load
    return cycles


def _instructions(code: bytes) -> Iterator[tuple[int, int | None]]:
    """First and, for those of 32 bits, second halfword of each instruction."""
    halves = [int.from_bytes(code[i : i + 2], "little") for i in range(0, len(code), 2)]
    at = 0
    while at < len(halves):
        is_long = halves[at] >> 11 >= 0x1D and at + 1 < len(halves)
        yield halves[at], halves[at + 1] if is_long else None
        at += 2 if is_long else 1


def _is_load(first: int, second: int | None) -> bool:
    """A load of one core register."""
    if second is None:
        literal = first >> 11 == 0b01001
        by_register = first >> 12 == 0x5 and first >> 9 & 7 >= 3  # LDRSB, LDR, LDRH, LDRB, LDRSH
        by_offset = 0x6 <= first >> 12 <= 0x9 and first & 0x800 != 0
        return literal or by_register or by_offset
    hint = second >> 12 == 0xF and first & 0x0060 != 0x0040  # PLD and its like
    return first & 0xFE10 == 0xF810 and not hint


def _short(first: int) -> int:
    """A 16-bit instruction that is no load of one register."""
    if first & 0xFE00 in (0xB400, 0xBC00):  # PUSH, POP with LR or PC in bit 8
        return 1 + (first & 0x1FF).bit_count()
    if first >> 12 == 0xC:  # STM, LDM
        return 1 + (first & 0xFF).bit_count()
    return OTHER_CYCLES


def _long(first: int, second: int) -> int:
    """A 32-bit instruction that is no load of one register."""
    if first & 0xEC00 == 0xEC00:
        return _float(first, second)
    if first & 0xFE40 == 0xE800:  # LDM, STM, PUSH, POP
        return 1 + second.bit_count()
    if first & 0xFE40 == 0xE840:
        if first & 0xFFF0 == 0xE8D0 and second & 0xFFE0 == 0xF000:
            return TABLE_BRANCH_CYCLES
        return 1 + 2 if first & 0x0120 else LOAD_CYCLES  # LDRD, STRD; else LDREX, STREX
    if first & 0xFFD0 == 0xFB90:
        return DIVIDE_CYCLES
    if first & 0xFFE0 in (0xF380, 0xF3E0) and second & 0xD000 == 0x8000:  # MSR, MRS
        return 2
    return OTHER_CYCLES


def _float(first: int, second: int) -> int:
    """The floating-point unit."""
    double = second >> 8 & 1
    if first & 0xFFE0 == 0xEC40:  # VMOV of two registers
        return 2
    if first & 0xFE00 == 0xEC00:
        single = first & 0x0120 == 0x0100  # VLDR, VSTR; else VLDM, VSTM, VPUSH, VPOP
        return 1 + (1 + double if single else second & 0xFF)
    if first & 0xFF00 == 0xEE00 and not second & 0x10:
        operation = first & 0xB0
        if operation in (0x00, 0x10, 0x90, 0xA0):  # VMLA, VNMLA, VFNMA, VFMA and their differences
            return FLOAT_MAC_CYCLES
        square_root = first & 0xBF == 0xB1 and second & 0xD0 == 0xC0
        if square_root or (operation == 0x80 and not second & 0x40):
            return FLOAT_DIVIDE_CYCLES
    return OTHER_CYCLES
