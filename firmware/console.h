/* The board's console: a UART, or semihosting. One driver a family, console_FAMILY.c; addresses, clock and pins come
   from tinygen_board.h, which the build writes from the board's TOML file. */
#ifndef TINYGEN_CONSOLE_H
#define TINYGEN_CONSOLE_H

#include <stdint.h>

/* A register, wherever it lies. */
#define TINYGEN_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Opening gives up what never comes, such as a crystal that is not fitted, which must not silence the console. */
#define TINYGEN_MOST_POLLS 100000u

void console_open(void);                              /* from reset: clocks, pins, baud rate, transmitter on */
void console_write(const char *text, uint32_t bytes); /* best a line at a time */
void console_close(void);                             /* returns when the last byte has left */

/* The steps of the TOML's `setup`, which every driver of a UART takes first; console_setup.c. */
void console_setup(void);

/* One of them: bits are cleared and set, where there are any; bits are waited for, where there are any. */
static inline void console_step(uint32_t address, uint32_t clear, uint32_t set, uint32_t wait_set)
{
    if ((clear | set) != 0u) {
        TINYGEN_REGISTER(address) = (TINYGEN_REGISTER(address) & ~clear) | set;
        (void)TINYGEN_REGISTER(address); /* a clock that was just enabled runs after this read */
    }
    for (uint32_t polls = 0; polls < TINYGEN_MOST_POLLS; polls++) {
        if ((TINYGEN_REGISTER(address) & wait_set) == wait_set) {
            break;
        }
    }
}

#endif
