/* The RP2040's second-stage loader. It lies behind the vector table, in the words of interrupts that the self-test
   never enables, so that the table stays where emulators look for it: at the start of flash.

   The boot ROM copies the first 256 bytes of flash to the end of SRAM, checks the CRC in the last four, and calls the
   first with flash not mapped. So the core runs through the table to this place: its words are instructions on low
   registers there, which tinygen/toolchain/boot.py makes sure of when it writes the CRC. Here nothing may use an
   address of its own, the stack, or flash before it is mapped. Names are those of the RP2040's data sheet, 4.10.13. */
    .syntax unified
    .thumb
    .section .boot, "ax"
    .globl tinygen_boot
    .type tinygen_boot, %function
    .p2align 2
    .thumb_func
tinygen_boot:
    ldr r0, ssi_base
    movs r1, #0
    str r1, [r0, #0x08] /* SSIENR: off, which the next four want */
    movs r2, #4
    str r2, [r0, #0x14] /* BAUDR: a quarter of clk_sys, 33 MHz at the chip's fastest */
    ldr r2, ctrlr0
    str r2, [r0, #0x00] /* CTRLR0 */
    str r1, [r0, #0x04] /* CTRLR1: NDF 0, one word a read */
    ldr r2, spi_ctrlr0
    movs r3, #0xf4
    str r2, [r0, r3] /* SPI_CTRLR0 */
    movs r2, #1
    str r2, [r0, #0x08] /* SSIENR: on; from here on flash is memory */
    ldr r0, table
    ldr r1, vtor
    str r0, [r1] /* VTOR */
    ldr r1, [r0, #0]
    msr msp, r1
    ldr r1, [r0, #4]
    bx r1 /* the reset handler, as from reset on a chip with flash inside */
    .p2align 2
ssi_base:
    .word 0x18000000
ctrlr0:
    .word 0x001f0300 /* DFS_32 31: 32 bits; TMOD 3: EEPROM read; SPI_FRF 0: one line; mode 0 */
spi_ctrlr0:
    .word 0x03000218 /* XIP_CMD 03h: serial read; INST_L 2: 8 bits; ADDR_L 6: 24 bits; TRANS_TYPE 0: on one line */
vtor:
    .word 0xe000ed08
table:
    .word tinygen_vectors
    .size tinygen_boot, . - tinygen_boot

    .org 188 /* 256 less the table's 64 and these four bytes */
    .word 0  /* the CRC */
