/* What the self-test needs of its surroundings: an input stream, an output stream, an end.
   Implemented once each by semihosting.c (Arm, RISC-V), simcall.c (Xtensa in QEMU's sim) and stdio.c (host). */
#ifndef TINYGEN_IO_H
#define TINYGEN_IO_H

#include <stdint.h>

/* Record kinds of the output stream; tinygen/emulate/stream.py is the reader. */
#define RECORD_STEP 1u
#define RECORD_OUTPUT 2u
#define RECORD_END 3u
#define RECORD_FAULT 4u
#define RECORD_GUARD 5u
#define RECORD_BYE 6u

/* Exit codes of the firmware. */
#define EXIT_DONE 0u
#define EXIT_FAULT 3u
#define EXIT_GUARD 4u
#define EXIT_INPUT 5u
#define EXIT_ROWS 6u /* the model did not take each row and finish */

void io_open(void);
uint32_t io_read(void *to, uint32_t bytes); /* bytes that were read; fewer at the end of the stream */
void io_write(const void *from, uint32_t bytes);
void io_exit(uint32_t code) __attribute__((noreturn));

/* Makes accesses outside the board's memories fault; semihosting's io_open calls it. */
void tinygen_protect_memory(void);

/* Copies and clears what lies in other memories than the first RAM; main() begins with it. */
void tinygen_fill_memories(void);

/* Start-up calls this when the core faults: cause and status are the core's own numbers. */
void tinygen_fault(uint32_t cause, uint32_t pc, uint32_t address, uint32_t status, uint32_t stack_pointer)
    __attribute__((noreturn));

#endif
