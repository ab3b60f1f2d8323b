/* Clocks, power and pins of the console: the steps that the board's TOML file lists, in order. */
#include "console.h"
#include "tinygen_board.h"

#if TINYGEN_CONSOLE_STEPS > 0

typedef struct {
    uint32_t address;
    uint32_t clear;
    uint32_t set;
    uint32_t wait_set;
} step_t;

static const step_t steps[TINYGEN_CONSOLE_STEPS] = TINYGEN_CONSOLE_SETUP;

void console_setup(void)
{
    for (uint32_t i = 0; i < TINYGEN_CONSOLE_STEPS; i++) {
        console_step(steps[i].address, steps[i].clear, steps[i].set, steps[i].wait_set);
    }
}

#else

void console_setup(void)
{
}

#endif
