/* Finds and reads the counter of cycles on RV32: mcycle, or the ESP32-C3's own, which has no mcycle. */
    .equ MPCER, 0x7e0 /* what the ESP32-C3 counts: bit 0, cycles */
    .equ MPCMR, 0x7e1 /* bit 0: count */
    .equ MPCCR, 0x7e2 /* the count */

    /* 1: mcycle, 2: MPCCR, 0: neither. What the core does not know traps; the trap leads to the next attempt.
       Interrupts, which would take the same way, are off meanwhile. The ESP32-C3 ignores the low eight bits of mtvec. */
    .section .text.tinygen_probe_cycles, "ax"
    .globl tinygen_probe_cycles
    .type tinygen_probe_cycles, @function
    .p2align 8
.Ltrap:
    jr t3
tinygen_probe_cycles:
    csrrci t4, mstatus, 8 /* MIE */
    csrr t0, mtvec
    la t1, .Ltrap
    csrw mtvec, t1
    la t3, 1f
    csrr t2, mcycle
    li a0, 1
    j 3f
1:  la t3, 2f
    li t2, 1
    csrw MPCER, t2
    csrw MPCMR, t2
    csrr t2, MPCCR
    li a0, 2
    j 3f
2:  li a0, 0
3:  csrw mtvec, t0
    csrw mstatus, t4
    ret
    .size tinygen_probe_cycles, . - tinygen_probe_cycles

    .section .text.tinygen_read_mcycle, "ax"
    .globl tinygen_read_mcycle
    .type tinygen_read_mcycle, @function
    .p2align 2
tinygen_read_mcycle:
    csrr a0, mcycle
    ret
    .size tinygen_read_mcycle, . - tinygen_read_mcycle

    .section .text.tinygen_read_mpccr, "ax"
    .globl tinygen_read_mpccr
    .type tinygen_read_mpccr, @function
    .p2align 2
tinygen_read_mpccr:
    csrr a0, MPCCR
    ret
    .size tinygen_read_mpccr, . - tinygen_read_mpccr
