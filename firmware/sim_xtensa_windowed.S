/* What QEMU's sim machine needs beside start_xtensa_windowed.S: a reset vector, simcalls, and MULSH and MULUH, which
   the chips have and QEMU's cores lack. Never part of a firmware for a chip. */

/* What the assemblers do not know, since the chips have it not. */
#define SIMCALL .byte 0x00, 0x51, 0x00
#define WSR_A2_DTLBCFG .byte 0x20, 0x5C, 0x13
#define WDTLB_A2_A3 .byte 0x20, 0xE3, 0x50 /* the entry of virtual address and way a3 becomes address and access a2 */
#define IDTLB_A3 .byte 0x00, 0xC3, 0x50 /* the entry of virtual address and way a3 is no more */

    /* At reset an MMU maps every address to itself, way 6 in eight parts. In place of the lowest, where all RAM is, four
       pages of way 4 are mapped for data: the chip's memories, flash for reading only. So a stack that overflows, a
       null pointer and a write to flash fault. Each is 16 MB large and linked at a multiple of that. */
    .section .reset, "ax"
    .p2align 2
    j 1f
    .p2align 2
.Lpages:
    .long 0x20000 /* way 4: pages of 16 MB */
.Lram:
    .long _ram_start
.Lvectors:
    .long tinygen_xtensa_vectors
.Lflash:
    .long _flash_start
.Lconstants:
    .long _constants_start
.Lstart:
    .long _start
1:  l32r a2, .Lpages
    WSR_A2_DTLBCFG
    dsync
    l32r a3, .Lram
    addi a2, a3, 2 /* write, too */
    addi a3, a3, 4
    WDTLB_A2_A3
    l32r a2, .Lvectors
    addi a3, a2, 4
    WDTLB_A2_A3
    l32r a2, .Lflash
    addi a3, a2, 4
    WDTLB_A2_A3
    l32r a2, .Lconstants
    addi a3, a2, 4
    WDTLB_A2_A3
    movi a3, 6
    IDTLB_A3
    dsync
    l32r a0, .Lstart
    jx a0

    /* tinygen_simcall(number, a, b, c): the arguments are already where the call wants them. */
    .section .text.tinygen_simcall, "ax"
    .globl tinygen_simcall
    .type tinygen_simcall, @function
    .p2align 2
tinygen_simcall:
    entry a1, 32
    SIMCALL
    retw
    .size tinygen_simcall, . - tinygen_simcall

    /* An instruction that the core does not know; a0 is in EXCSAVE1. All registers go to memory, so that the
       instruction's three can be reached by number, and all come back from there. */
    .section .text.tinygen_xtensa_emulate, "ax"
    .p2align 2
.Lregisters:
    .long registers
.Lfault:
    .long tinygen_xtensa_fault
    .globl tinygen_xtensa_emulate
    .type tinygen_xtensa_emulate, @function
    .p2align 2
tinygen_xtensa_emulate:
    l32r a0, .Lregisters
    s32i a1, a0, 4
    s32i a2, a0, 8
    s32i a3, a0, 12
    s32i a4, a0, 16
    s32i a5, a0, 20
    s32i a6, a0, 24
    s32i a7, a0, 28
    s32i a8, a0, 32
    s32i a9, a0, 36
    s32i a10, a0, 40
    s32i a11, a0, 44
    s32i a12, a0, 48
    s32i a13, a0, 52
    s32i a14, a0, 56
    s32i a15, a0, 60
    rsr a2, excsave1
    s32i a2, a0, 0

    /* Bytes t:op0, r:s, op2:op1; MULUH and MULSH are op0 = 0, op1 = 2, op2 = 10 and 11. */
    rsr a1, epc1
    l8ui a2, a1, 0
    l8ui a3, a1, 1
    l8ui a4, a1, 2
    extui a5, a2, 0, 4
    bnez a5, unknown
    movi a5, 0xA2
    beq a4, a5, 1f
    movi a5, 0xB2
    beq a4, a5, 1f
    j unknown
1:  extui a5, a3, 0, 4
    addx4 a5, a5, a0
    l32i a5, a5, 0 /* x, register s */
    srli a2, a2, 4
    addx4 a2, a2, a0
    l32i a6, a2, 0 /* y, register t */

    /* The high word of the unsigned product from four products of halves. */
    extui a7, a5, 0, 16
    extui a8, a5, 16, 16
    extui a9, a6, 0, 16
    extui a10, a6, 16, 16
    mull a11, a7, a9
    extui a11, a11, 16, 16
    mull a12, a8, a9
    add a11, a11, a12 /* three summands of 0xFFFE + 0xFFFE0001 + 0xFFFF at most: no carry is lost */
    mull a12, a7, a10
    extui a13, a12, 0, 16
    add a11, a11, a13
    extui a11, a11, 16, 16
    extui a12, a12, 16, 16
    mull a13, a8, a10
    add a11, a11, a12
    add a11, a11, a13
    bbci a4, 4, 2f /* MULUH is done */
    srai a7, a5, 31 /* a negative factor counted 2^32 too much */
    and a7, a7, a6
    sub a11, a11, a7
    srai a7, a6, 31
    and a7, a7, a5
    sub a11, a11, a7
2:  srli a3, a3, 4
    addx4 a3, a3, a0
    s32i a11, a3, 0

    /* On to the next instruction, which at the end of a zero-overhead loop is its first. */
    addi a1, a1, 3
    rsr a2, lend
    bne a1, a2, 3f
    rsr a2, lcount
    beqz a2, 3f
    addi a2, a2, -1
    wsr a2, lcount
    rsr a1, lbeg
3:  wsr a1, epc1
    movi a1, 1
restore:
    /* a1 says which way out: 1, back to the program; 0, to the report of the fault. */
    s32i a1, a0, 64
    l32i a1, a0, 4
    l32i a2, a0, 8
    l32i a3, a0, 12
    l32i a4, a0, 16
    l32i a5, a0, 20
    l32i a6, a0, 24
    l32i a7, a0, 28
    l32i a8, a0, 32
    l32i a9, a0, 36
    l32i a10, a0, 40
    l32i a11, a0, 44
    l32i a12, a0, 48
    l32i a13, a0, 52
    l32i a14, a0, 56
    l32i a15, a0, 60
    wsr a15, excsave1
    l32i a15, a0, 64
    beqz a15, 4f
    rsr a15, excsave1
    l32i a0, a0, 0
    rfe
4:  l32r a0, .Lfault
    jx a0
unknown:
    movi a1, 0
    j restore
    .size tinygen_xtensa_emulate, . - tinygen_xtensa_emulate

    .section .bss.registers, "aw", @nobits
    .p2align 4
registers:
    .space 68
