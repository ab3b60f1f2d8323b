/* Start-up, exception report and simcall for the LX106 core of QEMU's sim machine (call0 ABI). */
    .section .reset, "ax"
    .p2align 2
    j 1f
    .p2align 2
.Lstart_address:
    .long _start
1:  l32r a0, .Lstart_address
    jx a0

    /* Offsets from VECBASE are the core's: 0x10 debug, 0x20 NMI, 0x30 kernel, 0x50 user, 0x70 double exception. */
    .section .vectors, "ax"
    .globl tinygen_xtensa_vectors
    .p2align 12
tinygen_xtensa_vectors:
    .org 0x10
    j .Lfault
    .org 0x20
    j .Lfault
    .org 0x30
    j .Lfault
    .org 0x50
    j .Lfault
    .org 0x70
    j .Ldouble
    .p2align 2
.Lstack_top:
    .long _stack_top
.Lreport:
    .long tinygen_fault
    .p2align 2
.Lfault:
    mov a6, a1
    l32r a1, .Lstack_top /* the stack may be what overflowed */
    rsr a2, exccause
    rsr a3, epc1
    rsr a4, excvaddr
    movi a5, -1
    l32r a0, .Lreport
    jx a0
    .p2align 2
.Ldouble:
    mov a6, a1
    l32r a1, .Lstack_top
    rsr a2, exccause
    rsr a3, depc
    rsr a4, excvaddr
    movi a5, -1
    l32r a0, .Lreport
    jx a0

    .section .text._start, "ax"
    .p2align 2
.Lvectors:
    .long tinygen_xtensa_vectors
.Ltop:
    .long _stack_top
.Lload:
    .long _data_load
.Ldata_start:
    .long _data_start
.Ldata_end:
    .long _data_end
.Lbss_start:
    .long _bss_start
.Lbss_end:
    .long _bss_end
.Lmain:
    .long main
    .globl _start
    .type _start, @function
    .p2align 2
_start:
    l32r a2, .Lvectors
    wsr a2, vecbase
    movi a2, 0x20 /* user mode of the vector choice, exceptions and interrupts on, no interrupt level */
    wsr a2, ps
    rsync
    l32r a1, .Ltop
    l32r a2, .Lload
    l32r a3, .Ldata_start
    l32r a4, .Ldata_end
1:  bgeu a3, a4, 2f
    l32i a5, a2, 0
    s32i a5, a3, 0
    addi a2, a2, 4
    addi a3, a3, 4
    j 1b
2:  l32r a3, .Lbss_start
    l32r a4, .Lbss_end
    movi a5, 0
3:  bgeu a3, a4, 4f
    s32i a5, a3, 0
    addi a3, a3, 4
    j 3b
4:  l32r a0, .Lmain
    callx0 a0
5:  j 5b
    .size _start, . - _start

    /* tinygen_simcall(number, a, b, c): the arguments are already where the call wants them. */
    .section .text.tinygen_simcall, "ax"
    .globl tinygen_simcall
    .type tinygen_simcall, @function
    .p2align 2
tinygen_simcall:
    simcall
    ret
    .size tinygen_simcall, . - tinygen_simcall

    /* The chips have these in ROM; the LX106's libgcc leaves them out. */
    .section .text.__mulsi3, "ax"
    .globl __mulsi3
    .type __mulsi3, @function
    .p2align 2
__mulsi3:
    mull a2, a2, a3
    ret
    .size __mulsi3, . - __mulsi3
