"""The cycle estimate of a Cortex-M4 follows the rules of docs/profile.md, instruction by instruction."""

from __future__ import annotations

import pytest

from tinygen.emulate.cortex_m4 import block_cycles

# halfwords as objdump prints them, what they are, cycles without the cost of a taken branch
INSTRUCTIONS = (
    ("6808", "ldr r0, [r1, #0]", 2),
    ("6848", "ldr r0, [r1, #4]", 2),
    ("f899 012c", "ldrb.w r0, [r9, #300]", 2),
    ("5e0a", "ldrsh r2, [r1, r0]", 2),
    ("f851 8b04", "ldr.w r8, [r1], #4", 2),
    ("4802", "ldr r0, [pc, #8]", 2),
    ("f8dd 812c", "ldr.w r8, [sp, #300]", 2),
    ("6008", "str r0, [r1, #0]", 1),
    ("f809 0001", "strb.w r0, [r9, r1]", 1),
    ("e8f2 0102", "ldrd r0, r1, [r2], #8", 3),
    ("e9c2 0100", "strd r0, r1, [r2]", 3),
    ("c80e", "ldmia r0!, {r1, r2, r3}", 4),
    ("e8b0 010e", "ldmia.w r0!, {r1, r2, r3, r8}", 5),
    ("c006", "stmia r0!, {r1, r2}", 3),
    ("b530", "push {r4, r5, lr}", 4),
    ("e92d 4310", "stmdb sp!, {r4, r8, r9, lr}", 5),
    ("bd10", "pop {r4, pc}", 3),
    ("e8bd 8110", "ldmia.w sp!, {r4, r8, pc}", 4),
    ("fb21 3002", "smlad r0, r1, r2, r3", 1),
    ("fb82 0103", "smull r0, r1, r2, r3", 1),
    ("fb01 3002", "mla r0, r1, r2, r3", 1),
    ("4348", "muls r0, r1", 1),
    ("fb91 f0f2", "sdiv r0, r1, r2", 12),
    ("fbb1 f8f2", "udiv r8, r1, r2", 12),
    ("fa2f f091", "sxtb16 r0, r1, ror #8", 1),
    ("eac1 4002", "pkhbt r0, r1, r2, lsl #16", 1),
    ("f301 0007", "ssat r0, #8, r1", 1),
    ("eb01 00c2", "add.w r0, r1, r2, lsl #3", 1),
    ("f240 40d2", "movw r0, #1234", 1),
    ("4288", "cmp r0, r1", 1),
    ("bf08", "it eq", 1),
    ("bf00", "nop", 1),
    ("f890 f000", "pld [r0]", 1),
    ("e851 0f00", "ldrex r0, [r1]", 2),
    ("f3ef 8011", "mrs r0, BASEPRI", 2),
    ("f380 8811", "msr BASEPRI, r0", 2),
    ("ed90 0a00", "vldr s0, [r0]", 2),
    ("ed80 0a01", "vstr s0, [r0, #4]", 2),
    ("ecb0 0a04", "vldmia r0!, {s0-s3}", 5),
    ("ed2d 8a04", "vpush {s16-s19}", 5),
    ("ee10 0a10", "vmov r0, s0", 1),
    ("ee00 0a10", "vmov s0, r0", 1),
    ("ec51 0a10", "vmov r0, r1, s0, s1", 2),
    ("ee30 0a81", "vadd.f32 s0, s1, s2", 1),
    ("ee20 0a81", "vmul.f32 s0, s1, s2", 1),
    ("ee00 0a81", "vmla.f32 s0, s1, s2", 3),
    ("eea0 0a81", "vfma.f32 s0, s1, s2", 3),
    ("ee80 0a81", "vdiv.f32 s0, s1, s2", 14),
    ("eeb1 0ae0", "vsqrt.f32 s0, s1", 14),
    ("eeb1 0a60", "vneg.f32 s0, s1", 1),
    ("eebd 0ac0", "vcvt.s32.f32 s0, s0", 1),
    ("eef1 fa10", "vmrs APSR_nzcv, fpscr", 1),
    ("eeb4 0a60", "vcmp.f32 s0, s1", 1),
    ("e7fe", "b.n ba", 1),
    ("f7ff fffd", "bl ba", 1),
    ("b108", "cbz r0, c6", 1),
    ("f47f affa", "bne.w ba", 1),
    ("e8df f000", "tbb [pc, r0]", 2),
    ("e8df f010", "tbh [pc, r0, lsl #1]", 2),
)


def thumb(halves: str) -> bytes:
    """Code from its halfwords."""
    return b"".join(int(half, 16).to_bytes(2, "little") for half in halves.split())


@pytest.mark.parametrize(("halves", "text", "cycles"), INSTRUCTIONS, ids=[row[1] for row in INSTRUCTIONS])
def test_an_instruction_takes_the_manuals_cycles(halves: str, text: str, cycles: int) -> None:
    assert block_cycles(thumb(halves)) == cycles, text


def test_a_load_behind_a_load_takes_one_cycle() -> None:
    load, add = "6848", "4408"
    assert block_cycles(thumb(f"{load} {load} {load}")) == 2 + 1 + 1
    assert block_cycles(thumb(f"{load} {add} {load}")) == 2 + 1 + 2


def test_double_and_multiple_loads_are_not_shortened() -> None:
    load, double = "6848", "e9d2 0100"
    assert block_cycles(thumb(f"{load} {double} {double}")) == 2 + 3 + 3
