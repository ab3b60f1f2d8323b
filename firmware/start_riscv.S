/* Start-up, trap report and semihosting call for RV32 in machine mode. */
    .section .vectors, "ax"
    .globl _start
    .type _start, @function
_start:
    la sp, _stack_top
    la t0, tinygen_trap
    csrw mtvec, t0
    la a0, _data_load
    la a1, _data_start
    la a2, _data_end
1:  bgeu a1, a2, 2f
    lw a3, 0(a0)
    sw a3, 0(a1)
    addi a0, a0, 4
    addi a1, a1, 4
    j 1b
2:  la a1, _bss_start
    la a2, _bss_end
3:  bgeu a1, a2, 4f
    sw zero, 0(a1)
    addi a1, a1, 4
    j 3b
4:  call main
    li a0, 0
    call io_exit
5:  j 5b
    .size _start, . - _start

    .section .text.tinygen_trap, "ax"
    .globl tinygen_trap
    .type tinygen_trap, @function
    .p2align 8 /* the ESP32-C3 ignores the low eight bits of mtvec */
tinygen_trap:
    mv a4, sp
    la sp, _stack_top /* the stack may be what overflowed */
    csrr a0, mcause
    csrr a1, mepc
    csrr a2, mtval
    li a3, -1
    call tinygen_fault
1:  j 1b
    .size tinygen_trap, . - tinygen_trap

    /* The sequence must be uncompressed and within one page: 16-byte alignment does both. */
    .section .text.tinygen_semihosting, "ax"
    .globl tinygen_semihosting
    .type tinygen_semihosting, @function
    .p2align 4
    .option push
    .option norvc
tinygen_semihosting:
    slli zero, zero, 0x1f
    ebreak
    srai zero, zero, 7
    ret
    .option pop
    .size tinygen_semihosting, . - tinygen_semihosting
