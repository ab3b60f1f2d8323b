/* Start-up, register windows and exceptions for LX6 and LX7 cores in the windowed ABI: the ESP32 and the ESP32-S3.

   Assembled by GNU as for these chips and by llvm-mc, so it uses no directive that only one of them knows: `.long` in
   place of literals, and no jump that one of them would have to lengthen. Interrupts stay off; there is no handler. */

#define PS_USER_WINDOWED 0x40020 /* window overflow check on, user vectors, no interrupt level, not in an exception */
#define CAUSE_ALLOCA 5           /* movsp while the caller's registers are on the stack */
#define ALL_LEVELS 15            /* waiti: no interrupt ends it */

    /* Offsets from VECBASE are the core's, and a window handler has 64 bytes. An overflow handler saves the registers
       of the frame that owns them below the stack pointer of the frame that it called: a5, a9 or a13, after a call by
       4, 8 or 12. What has no room in those four words goes to the top of the frame itself, which is below the stack
       pointer of its caller, and that one was saved with the caller's registers. Underflow handlers are the reverse. */
    .section .vectors, "ax"
    .globl tinygen_xtensa_vectors
    .p2align 10
tinygen_xtensa_vectors:
overflow4:
    s32e a0, a5, -16
    s32e a1, a5, -12
    s32e a2, a5, -8
    s32e a3, a5, -4
    rfwo
    .p2align 2 /* the gap before the next handler: what code below loads must lie above it */
.Lpsw:
    .long PS_USER_WINDOWED
.Ltop:
    .long _stack_top
.Lreport:
    .long tinygen_fault
.Lemulate:
    .long tinygen_xtensa_emulate
    .weak tinygen_xtensa_emulate /* 0 but in the start-up of an emulator, which lacks an instruction of the chip */

    .org 0x40
underflow4:
    l32e a0, a5, -16
    l32e a1, a5, -12
    l32e a2, a5, -8
    l32e a3, a5, -4
    rfwu

    .org 0x80
overflow8:
    s32e a0, a9, -16
    l32e a0, a1, -12 /* the stack pointer of the caller */
    s32e a1, a9, -12
    s32e a2, a9, -8
    s32e a3, a9, -4
    s32e a4, a0, -32
    s32e a5, a0, -28
    s32e a6, a0, -24
    s32e a7, a0, -20
    rfwo

    .org 0xC0
underflow8:
    l32e a0, a9, -16
    l32e a1, a9, -12
    l32e a2, a9, -8
    l32e a7, a1, -12 /* the stack pointer of the caller */
    l32e a3, a9, -4
    l32e a4, a7, -32
    l32e a5, a7, -28
    l32e a6, a7, -24
    l32e a7, a7, -20
    rfwu

    .org 0x100
overflow12:
    s32e a0, a13, -16
    l32e a0, a1, -12
    s32e a1, a13, -12
    s32e a2, a13, -8
    s32e a3, a13, -4
    s32e a4, a0, -48
    s32e a5, a0, -44
    s32e a6, a0, -40
    s32e a7, a0, -36
    s32e a8, a0, -32
    s32e a9, a0, -28
    s32e a10, a0, -24
    s32e a11, a0, -20
    rfwo

    .org 0x140
underflow12:
    l32e a0, a13, -16
    l32e a1, a13, -12
    l32e a2, a13, -8
    l32e a11, a1, -12
    l32e a3, a13, -4
    l32e a4, a11, -48
    l32e a5, a11, -44
    l32e a6, a11, -40
    l32e a7, a11, -36
    l32e a8, a11, -32
    l32e a9, a11, -28
    l32e a10, a11, -24
    l32e a11, a11, -20
    rfwu

    /* Interrupts of level 2 to 5, debug and NMI: nothing asks for them. */
    .org 0x180
    j tinygen_xtensa_fault
    .org 0x1C0
    j tinygen_xtensa_fault
    .org 0x200
    j tinygen_xtensa_fault
    .org 0x240
    j tinygen_xtensa_fault
    .org 0x280
    j tinygen_xtensa_fault
    .org 0x2C0
    j tinygen_xtensa_fault

    .org 0x300 /* exception in kernel mode */
    wsr a0, excsave1
    j exception
    .org 0x340 /* exception in user mode */
    wsr a0, excsave1
    j exception
    .org 0x3C0 /* exception in a handler: a window handler that found no stack */
    j tinygen_xtensa_fault

    /* Only a0 may be used, it is in EXCSAVE1; the registers above may be those of any frame. */
    .p2align 2
exception:
    rsr a0, exccause
    beqi a0, CAUSE_ALLOCA, alloca
    bnez a0, tinygen_xtensa_fault
    l32r a0, .Lemulate /* an illegal instruction */
    beqz a0, tinygen_xtensa_fault
    jx a0

    /* movsp moves the stack pointer, below which the caller's registers lie. So fetch those as a return would, by the
       underflow handler of the call that made this frame; it ends at the movsp again, which now finds nothing to move.
       That handler runs in the caller's window and returns to the one in PS.OWB, which is still that of some older
       exception. The caller's registers are not in use, or there would have been no exception. */
alloca:
    rsr a0, windowbase
    rotw -1 /* this frame's a0 is a4 now */
    rsr a2, ps
    extui a3, a2, 8, 4
    xor a3, a3, a4
    slli a3, a3, 8
    xor a2, a2, a3
    wsr a2, ps
    rsr a4, excsave1
    rsync
    bbsi a4, 31, 1f /* the two highest bits of a return address are the size of the call */
    j underflow4
1:  rotw -1
    bbsi a8, 30, 2f
    j underflow8
2:  rotw -1
    j underflow12

    /* Ends everything: forgets all frames but this one and reports on a stack that has room. EPC1 also holds the place
       when a window handler failed: the call, or the return, that needed it. */
    .globl tinygen_xtensa_fault
    .p2align 2
tinygen_xtensa_fault:
    rsr a6, exccause
    rsr a7, epc1
    rsr a8, excvaddr
    movi a9, -1
    mov a10, a1
    rsr a2, windowbase
    ssl a2
    movi a3, 1
    sll a3, a3
    wsr a3, windowstart
    l32r a1, .Ltop
    movi a0, 0
    l32r a2, .Lpsw
    wsr a2, ps
    rsync
    l32r a2, .Lreport
    callx4 a2
1:  waiti ALL_LEVELS
    j 1b

    .section .text._start, "ax"
    .p2align 2
.Lvectors:
    .long tinygen_xtensa_vectors
.Lps:
    .long PS_USER_WINDOWED
.Lstack_top:
    .long _stack_top
.Ldata_load:
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
    movi a0, 0
    wsr a0, intenable
    wsr a0, lcount /* not in a zero-overhead loop */
    wsr a0, windowbase
    rsync
    movi a0, 0 /* another register now; the outermost frame has nothing to return to */
    movi a2, 1
    wsr a2, windowstart
    rsync
    movi a2, 255
    wsr a2, cpenable /* floating point, and the vectors of the S3 */
    l32r a2, .Lvectors
    wsr a2, vecbase
    l32r a2, .Lps
    wsr a2, ps
    rsync
    l32r a1, .Lstack_top
    l32r a2, .Ldata_load
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
4:  l32r a4, .Lmain
    callx4 a4 /* by 4: a larger call would save a4 and up in the frame of a caller, and there is none */
5:  waiti ALL_LEVELS
    j 5b
    .size _start, . - _start
